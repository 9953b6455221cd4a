"""Running the stages of the PET/CT detector on held-out studies, row by row of the paper's tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from oncotrack.background.jobs import Progress, silent
from oncotrack.datasets.petct_scans import PETCTScan
from oncotrack.detection.petct.candidates import candidates
from oncotrack.detection.petct.detector import FirstStage, SecondStage
from oncotrack.detection.petct.study import WorkingStudy, working_study
from oncotrack.evaluation.detection import Comparison
from oncotrack.evaluation.petct import (
    SETTINGS,
    Sweep,
    compare_candidates,
    compare_stages,
    detection_metrics,
    first_stage_metrics,
    precision_at_operating_point,
    sweep,
)

FIRST_ONLY = "first stage only"


def evaluate_petct(
    first: Mapping[str, FirstStage],
    second: Mapping[str, SecondStage],
    scans: Iterable[PETCTScan],
    progress: Progress = silent,
) -> dict[str, Any]:
    """Evaluate first stages (table 1) and second stages (table 2) on studies with their truth.

    Parameters
    ----------
    first : mapping of name to FirstStage
        Each is evaluated in every setting (CT, EF, LF) whose streams it has. The candidates of the first one go to the
        second stages.
    second : mapping of name to SecondStage
        Rows of table 2.
    scans : iterable of PETCTScan
        Synthetic studies that nothing was trained on.
    progress : Progress
        Called with the progress of the current study.

    Returns
    -------
    dict
        ``first stage``: by "name setting" the metrics of `first_stage_metrics`; ``operating point``: macro precision and
        recall of the first one's candidates; ``second stage``: by row, "first stage only" being the mean probability as
        the score, the metrics of `detection_metrics`; ``mFROC over``: by row, the first second stage's mFROC minus that
        row's.
    """
    sweeps: dict[str, list[Sweep]] = {}
    rows: dict[str, list[Comparison]] = {name: [] for name in (FIRST_ONLY, *second)}
    main = next(iter(first.values()))
    for scan in scans:
        progress(0.5, scan.case.name)
        study, labels = _read(scan, main)
        voxel_mm3 = study.geometry.voxel_mm3
        probability = np.zeros(0)
        for name, stage in first.items():
            usable = {key: streams for key, streams in SETTINGS.items() if set(streams) <= set(stage.config.streams)}
            for setting, fused in stage.network.segment_settings(study, usable).items():
                sweeps.setdefault(f"{name} {setting}", []).append(sweep(fused, labels, stage.config, voxel_mm3))
                probability = fused if stage is main else probability
        found = candidates(probability, main.threshold, main.config, voxel_mm3)
        scores: dict[str, Sequence[float]] = {FIRST_ONLY: [each.score for each in found]}
        scores |= {name: [each.score for each in stage.score(study, found)] for name, stage in second.items()}
        for name, values in scores.items():
            rows[name].append(compare_candidates(found, values, labels, voxel_mm3))
    precision, recall = precision_at_operating_point(rows[FIRST_ONLY])
    result: dict[str, Any] = {
        "first stage": first_stage_metrics(sweeps),
        "operating point": {"threshold": main.threshold, "precision": precision, "recall": recall},
        "second stage": {name: detection_metrics(patients) for name, patients in rows.items()},
    }
    if second:
        best, *_ = second
        result["mFROC over"] = {name: compare_stages(rows[best], rows[name]) for name in rows if name != best}
    return result


def _read(scan: PETCTScan, first: FirstStage) -> tuple[WorkingStudy, np.ndarray]:
    """Return a study and its significant nodes on the grid of the first stage."""
    study = working_study(scan.case.images["ct"], scan.case.images["pet"], scan.tumour, first.config)
    labels = scan.case.masks["ct"].resampled(study.geometry, fill=0, nearest=True).array
    return study, labels.astype(np.int32)

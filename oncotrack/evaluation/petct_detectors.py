"""Running the stages of the PET/CT detector on held-out studies, row by row of the paper's tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oncotrack.background.jobs import Progress, silent
from oncotrack.datasets.petct_scans import PETCTScan
from oncotrack.detection.petct.candidates import candidates
from oncotrack.detection.petct.detector import FirstStage, SecondStage
from oncotrack.detection.petct.study import WorkingStudy, working_study
from oncotrack.evaluation.petct import (
    SETTINGS,
    Sweep,
    compare_candidates,
    detection_metrics,
    first_stage_metrics,
    mean_froc,
    precision_at_operating_point,
    recall_at,
    sweep,
)
from oncotrack.evaluation.petct_paper import (
    FIRST_ONLY,
    STEPS_ONE,
    STEPS_TWO,
    TABLE_ONE,
    TABLE_TWO,
    first_stage_row,
    in_paper_order,
    second_stage_row,
)
from oncotrack.evaluation.petct_rows import StudyRows
from oncotrack.evaluation.statistics import compare_metrics


def evaluate_petct(
    first: Mapping[str, FirstStage],
    second: Mapping[str, SecondStage],
    studies: Iterable[tuple[str, Callable[[], PETCTScan]]],
    progress: Progress = silent,
    keep: Path | None = None,
) -> dict[str, Any]:
    """Evaluate first stages (table 1) and second stages (table 2) on studies with their truth.

    Parameters
    ----------
    first : mapping of name to FirstStage
        Each is evaluated in every setting (CT, EF, LF) whose streams it has. The candidates of the first one go to the
        second stages.
    second : mapping of name to SecondStage
        Rows of table 2.
    studies : iterable of (str, callable)
        Names of synthetic studies that nothing was trained on, and what makes them.
    progress : Progress
        Called with the progress of the current study.
    keep : Path, optional
        Folder that keeps the results of every study; those that it holds, of the same weights, are not computed again.

    Returns
    -------
    dict
        ``first stage``: by "name setting" the metrics of `first_stage_metrics`; ``operating point``: macro precision and
        recall of the first one's candidates; ``second stage``: by name, "first stage only" being the mean probability as
        the score, the metrics of `detection_metrics`. Both are in the paper's order, with ``row``, the name in
        `petct_paper`, and ``paper``, its figures. ``Recall@0.15 gained by`` and ``mFROC gained by``: the differences
        between rows that the paper reports, ours with interval and p, beside the ``paper``'s.
    """
    of_weights = {
        **{f"one {n}": s.sha256 for n, s in first.items()},
        **{f"two {n}": s.sha256 for n, s in second.items()},
    }
    every: list[StudyRows] = []
    for name, make in studies:
        progress(0.5, name)
        path = keep / f"{name}.npz" if keep else None
        rows = StudyRows.load(path, of_weights) if path else None
        if rows is None:
            rows = study_rows(make(), first, second)
            if path:
                rows.save(path, of_weights)
        every.append(rows)
    ones = {
        f"{name} {setting}": first_stage_row(stage.config, setting)
        for name, stage in first.items()
        for setting in _settings(stage)
    }
    twos = {FIRST_ONLY: FIRST_ONLY, **{name: second_stage_row(stage.config) for name, stage in second.items()}}
    sweeps = {key: [rows.sweeps[key] for rows in every] for key in ones}
    comparisons = {key: [rows.comparisons[key] for rows in every] for key in twos}
    precision, recall = precision_at_operating_point(comparisons[FIRST_ONLY])
    threshold = next(iter(first.values())).threshold
    return {
        "first stage": _table(first_stage_metrics(sweeps), ones, TABLE_ONE, ("Recall@0.15", "mRecall@0.10-0.20")),
        "operating point": {"threshold": threshold, "precision": precision, "recall": recall},
        "second stage": _table(
            {name: detection_metrics(patients) for name, patients in comparisons.items()},
            twos,
            TABLE_TWO,
            ("F1", "mFROC"),
        ),
        "Recall@0.15 gained by": _gains(STEPS_ONE, _by_row(sweeps, ones), TABLE_ONE, 0, recall_at),
        "mFROC gained by": _gains(STEPS_TWO, _by_row(comparisons, twos), TABLE_TWO, 1, mean_froc),
    }


def study_rows(scan: PETCTScan, first: Mapping[str, FirstStage], second: Mapping[str, SecondStage]) -> StudyRows:
    """Run all stages on one study.

    Parameters
    ----------
    scan : PETCTScan
        The study with its truth.
    first, second : mapping of name to stage
        As in `evaluate_petct`.

    Returns
    -------
    StudyRows
        What they found.
    """
    main = next(iter(first.values()))
    study, labels = _read(scan, main)
    voxel_mm3 = study.geometry.voxel_mm3
    sweeps: dict[str, Sweep] = {}
    probability = np.zeros(0)
    for name, stage in first.items():
        for setting, fused in stage.network.segment_settings(study, _settings(stage)).items():
            sweeps[f"{name} {setting}"] = sweep(fused, labels, stage.config, voxel_mm3)
            probability = fused if stage is main else probability
    found = candidates(probability, main.threshold, main.config, voxel_mm3)
    scores: dict[str, Sequence[float]] = {FIRST_ONLY: [each.score for each in found]}
    scores |= {name: [each.score for each in stage.score(study, found)] for name, stage in second.items()}
    return StudyRows(
        sweeps, {name: compare_candidates(found, values, labels, voxel_mm3) for name, values in scores.items()}
    )


def _settings(stage: FirstStage) -> dict[str, tuple[str, ...]]:
    """Return the settings whose streams a first stage has."""
    return {key: streams for key, streams in SETTINGS.items() if set(streams) <= set(stage.config.streams)}


def _table(
    rows: dict[str, dict[str, Any]],
    names: dict[str, str],
    paper: Mapping[str, tuple[float, float] | None],
    columns: tuple[str, str],
) -> dict[str, dict[str, Any]]:
    """Return rows in the paper's order, each with its name there and the paper's figures (None where it has none)."""
    result = {}
    for key, row in in_paper_order(rows, names, paper).items():
        figures = paper.get(names[key])
        result[key] = {"row": names[key], **row, "paper": dict(zip(columns, figures, strict=True)) if figures else None}
    return result


def _by_row(patients: Mapping[str, list[Any]], names: Mapping[str, str]) -> dict[str, list[Any]]:
    """Return the patients of each row of the table; of several with one name those of the first."""
    found: dict[str, list[Any]] = {}
    for key, values in patients.items():
        found.setdefault(names[key], values)
    return found


def _gains(
    steps: Mapping[str, list[tuple[str, str]]],
    rows: Mapping[str, list[Any]],
    paper: Mapping[str, tuple[float, float] | None],
    column: int,
    metric: Callable[[list[Any]], float],
) -> dict[str, dict[str, Any]]:
    """Compare the pairs of rows that were evaluated; ``paper`` is the paper's difference."""
    result = {}
    for step, pairs in steps.items():
        for better, worse in pairs:
            theirs = paper[better], paper[worse]
            if better in rows and worse in rows and theirs[0] and theirs[1]:
                difference = round(theirs[0][column] - theirs[1][column], 1)
                compared = compare_metrics(rows[better], rows[worse], metric)
                result[f"{step}: {better} over {worse}"] = {**compared, "paper": difference}
    return result


def _read(scan: PETCTScan, first: FirstStage) -> tuple[WorkingStudy, np.ndarray]:
    """Return a study and its significant nodes on the grid of the first stage."""
    study = working_study(scan.case.images["ct"], scan.case.images["pet"], scan.tumour, first.config)
    labels = scan.case.masks["ct"].resampled(study.geometry, fill=0, nearest=True).array
    return study, labels.astype(np.int32)

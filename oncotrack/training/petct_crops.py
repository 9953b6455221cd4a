"""The candidates of the first stage on stored studies, cut out for the training of the second stage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from oncotrack.atomic import replacing
from oncotrack.background.jobs import Progress, silent
from oncotrack.detection.petct.candidates import boxes_of, crop_candidate
from oncotrack.detection.petct.config import GLNetConfig
from oncotrack.detection.petct.detector import FirstStage
from oncotrack.detection.petct.tagger import Tagger
from oncotrack.evaluation.petct import compare_candidates
from oncotrack.training.petct_store import read_study
from oncotrack.training.prepared import prepare


def store_candidates(
    folder: Path,
    studies: Sequence[Path],
    *,
    first: FirstStage,
    tagger: Tagger | None,
    config: GLNetConfig,
    progress: Progress = silent,
) -> list[Path]:
    """Write the candidates of each study to one file, unless the folder is complete; see `prepare`.

    Parameters
    ----------
    folder : Path
        Receives the files.
    studies : sequence of Path
        Written by `petct_store.write_study`.
    first : FirstStage
        Its operating point makes the candidates; a candidate that hits a significant node is a true one.
    tagger : Tagger, optional
        Describes them.
    config : GLNetConfig
        Size of the crops.
    progress : callable
        Receives the completed fraction (0 to 1) and a message.

    Returns
    -------
    list of Path
        One for each study: ``crops`` (N, 2, d, h, w) float16, ``boxes`` (N, 6), ``tags`` (N, T), ``labels`` and first-stage
        ``scores`` (N,).
    """
    about = f"candidates of the first stage {first.sha256} at {first.threshold:g}, tagger {tagger.name if tagger else 'none'}"

    def write(key: str, make) -> list[Path]:
        path = folder / f"{key}.safetensors"
        if not path.is_file():
            _write(path, make(), first, tagger, config)
        return [path]

    jobs = ((study.stem, lambda study=study: study) for study in studies)
    return prepare(folder, jobs, about, write, progress, unit="the candidates of study")


def _write(path: Path, study: Path, first: FirstStage, tagger: Tagger | None, config: GLNetConfig) -> None:
    from safetensors.torch import save_file

    known = read_study(study, first.config)
    found = first.candidates(known.study)
    boxes = boxes_of(found)
    hits = compare_candidates(found, np.ones(len(found)), known.labels, known.study.geometry.voxel_mm3).hits
    cut = [crop_candidate(known.study, box, config) for box in boxes]
    crops = torch.stack([crop for crop, _ in cut]) if cut else torch.zeros(0, 2, *config.crop)
    inside = torch.stack([box for _, box in cut]) if cut else torch.zeros(0, 6)
    tags = tagger.describe(known.study, boxes) if tagger else torch.zeros(len(found), 0)
    tensors = {
        "crops": crops.half(), "boxes": inside, "tags": tags.contiguous(),
        "labels": torch.from_numpy(hits.any(1).astype(np.float32)),
        "scores": torch.tensor([each.score for each in found]),
    }  # fmt: skip
    with replacing(path) as temporary:
        save_file(tensors, temporary)

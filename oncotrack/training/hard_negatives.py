"""Positions in real scans that the weights a training starts from take for lymph nodes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from oncotrack.atomic import write_text
from oncotrack.background.jobs import Progress, silent
from oncotrack.detection.ct_slices import CONTEXT
from oncotrack.detection.lntracker.proposals import select
from oncotrack.detection.lntracker.proposer import Proposer
from oncotrack.training.stored_cases import StoredCase

NAME = "hard-negatives.json"
_STEP = 9  # slices of 2 mm
_MOST_PER_SLICE = 12
_LEAST_SCORE = 0.15
_OFF_NODE_PIXELS = 4


def find_hard_negatives(
    paths: Sequence[Path], proposer: Proposer, out: Path, progress: Progress = silent
) -> dict[Path, np.ndarray]:
    """Find the wrong proposals on every ninth slice of stored cases, or read those found before.

    Proposals on known nodes and on what may be unlabelled ones are left out.

    Parameters
    ----------
    paths : sequence of Path
        Cases written by `stored_cases.store`.
    proposer : Proposer
        With the weights that the training starts from.
    out : Path
        Folder of the run, which receives the file `NAME`.
    progress : callable
        Receives the completed fraction (0 to 1) and a message.

    Returns
    -------
    dict of Path to (n, 3) int ndarray
        z, y, x on the stored slices.
    """
    file = out / NAME
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if set(known) != {path.stem for path in paths}:
        proposer = proposer.eval()
        known = {}
        for n, path in enumerate(paths):
            progress(n / len(paths), f"Finding hard negatives, scan {n + 1} of {len(paths)}")
            known[path.stem] = _wrong_proposals(StoredCase(path), proposer)
        out.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(known))
    return {path: np.array(known[path.stem], int).reshape(-1, 3) for path in paths}


@torch.inference_mode()
def _wrong_proposals(case: StoredCase, proposer: Proposer) -> list[list[int]]:
    """Return z, y, x of the wrong proposals of a case."""
    found = []
    depth, height, width = case.shape
    for z in range(_STEP // 2, depth, _STEP):
        image, labels = case.read(np.clip(np.arange(z - CONTEXT, z + CONTEXT + 1), 0, depth - 1))
        proposals = proposer(image[None].float() / 255)
        best = select(proposals, _MOST_PER_SLICE, peaks=True)[0]
        best = best[proposals.logits[0, best].sigmoid() > _LEAST_SCORE]
        for x, y in proposals.boxes[0, best, :2].round().int().tolist():
            near = (slice(max(at - _OFF_NODE_PIXELS, 0), at + _OFF_NODE_PIXELS + 1) for at in (y, x))
            if 0 <= y < height and 0 <= x < width and not labels[CONTEXT][tuple(near)].any():
                found.append([z, y, x])
    return found

"""Metrics of linking through the slices: fragmentation, wrong merges, identity switches, HOTA.

Truth and prediction are lists over the slices of (identities, boxes): (n,) ints and (n, 4) lowest and highest corner.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
from scipy.optimize import linear_sum_assignment

from oncotrack.errors import InputError, MissingPackageError
from oncotrack.findings.finding_list import FindingList

SliceBoxes = Sequence[tuple[Sequence[int], Sequence[Sequence[float]]]]


def slice_boxes(findings: FindingList, time_point: str, first: int, last: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The boxes of all tracklets at a time point, slices `first` to `last`; an identity is the finding's place."""
    tracklets = [(n, seen.tracklet) for n, f in enumerate(findings) if (seen := f.at(time_point)) and seen.tracklet]
    slices = []
    for k in range(first, last + 1):
        rows = [(n, box) for n, tracklet in tracklets if (box := tracklet.at(k))]
        boxes = np.array([(*box.low, *box.high) for _, box in rows]).reshape(-1, 4)
        slices.append((np.array([n for n, _ in rows], int), boxes))
    return slices


def links(truth: SliceBoxes, predicted: SliceBoxes, threshold: float = 0.5) -> list[dict[int, int]]:
    """On every slice the predicted identity of each true one, matched one to one by IoU of at least `threshold`.

    A pair that was matched on the slice before is kept first, as CLEAR MOT does (K. Bernardin and R. Stiefelhagen,
    "Evaluating multiple object tracking performance", 2008, sec. 2.1).
    """
    if len(truth) != len(predicted):
        raise InputError(f"{len(truth)} slices cannot be compared with {len(predicted)}; give both on the same slices.")
    before: dict[int, int] = {}
    result = []
    for (true_ids, true_boxes), (ids, boxes) in zip(truth, predicted, strict=True):
        overlap = _iou(true_boxes, boxes)
        kept = np.array([[before.get(int(t)) == int(p) for p in ids] for t in true_ids]).reshape(overlap.shape)
        value = np.where(overlap >= threshold, overlap + 10.0 * kept, 0.0)
        rows, columns = linear_sum_assignment(-value)
        now = {int(true_ids[r]): int(ids[c]) for r, c in zip(rows, columns, strict=True) if value[r, c] > 0}
        result.append(now)
        before = now
    return result


def fragmentation(matched: Sequence[dict[int, int]]) -> int:
    """How often a true node was cut: its number of different predicted identities less one, summed over nodes."""
    return sum(len(ids) - 1 for ids in _partners(matched, inverse=False).values())


def wrong_merges(matched: Sequence[dict[int, int]]) -> int:
    """How often nodes were fused: a predicted tracklet's number of different true nodes less one, summed."""
    return sum(len(ids) - 1 for ids in _partners(matched, inverse=True).values())


def identity_switches(matched: Sequence[dict[int, int]]) -> int:
    """IDSW of CLEAR MOT (sec. 2.1): slices on which a node is matched to another identity than when last matched."""
    last: dict[int, int] = {}
    switches = 0
    for now in matched:
        switches += sum(last.get(true, identity) != identity for true, identity in now.items())
        last |= now
    return switches


def hota(truth: SliceBoxes, predicted: SliceBoxes) -> dict[str, float]:
    """HOTA, DetA and AssA in percent (J. Luiten et al., IJCV 129, 2021), as the package `trackeval` computes them.

    Raises
    ------
    MissingPackageError
        `trackeval` is not installed; the other metrics here do not need it.
    """
    try:
        with redirect_stdout(StringIO()):  # it prints which of its benchmarks it cannot import
            from trackeval.metrics.hota import HOTA
    except ImportError as error:
        raise MissingPackageError(
            "HOTA needs the package trackeval: pip install --no-deps trackeval. The other metrics work without it."
        ) from error
    true_ids, ids = _from_zero(truth), _from_zero(predicted)
    scores = HOTA().eval_sequence(
        {
            "num_gt_dets": sum(map(len, true_ids)),
            "num_tracker_dets": sum(map(len, ids)),
            "num_gt_ids": 1 + max((int(n.max()) for n in true_ids if len(n)), default=-1),
            "num_tracker_ids": 1 + max((int(n.max()) for n in ids if len(n)), default=-1),
            "gt_ids": true_ids,
            "tracker_ids": ids,
            "similarity_scores": [_iou(a, b) for (_, a), (_, b) in zip(truth, predicted, strict=True)],
        }
    )
    return {name: 100 * float(np.mean(scores[name])) for name in ("HOTA", "DetA", "AssA")}


def _partners(matched: Sequence[dict[int, int]], inverse: bool) -> dict[int, set[int]]:
    partners: dict[int, set[int]] = {}
    for now in matched:
        for true, identity in now.items():
            key, value = (identity, true) if inverse else (true, identity)
            partners.setdefault(key, set()).add(value)
    return partners


def _from_zero(slices: SliceBoxes) -> list[np.ndarray]:
    known = {identity: n for n, identity in enumerate(sorted({int(i) for ids, _ in slices for i in ids}))}
    return [np.array([known[int(i)] for i in ids], int) for ids, _ in slices]


def _iou(a: Sequence[Sequence[float]], b: Sequence[Sequence[float]]) -> np.ndarray:
    import torch

    from oncotrack.networks.boxes import iou

    a, b = (torch.as_tensor(np.asarray(boxes, float).reshape(-1, 4)) for boxes in (a, b))
    return iou(a, b).numpy() if len(a) and len(b) else np.zeros((len(a), len(b)))

"""Errors in linking slice boxes to nodes: fragmentation, wrong merges, identity switches.

Truth and prediction are lists over the slices of (identities, boxes): (n,) int and (n, 4) lowest and highest corner.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from oncotrack.errors import InputError
from oncotrack.evaluation.detection import box_overlap
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.tracklet import Tracklet

SliceBoxes = Sequence[tuple[Sequence[int] | np.ndarray, Sequence[Sequence[float]] | np.ndarray]]


def linking_errors(
    truth: FindingList, predicted: FindingList, time_point: str, least_score: float = 0.0
) -> dict[str, int] | None:
    """Count the linking errors of one scan.

    Parameters
    ----------
    truth, predicted : FindingList
        Findings with tracklets at the time point.
    time_point : str
        The scan's time point in both lists.
    least_score : float
        Predicted findings with a lower score are left out.

    Returns
    -------
    dict of str to int, or None
        ``fragmentation``, ``wrong merges``, ``identity switches``; ``node slices``: true slice boxes; ``node slices
        matched``: those of them that a prediction matches. None if the tracklets are not all on the same slices.
    """
    true = _tracklets(truth, time_point, -np.inf)
    found = _tracklets(predicted, time_point, least_score)
    every = [tracklet for _, tracklet in (*true, *found)]
    if any(not _are_on_same_slices(every[0], other) for other in every[1:]):
        return None
    first, last = min((t.first for t in every), default=0), max((t.last for t in every), default=-1)
    on_slices = _on_slices(true, first, last)
    matched = links(on_slices, _on_slices(found, first, last))
    return {
        "fragmentation": fragmentation(matched),
        "wrong merges": wrong_merges(matched),
        "identity switches": identity_switches(matched),
        "node slices": sum(len(identities) for identities, _ in on_slices),
        "node slices matched": sum(map(len, matched)),
    }


def links(truth: SliceBoxes, predicted: SliceBoxes, threshold: float = 0.5) -> list[dict[int, int]]:
    """Match true and predicted boxes one to one on every slice.

    A pair that was matched on the previous slice is kept first, as CLEAR MOT does (K. Bernardin and R. Stiefelhagen,
    "Evaluating multiple object tracking performance", 2008, sec. 2.1).

    Parameters
    ----------
    truth, predicted : list over slices of (identities, boxes)
        On the same slices.
    threshold : float
        Least IoU of a match.

    Returns
    -------
    list over slices of dict of int to int
        The predicted identity of each true one that is matched.

    Raises
    ------
    InputError
        The numbers of slices differ.
    """
    if len(truth) != len(predicted):
        raise InputError(f"{len(truth)} slices cannot be compared with {len(predicted)}; give both on the same slices.")
    previous: dict[int, int] = {}
    result = []
    for (true_ids, true_boxes), (ids, boxes) in zip(truth, predicted, strict=True):
        overlap = box_overlap(true_boxes, boxes, 2)
        kept = np.array([[previous.get(int(t)) == int(p) for p in ids] for t in true_ids]).reshape(overlap.shape)
        value = np.where(overlap >= threshold, overlap + 10.0 * kept, 0.0)
        rows, columns = linear_sum_assignment(-value)
        current = {int(true_ids[r]): int(ids[c]) for r, c in zip(rows, columns, strict=True) if value[r, c] > 0}
        result.append(current)
        previous = current
    return result


def fragmentation(matched: Sequence[dict[int, int]]) -> int:
    """Count how often true nodes were cut: for each node the number of its predicted identities less one, summed."""
    return sum(len(ids) - 1 for ids in _partners(matched, inverse=False).values())


def wrong_merges(matched: Sequence[dict[int, int]]) -> int:
    """Count how often nodes were fused: for each prediction the number of its true nodes less one, summed."""
    return sum(len(ids) - 1 for ids in _partners(matched, inverse=True).values())


def identity_switches(matched: Sequence[dict[int, int]]) -> int:
    """Count the slices on which a node is matched to another identity than at its last match (IDSW of CLEAR MOT)."""
    last: dict[int, int] = {}
    switches = 0
    for current in matched:
        switches += sum(last.get(true, identity) != identity for true, identity in current.items())
        last |= current
    return switches


def _tracklets(findings: FindingList, time_point: str, least_score: float) -> list[tuple[int, Tracklet]]:
    """Return the tracklets at a time point with their findings' indices; a missing score counts as 1."""
    chosen = []
    for n, finding in enumerate(findings):
        observation: Any = finding.at(time_point)
        if observation is None or observation.tracklet is None:
            continue
        if (1.0 if observation.confidence is None else observation.confidence) >= least_score:
            chosen.append((n, observation.tracklet))
    return chosen


def _on_slices(tracklets: Sequence[tuple[int, Tracklet]], first: int, last: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return identities and boxes on the slices `first` to `last`."""
    slices = []
    for k in range(first, last + 1):
        rows = [(n, box) for n, tracklet in tracklets if (box := tracklet.at(k))]
        boxes = np.array([(*box.low, *box.high) for _, box in rows]).reshape(-1, 4)
        slices.append((np.array([n for n, _ in rows], int), boxes))
    return slices


def _are_on_same_slices(one: Tracklet, other: Tracklet) -> bool:
    """Return whether two tracklets count slices and measure positions on them alike, within 0.01 mm."""
    frames = [(each.origin, each.u_axis, each.v_axis, each.step) for each in (one, other)]
    return np.allclose(*frames, atol=0.01)


def _partners(matched: Sequence[dict[int, int]], inverse: bool) -> dict[int, set[int]]:
    """Return the predicted identities of each true node, or with `inverse` the true nodes of each prediction."""
    partners: dict[int, set[int]] = {}
    for current in matched:
        for true, identity in current.items():
            key, value = (identity, true) if inverse else (true, identity)
            partners.setdefault(key, set()).add(value)
    return partners

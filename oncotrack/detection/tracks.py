"""Tracks: one lymph node over consecutive slices, and stacking of the boxes of single slices to tracks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from oncotrack.networks.boxes import iou

SCORED_SLICES = 3
"""The score of a node is the mean of this many of its highest slice scores."""


@dataclass(eq=False)
class Track:
    """One lymph node on the slices of a working grid.

    Attributes
    ----------
    boxes : dict of int to (4,) ndarray
        x0, y0, x1, y1 in pixels, by slice index.
    scores : dict of int to float
        Detection scores, 0 to 1, by slice index.
    """

    boxes: dict[int, np.ndarray] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """Mean of the `SCORED_SLICES` highest slice scores, missing slices counting as 0 (not defined by the paper)."""
        return sum(sorted(self.scores.values())[-SCORED_SLICES:]) / SCORED_SLICES


def stack_boxes(detections: Iterable[tuple[int, Sequence[Track]]], overlap: float = 0.1) -> list[Track]:
    """Link the boxes of neighbouring slices to tracks by their overlap (LN-Tracker, table 4; MR, sec. 4.8).

    Each box extends the track of the previous slice with which it overlaps most and that was not extended yet.

    Parameters
    ----------
    detections : iterable of (int, sequence of Track)
        Slice index and single-slice tracks, in the order of the slices. These tracks are extended in place.
    overlap : float
        IoU that two boxes must exceed.

    Returns
    -------
    list of Track
        In the order in which they end.
    """
    ended: list[Track] = []
    current: list[tuple[Track, np.ndarray]] = []
    previous: int | None = None
    for index, boxes in detections:
        if previous is not None and abs(index - previous) != 1:
            ended += [track for track, _ in current]
            current = []
        waiting, current = current, []
        for detection in boxes:
            track, box = detection, detection.boxes[index]
            overlaps = [float(iou(torch.as_tensor(box)[None], torch.as_tensor(last)[None])) for _, last in waiting]
            if overlaps and max(overlaps) > overlap:
                track, _ = waiting.pop(int(np.argmax(overlaps)))
                track.boxes[index], track.scores[index] = box, detection.scores[index]
            current.append((track, box))
        ended += [track for track, _ in waiting]
        previous = index
    return ended + [track for track, _ in current]

"""Anatomical rules that discard boxes which cannot be lymph nodes, independent of the network's score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from oncotrack.detection.ct_slices import HU_WINDOW, LNSlices
from oncotrack.detection.tracks import Track

AnyTrack = TypeVar("AnyTrack", bound=Track)
_DISC = np.array([(x, y) for x in np.linspace(-1, 1, 5) for y in np.linspace(-1, 1, 5) if x * x + y * y <= 1])
"""Sample points in the unit circle, (n, 2)."""


def remove_false_positives(tracks: Sequence[AnyTrack], slices: LNSlices) -> list[AnyTrack]:
    """Discard tracks whose centre lies outside the patient or whose median is brighter than the HU window.

    The network cannot distinguish intensities above the window: it mistakes metal on clothing, calcifications and bones in
    cross section for nodes. Calcified nodes are discarded too. The paper has no such rules (sec. 3.3).

    Parameters
    ----------
    tracks : sequence of Track
        Boxes in pixels of `slices`.
    slices : LNSlices
        The slices that the tracks lie on.

    Returns
    -------
    list of Track
        The remaining tracks, in the same order.
    """
    return [track for track in tracks if slices.is_in_body(_centre(track)) and _median_hu(track, slices) < HU_WINDOW[1]]


def _centre(track: Track) -> np.ndarray:
    """Return the mean centre of the boxes, (3,) voxel indices of the working grid."""
    return _sample_points(track, 0.0).mean((0, 1))


def _median_hu(track: Track, slices: LNSlices) -> float:
    """Return the median HU of the central half of the boxes."""
    points = slices.geometry.to_ras(_sample_points(track, 0.5).reshape(-1, 3))
    return float(np.median(slices.volume.sample(points, fill=HU_WINDOW[0])))


def _sample_points(track: Track, fraction: float) -> np.ndarray:
    """Return points in an ellipse at the centre of each box, `fraction` of its size: (slices, n, 3) voxel indices."""
    boxes = np.array(list(track.boxes.values()), float) - 0.5
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    in_plane = (low + high) / 2 + fraction * _DISC * (high - low) / 2
    levels = np.array(list(track.boxes), float)[:, None, None]
    return np.concatenate([in_plane, np.broadcast_to(levels, (*in_plane.shape[:2], 1))], -1)

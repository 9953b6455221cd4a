"""What a box cannot hold when it is to be a lymph node, whatever the network says of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oncotrack.detection.lntracker.grid import HU_WINDOW, LNSlices
from oncotrack.detection.lntracker.tracking import Track

_DISC = np.array([(x, y) for x in np.linspace(-1, 1, 5) for y in np.linspace(-1, 1, 5) if x * x + y * y <= 1])


def plausible(tracks: Sequence[Track], slices: LNSlices) -> list[Track]:
    """Those that may be nodes: their middle lies in the patient and is, by its median, not brighter than the HU window.

    The network is not shown how bright anything beyond the window is. It takes metal on clothes, calcifications and bones in
    cross section for nodes, and a calcified node is left out with them. The paper has no such rules (sec. 3.3).
    """
    return [track for track in tracks if slices.is_in_body(_middle(track)) and _median(track, slices) < HU_WINDOW[1]]


def _middle(track: Track) -> np.ndarray:
    """In voxels of the working grid."""
    return _discs(track, 0.0).mean((0, 1))


def _median(track: Track, slices: LNSlices) -> float:
    """HU in the middle of the boxes, half as wide as they are."""
    places = slices.geometry.to_ras(_discs(track, 0.5).reshape(-1, 3))
    return float(np.median(slices.volume.sample(places, fill=HU_WINDOW[0])))


def _discs(track: Track, share: float) -> np.ndarray:
    """(slices, n, 3) places in ellipses round the middle of each box, so large a share of it; voxels of the grid."""
    boxes = np.array(list(track.boxes.values()), float) - 0.5
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    across = (low + high) / 2 + share * _DISC * (high - low) / 2
    levels = np.array(list(track.boxes), float)[:, None, None]
    return np.concatenate([across, np.broadcast_to(levels, (*across.shape[:2], 1))], -1)

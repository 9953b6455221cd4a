"""A label map of the nodes: the ellipse inscribed in each slice box, as thick as its slice."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from oncotrack.findings.tracklet import Tracklet
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

_log = logging.getLogger(__name__)


def label_map(geometry: Geometry, tracklets: Sequence[Tracklet]) -> Volume:
    """Draw tracklets into a label map.

    Parameters
    ----------
    geometry : Geometry
        The scan's grid, in any orientation to the tracklets'.
    tracklets : sequence of Tracklet
        The nodes, at most 65535.

    Returns
    -------
    Volume of uint16
        n + 1 where a voxel's centre lies in tracklet n, 0 elsewhere. Where two overlap the later one is drawn, and a
        warning names both and the number of voxels.
    """
    array = np.zeros(geometry.shape, np.uint16)
    for number, tracklet in enumerate(tracklets, 1):
        _draw(array, geometry, tracklet, number)
    return Volume(array, geometry, "nodes")


def _draw(array: np.ndarray, geometry: Geometry, tracklet: Tracklet, number: int) -> None:
    low, high = tracklet.bounds()
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True), indexing="ij"), -1).reshape(-1, 3)
    ijk = geometry.to_ijk(corners)
    start = np.clip(np.floor(ijk.min(0)).astype(int), 0, geometry.size)
    stop = np.clip(np.ceil(ijk.max(0)).astype(int) + 1, 0, geometry.size)
    if (start >= stop).any():
        return
    k, j, i = np.meshgrid(*(np.arange(a, b) for a, b in zip(start[::-1], stop[::-1], strict=True)), indexing="ij")
    frame = np.stack([tracklet.u_axis, tracklet.v_axis, tracklet.step], 1)
    uvn = (geometry.to_ras(np.stack([i, j, k], -1)) - tracklet.origin) @ np.linalg.inv(frame).T
    slices = np.round(uvn[..., 2]).astype(int)
    part = array[start[2] : stop[2], start[1] : stop[1], start[0] : stop[0]]
    inside = np.zeros(part.shape, bool)
    for box in tracklet.boxes:
        middle, half = (np.add(box.low, box.high) / 2, np.subtract(box.high, box.low) / 2)
        ellipse = (((uvn[..., :2] - middle) / np.maximum(half, 1e-6)) ** 2).sum(-1) <= 1
        inside |= ellipse & (slices == box.slice_index)
    covered, counts = np.unique(part[inside & (part > 0)], return_counts=True)
    for other, count in zip(covered.tolist(), counts.tolist(), strict=True):
        _log.warning("Nodes %d and %d share %d voxels of the label map, drawn as %d.", other, number, count, number)
    part[inside] = number

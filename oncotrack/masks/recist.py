"""The way back: what a reader would measure on a mask."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy

from oncotrack.errors import InputError
from oncotrack.findings.finding import Axis, Box, Point
from oncotrack.findings.tracklet import SliceBox, Tracklet
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.diameters import diameters

THICKER = 1.3
"""Slices lie across the axis whose voxels are that much longer than the others; else across the patient's length."""


@dataclass(frozen=True)
class Measure:
    """Geometry of one mask. RAS mm, mm^3."""

    centre: Point
    box: Box
    tracklet: Tracklet
    long_axis: Axis
    short_axis: Axis
    volume_mm3: float

    @property
    def axes(self) -> RecistAxes:
        """Long and short axis as lines to draw.

        Raises
        ------
        InputError
            The mask is too small to be measured.
        """
        return RecistAxes(self.long_axis, self.short_axis)


def slice_axis(mask: Volume) -> int:
    """Which voxel axis (0, 1, 2 = i, j, k) the slices of a mask lie across: that of its single layer, or the scan's."""
    kji = np.argwhere(mask.array)
    flat = np.flatnonzero(np.ptp(kji, axis=0)[::-1] == 0) if len(kji) else []
    return int(flat[0]) if len(flat) == 1 else scan_axis(mask.geometry)


def scan_axis(geometry: Geometry) -> int:
    """Which voxel axis a scan's slices lie across: the one with clearly the longest voxels, or that nearest to S."""
    spacing = np.asarray(geometry.spacing)
    longest = int(spacing.argmax())
    lengthwise = int(np.abs(np.asarray(geometry.direction)[2]).argmax())
    return longest if spacing[longest] > THICKER * np.delete(spacing, longest).max() else lengthwise


def measure(mask: Volume, across: int | None = None) -> Measure:
    """Long and short axis, box, centre and volume of a mask.

    The long axis is the longest line inside the mask in any one slice; the short axis the longest one that crosses it
    at a right angle inside the mask, in the same slice (RECIST 1.1). Both end on the mask's outline, midway between
    the last voxel inside and the first one outside.

    Parameters
    ----------
    mask : Volume
        Inside where not 0; any orientation.
    across : int, optional
        Voxel axis (0, 1, 2 = i, j, k) that the slices lie across; `slice_axis` when missing.

    Raises
    ------
    InputError
        The mask is empty.
    """
    found = measure_masks(replace(mask, array=(mask.array != 0).astype(np.uint8)), across)
    if not found:
        raise InputError("The mask is empty: there is nothing to measure. Draw or choose another one.")
    return found[1]


def measure_masks(labels: Volume, across: int | None = 2) -> dict[int, Measure]:
    """`measure` of every value of a label map (0 is background), on slices across k unless said otherwise."""
    if across is None:
        across = slice_axis(labels)
    labels = sliced(labels, across)
    array = labels.array
    lowest = int(array[array > 0].min()) if (array > 0).any() else 0
    if not lowest:
        return {}
    found = scipy.ndimage.find_objects(np.maximum(array.astype(np.int32) - (lowest - 1), 0))
    return {
        lowest + n: _measure(array[where] == lowest + n, where, labels.geometry)
        for n, where in enumerate(found)
        if where is not None
    }


def sliced(volume: Volume, across: int) -> Volume:
    """The same voxels with axis `across` (0, 1, 2 = i, j, k) as the last one, k."""
    order = [axis for axis in range(3) if axis != across] + [across]
    if order == [0, 1, 2]:
        return volume
    grid = volume.geometry
    size, spacing = np.asarray(grid.size)[order], np.asarray(grid.spacing)[order]
    geometry = Geometry(tuple(size), tuple(spacing), grid.origin, np.asarray(grid.direction)[:, order])
    array = volume.array.transpose([2 - axis for axis in order[::-1]])
    return replace(volume, array=array, geometry=geometry)


def _measure(mask: np.ndarray, where: tuple[slice, slice, slice], geometry: Geometry) -> Measure:
    start = np.array([part.start for part in where])[::-1]
    kji = np.argwhere(mask)
    ijk = kji[:, ::-1] + start
    spacing = np.asarray(geometry.spacing)
    corners = np.stack([ijk.min(0) - 0.5, ijk.max(0) + 0.5])
    corners = geometry.to_ras(np.stack(np.meshgrid(*corners.T, indexing="ij"), -1).reshape(-1, 3))
    boxes, best = [], None
    for k in np.unique(kji[:, 0]):
        ij = ijk[kji[:, 0] == k, :2]
        low, high = (ij.min(0) - 0.5) * spacing[:2], (ij.max(0) + 0.5) * spacing[:2]
        boxes.append(SliceBox(int(k + start[2]), tuple(low), tuple(high)))
        long, short = diameters(mask[k], spacing[:2])
        length = float(np.linalg.norm(long[1] - long[0]))
        if best is None or length > best[0]:
            best = (length, long, short, int(k + start[2]))
    _, long, short, k = best

    def axis(ends: np.ndarray) -> Axis:
        places = geometry.to_ras([(*(end / spacing[:2] + start[:2]), k) for end in ends])
        return Axis(*map(tuple, places.tolist()))

    return Measure(
        centre=tuple(geometry.to_ras(ijk.mean(0)).tolist()),
        box=Box(tuple(corners.min(0)), tuple(corners.max(0))),
        tracklet=Tracklet.on(geometry, boxes),
        long_axis=axis(long),
        short_axis=axis(short),
        volume_mm3=float(len(kji) * spacing.prod()),
    )

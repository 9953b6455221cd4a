"""RECIST axes, box and volume measured on a mask."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import scipy

from oncotrack.errors import InputError
from oncotrack.findings.finding import Axis, Box, Point, point
from oncotrack.findings.packed_mask import PackedMask
from oncotrack.findings.tracklet import SliceBox, Tracklet
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.diameters import diameters

THICKER = 1.3
"""Least ratio of the longest voxel edge to the others for it to be the slice direction; see `scan_axis`."""


@dataclass(frozen=True)
class Measurement:
    """Geometry of one mask. RAS mm, mm^3."""

    centre: Point
    box: Box
    tracklet: Tracklet
    long_axis: Axis
    short_axis: Axis
    volume_mm3: float

    @property
    def axes(self) -> RecistAxes:
        """Long and short axis.

        Raises
        ------
        InputError
            An axis is shorter than 0.5 mm.
        """
        return RecistAxes(self.long_axis, self.short_axis)


def slice_axis(mask: Volume) -> int:
    """Return the voxel axis (0, 1, 2 = i, j, k) that is normal to the slices of a mask.

    It is the axis along which the mask is one voxel thick, if there is exactly one, else `scan_axis`.

    Parameters
    ----------
    mask : Volume
        Inside where not 0.
    """
    kji = np.argwhere(mask.array)
    flat = np.flatnonzero(np.ptp(kji, axis=0)[::-1] == 0) if len(kji) else []
    return int(flat[0]) if len(flat) == 1 else scan_axis(mask.geometry)


@lru_cache(1024)
def slice_count(mask: PackedMask) -> int:
    """Return how many slices a mask lies in, along its `slice_axis`.

    Parameters
    ----------
    mask : PackedMask
        The mask of an observation.
    """
    volume = mask.volume()
    axis = slice_axis(volume)
    return int(volume.array.any(axis=tuple({0, 1, 2} - {2 - axis})).sum())


def scan_axis(geometry: Geometry) -> int:
    """Return the voxel axis (0, 1, 2 = i, j, k) that is normal to a scan's slices.

    It is the axis along which voxels are longest by at least the factor `THICKER`, else the one nearest to the patient's
    S direction.

    Parameters
    ----------
    geometry : Geometry
        Grid of the scan.
    """
    spacing = np.asarray(geometry.spacing)
    longest = int(spacing.argmax())
    lengthwise = int(np.abs(np.asarray(geometry.direction)[2]).argmax())
    return longest if spacing[longest] > THICKER * np.delete(spacing, longest).max() else lengthwise


def measure(mask: Volume, across: int | None = None) -> Measurement:
    """Measure long and short axis, box, centre and volume of a mask.

    The long axis is the longest line inside the mask in any one slice; the short axis is the longest line inside the
    mask that crosses it at a right angle, in the same slice (RECIST 1.1). Both end on the mask's outline, midway
    between the last voxel inside and the first one outside.

    Parameters
    ----------
    mask : Volume
        Inside where not 0; any orientation.
    across : int, optional
        Voxel axis (0, 1, 2 = i, j, k) normal to the slices; by default `slice_axis`.

    Raises
    ------
    InputError
        The mask is empty.
    """
    found = measure_masks(replace(mask, array=(mask.array != 0).astype(np.uint8)), across)
    if not found:
        raise InputError("The mask is empty: there is nothing to measure. Draw or choose another one.")
    return found[1]


def measure_masks(labels: Volume, across: int | None = 2) -> dict[int, Measurement]:
    """Measure every label of a label map, as `measure` does.

    Parameters
    ----------
    labels : Volume
        Label map; 0 is background.
    across : int, optional
        Voxel axis (0, 1, 2 = i, j, k) normal to the slices; None for `slice_axis`.

    Returns
    -------
    dict of int to Measurement
        By label.
    """
    if across is None:
        across = slice_axis(labels)
    labels = with_slices_across(labels, across)
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


def with_slices_across(volume: Volume, across: int) -> Volume:
    """Return the same voxels with reordered axes, so that slices are normal to k.

    Parameters
    ----------
    volume : Volume
        An image or a label map.
    across : int
        The axis (0, 1, 2 = i, j, k) that becomes k.
    """
    order = [axis for axis in range(3) if axis != across] + [across]
    if order == [0, 1, 2]:
        return volume
    grid = volume.geometry
    size, spacing = np.asarray(grid.size)[order], np.asarray(grid.spacing)[order]
    direction = np.asarray(grid.direction)[:, order]
    geometry = Geometry(tuple(size), tuple(spacing), grid.origin, direction)  # pyright: ignore[reportArgumentType]
    array = volume.array.transpose([2 - axis for axis in order[::-1]])
    return replace(volume, array=array, geometry=geometry)


def _measure(mask: np.ndarray, where: tuple[slice, ...], geometry: Geometry) -> Measurement:
    """Measure the cropped mask of one label, whose crop is `where` in the label map."""
    start = np.array([part.start for part in where])[::-1]
    kji = np.argwhere(mask)
    ijk = kji[:, ::-1] + start
    spacing = np.asarray(geometry.spacing)
    frame = _plane_frame(geometry)
    corners = np.stack([ijk.min(0) - 0.5, ijk.max(0) + 0.5])
    corners = geometry.to_ras(np.stack(np.meshgrid(*corners.T, indexing="ij"), -1).reshape(-1, 3))
    boxes, measured = [], []
    for k in np.unique(kji[:, 0]):
        ij = ijk[kji[:, 0] == k, :2]
        low, high = (ij.min(0) - 0.5) * spacing[:2], (ij.max(0) + 0.5) * spacing[:2]
        boxes.append(SliceBox(int(k + start[2]), tuple(low), tuple(high)))
        long, short = diameters(mask[k], frame)
        measured.append((float(np.linalg.norm(long[1] - long[0])), long, short, int(k + start[2])))
    _, long, short, k = max(measured, key=lambda row: row[0])

    def to_axis(ends: np.ndarray) -> Axis:
        points = geometry.to_ras([(*(np.linalg.solve(frame, end) + start[:2]), k) for end in ends])
        return Axis(*map(point, points.tolist()))

    return Measurement(
        centre=point(geometry.to_ras(ijk.mean(0)).tolist()),
        box=Box(point(corners.min(0)), point(corners.max(0))),
        tracklet=Tracklet.on(geometry, boxes),
        long_axis=to_axis(long),
        short_axis=to_axis(short),
        volume_mm3=len(kji) * geometry.voxel_mm3,
    )


def _plane_frame(geometry: Geometry) -> np.ndarray:
    """Return the steps along i and j as the columns of a matrix, (2, 2), mm along two orthogonal axes of the slice."""
    steps = geometry.ijk_to_ras[:3, :2]
    along = steps[:, 0] / np.linalg.norm(steps[:, 0])
    across = steps[:, 1] - (steps[:, 1] @ along) * along
    return np.stack([along, across / np.linalg.norm(across)]) @ steps

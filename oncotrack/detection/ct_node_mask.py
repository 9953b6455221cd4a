"""The mask of a node in a CT from its slice boxes, by thresholds between the node and the fat around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy import ndimage

from oncotrack.findings.tracklet import Tracklet
from oncotrack.images.volume import Volume

MARGIN_MM = 12.0
_FAT_HU = -100.0
_REACH = 1.35  # of the ellipsoid in the box: what lies beyond is another structure
_LEAST_CONTRAST_HU = 20.0
_CAP_MM, _SOFT_HU, _FOOTPRINT = 3.0, -10.0, 4
_BRIGHTEST_HU = 130.0  # above the node's median: bone or a vessel with contrast agent


@dataclass(frozen=True, eq=False)
class NodePatch:
    """The surroundings of a node on the scan's own grid.

    Attributes
    ----------
    volume : Volume
        The CT, cropped to the node and 12 mm around it.
    inside : (d, h, w) ndarray
        Distance from the middle of the box, in units of the ellipsoid inscribed in it: 1 on its surface.
    mask : (d, h, w) bool ndarray
        The node; empty where nothing stands out in the box.
    median_hu, threshold_hu : float
        Median in the middle of the box, and the HU between the node and its surroundings.
    """

    volume: Volume
    inside: np.ndarray
    mask: np.ndarray
    median_hu: float
    threshold_hu: float

    @classmethod
    def of(cls, volume: Volume, low: np.ndarray, high: np.ndarray, margin_mm: float = MARGIN_MM) -> NodePatch:
        """Segment what fills a box.

        Parameters
        ----------
        volume : Volume
            CT in HU, any orientation.
        low, high : (3,) ndarray
            Corners of the box, RAS mm.
        margin_mm : float
            Of the surroundings.
        """
        geometry = volume.geometry
        corners = np.array([(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
        ijk = geometry.to_ijk(corners)
        around = margin_mm / np.asarray(geometry.spacing)
        size = np.asarray(geometry.size)
        start = np.clip(np.floor(ijk.min(0) - around), 0, size - 1).astype(int)
        stop = np.clip(np.ceil(ijk.max(0) + around) + 1, start + 1, size).astype(int)
        patch = volume.cropped(start, stop)
        hu = patch.array.astype(np.float32)
        middle = (ijk.min(0) + ijk.max(0)) / 2 - start
        half = np.maximum((ijk.max(0) - ijk.min(0)) / 2, 0.6)
        k, j, i = np.ogrid[tuple(slice(0, n) for n in hu.shape)]
        inside = np.sqrt(sum(((a - m) / h) ** 2 for a, m, h in zip((i, j, k), middle, half, strict=True)))
        core = inside <= max(0.6, float(inside.min()))
        median = float(np.median(hu[core]))
        shell = hu[(inside > 1.1) & (inside < 2.2)]
        around_hu = float(np.percentile(shell, 25)) if len(shell) else _FAT_HU
        below = float(np.clip(around_hu, _FAT_HU, median - _LEAST_CONTRAST_HU))
        threshold = (median + below) / 2
        labels, _ = cast(
            "tuple[np.ndarray, int]",
            ndimage.label((hu > threshold) & (hu < median + _BRIGHTEST_HU) & (inside <= _REACH)),
        )
        chosen = np.bincount(labels[core], minlength=2)
        chosen[0] = 0
        mask = (labels == chosen.argmax()) if chosen.any() else np.zeros(hu.shape, bool)
        for plane in mask:
            plane |= cast("np.ndarray", ndimage.binary_fill_holes(plane))
        return cls(patch, inside, mask, median, threshold)

    @property
    def label_volume(self) -> Volume:
        """The mask as a volume of 0 and 1 on the patch's grid."""
        return Volume(self.mask.astype(np.uint8), self.volume.geometry, "node")


def continuation(mask: np.ndarray, hu: np.ndarray, slice_mm: float) -> tuple[float, float]:
    """Return the share of soft tissue just below and just above a mask, under the footprint of its ends; 1 in a tube.

    Parameters
    ----------
    mask : (d, h, w) bool ndarray
        Not empty.
    hu : (d, h, w) ndarray
        The CT around it.
    slice_mm : float
        Distance of the slices.
    """
    levels = np.flatnonzero(mask.any(axis=(1, 2)))
    step = max(round(_CAP_MM / slice_mm), 1)
    shares = []
    for end, direction in ((levels[0], -1), (levels[-1], 1)):
        beyond = end + direction * step
        footprint = (
            mask[end] if mask[end].sum() >= _FOOTPRINT else mask[end] | mask[np.clip(end - direction, 0, len(mask) - 1)]
        )
        is_known = 0 <= beyond < len(mask)
        shares.append(float((hu[beyond][footprint] > _SOFT_HU).mean()) if is_known else 0.5)
    return shares[0], shares[1]


def mask_of_tracklet(volume: Volume, tracklet: Tracklet) -> Volume:
    """Return the mask of a node that a detector or a reader has boxed.

    Parameters
    ----------
    volume : Volume
        CT in HU.
    tracklet : Tracklet
        The node's slice boxes.

    Returns
    -------
    Volume
        1 in the node, on the scan's own grid, cropped; all 0 if nothing stands out in the boxes.
    """
    low, high = tracklet.bounds()
    return NodePatch.of(volume, np.asarray(low), np.asarray(high), margin_mm=6.0).label_volume

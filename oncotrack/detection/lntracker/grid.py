"""The slices that LN-Tracker reads: any CT turned to axial reading order, 0.8 x 0.8 x 2 mm, HU -200 to 300.

Sections 4.1 and 6.4 of the paper. Only a few slices are resampled at a time, so that memory does not grow with the scan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from oncotrack.errors import InputError
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

SPACING_MM = (0.8, 0.8, 2.0)
HU_WINDOW = (-200.0, 300.0)
CONTEXT = 4
"""Slices above and below the one that is read."""
_AIR_HU = -1000.0
_BODY_HU = -300.0
_ROOM_HU = -985.0
_COARSE_MM = 4.0
_LEAST_BODY_MM2 = 2000.0
_SLAB = 16


def reading_geometry(geometry: Geometry) -> Geometry:
    """The same voxels with i towards the patient's left, j to the back, k up: axes swapped and turned, none tilted."""
    direction = np.asarray(geometry.direction)
    wanted = np.diag([-1.0, -1.0, 1.0])
    likeness = wanted.T @ direction
    _, axes = linear_sum_assignment(-np.abs(likeness))
    signs = np.sign(likeness[range(3), axes])
    size, spacing = np.asarray(geometry.size)[axes], np.asarray(geometry.spacing)[axes]
    corner = np.zeros(3)
    corner[axes] = np.where(signs < 0, size - 1, 0)
    return Geometry(tuple(size), tuple(spacing), tuple(geometry.to_ras(corner)), direction[:, axes] * signs)


def check_ct(volume: Volume) -> None:
    """InputError with a sentence when the image is not a CT in Hounsfield units."""
    if volume.modality not in ("", "CT"):
        raise InputError(
            f"{volume.name} says that it is {volume.modality}, and lymph nodes are looked for in CT. Open the patient's CT."
        )
    thinned = volume.array[:: max(len(volume.array) // 64, 1), ::4, ::4]
    if not (thinned < -50).mean() > 0.005:
        raise InputError(
            f"{volume.name} holds no air and no fat by its numbers ({thinned.min():g} to {thinned.max():g}), so they are no "
            "Hounsfield units: it is an MR, a PET or a picture. Open the patient's CT."
        )


@dataclass(frozen=True, eq=False)
class LNSlices:
    """The slices of one CT as the network reads them, from the lowest up.

    Parameters
    ----------
    volume : Volume
        CT in HU, any orientation and spacing.
    """

    volume: Volume

    @cached_property
    def geometry(self) -> Geometry:
        """The working grid: the body's part of the image, reading order, about 0.8 x 0.8 x 2 mm."""
        whole = self._whole
        coarse, body, _ = self._body
        seen = body.any(axis=0)
        columns, rows = np.flatnonzero(seen.any(0)), np.flatnonzero(seen.any(1))
        scale = np.asarray(coarse.spacing[:2]) / whole.spacing[:2]
        low = np.floor((np.array([columns[0], rows[0]]) - 2) * scale).astype(int)
        high = np.ceil((np.array([columns[-1], rows[-1]]) + 3) * scale).astype(int)
        low, high = np.maximum(low, 0), np.minimum(high, whole.size[:2])
        size = (*(high - low), whole.size[2])
        return Geometry(size, whole.spacing, tuple(whole.to_ras((*low, 0))), whole.direction)

    def __len__(self) -> int:
        return self.geometry.size[2]

    def slab(self, first: int, last: int) -> np.ndarray:
        """(last - first, H, W) float32 in 0 to 1; slices beyond the scan repeat its last ones."""
        inside = range(max(first, 0), max(min(last, len(self)), max(first, 0) + 1))
        start = min(inside.start, len(self) - 1)
        stop = min(max(inside.stop, start + 1), len(self))
        grid = self.geometry
        part = Geometry((*grid.size[:2], stop - start), grid.spacing, tuple(grid.to_ras((0, 0, start))), grid.direction)
        low, high = HU_WINDOW
        array = self.volume.resampled(part, fill=_AIR_HU).array
        array = (np.clip(array, low, high) - low) / (high - low)
        return array[np.clip(np.arange(first, last), start, stop - 1) - start].astype(np.float32)

    def stack(self, index: int) -> np.ndarray:
        """(9, H, W): slice `index` with its four neighbours on each side."""
        return self.slab(index - CONTEXT, index + CONTEXT + 1)

    def stacks(self, indices: range) -> Iterator[tuple[int, np.ndarray]]:
        """Index and (9, H, W) stack one after the other, upwards or downwards, resampled a few slices at a time."""
        for begin in range(0, len(indices), _SLAB):
            chunk = indices[begin : begin + _SLAB]
            lowest = min(chunk) - CONTEXT
            slab = self.slab(lowest, max(chunk) + CONTEXT + 1)
            for n in chunk:
                yield n, slab[n - CONTEXT - lowest : n + CONTEXT + 1 - lowest]

    def is_in_body(self, ijk: Sequence[float]) -> bool:
        """Whether a place, in voxels of `geometry`, lies in the patient: not in the air around, nor in what hangs there."""
        coarse, inside = self._patient
        i, j, k = np.round(coarse.to_ijk(self.geometry.to_ras(ijk))).astype(int).clip(0, np.array(coarse.size) - 1)
        return bool(inside[k, j, i])

    @cached_property
    def _patient(self) -> tuple[Geometry, np.ndarray]:
        """Voxels of a few millimetres and, (D, H, W) bool, which of them show the patient, lungs and bowel gas included.

        The rule judges whether detections lie in the patient, so it must lose no part of them: skin, the wall of the
        chest and lungs that the field of view cuts open are kept. `datasets.body.body_mask` is the stricter rule for
        positions of synthetic lesions. A lung that a round field of view cuts open is taken for the room where the scan
        holds nothing beyond that.
        """
        coarse, body, array = self._body
        # less is taken away than of `_body`: the wall of the chest is thin, and open a lung would be the room
        labels, _ = ndimage.label(ndimage.binary_opening(array > _BODY_HU, np.ones((1, 2, 2))))
        inside = labels == np.bincount(labels[body]).argmax()
        for plane, hu in zip(inside, array, strict=True):
            gaps, count = ndimage.label(~plane)
            edges = np.unique(np.concatenate([gaps[[0, -1]].ravel(), gaps[:, [0, -1]].ravel()]))
            if edges[0] == 0:
                # the field of view cuts through the body, and may cut through a lung: only pure air is the room then
                median = ndimage.median(hu, gaps, range(count + 1))
                edges = edges[median[edges] < _ROOM_HU]
            plane[:] = ~np.isin(gaps, edges)
        return coarse, ndimage.binary_dilation(inside, np.ones((1, 3, 3)))

    @cached_property
    def _whole(self) -> Geometry:
        """All of the image in reading order, about 0.8 x 0.8 x 2 mm."""
        return reading_geometry(self.volume.geometry).with_spacing(SPACING_MM)

    @cached_property
    def _body(self) -> tuple[Geometry, np.ndarray, np.ndarray]:
        """Voxels of a few millimetres, which of them belong to the largest dense thing, and their HU; (D, H, W) both."""
        whole = self._whole
        coarse = whole.with_spacing((_COARSE_MM, _COARSE_MM, max(_COARSE_MM, whole.spacing[2])))
        array = self.volume.resampled(coarse, fill=_AIR_HU).array
        # a table is thin: opening removes it
        dense = ndimage.binary_opening(array > _BODY_HU, np.ones((1, 5, 5)))
        labels, count = ndimage.label(dense)
        pixel = coarse.spacing[0] * coarse.spacing[1]
        if count:
            sizes = np.bincount(labels.ravel())
            sizes[0] = 0
            dense = labels == sizes.argmax()
        if not count or dense.sum(axis=(1, 2)).max() * pixel < _LEAST_BODY_MM2:
            raise InputError(
                f"{self.volume.name} shows no body: nothing in it is as dense as tissue over a hand's breadth."
            )
        return coarse, dense, array

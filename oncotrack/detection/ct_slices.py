"""CT slices as the detectors read them: axial reading order, 0.8 x 0.8 x 2 mm, HU -200 to 300 (LN-Tracker, sec. 4.1, 6.4).

Only a few slices are resampled at a time, so memory does not grow with the length of the scan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
from scipy import ndimage

from oncotrack.detection.orientation import reading_geometry
from oncotrack.errors import InputError
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

SPACING_MM = (0.8, 0.8, 2.0)
HU_WINDOW = (-200.0, 300.0)
CONTEXT = 4
"""Neighbouring slices read on each side of a slice."""
_AIR_HU = -1000.0
_BODY_HU = -300.0
_ROOM_HU = -985.0
_ROOM_WITH_PADS_HU = -900.0
_COARSE_MM = 4.0
_LEAST_BODY_MM2 = 2000.0
_SLAB = 16


def check_ct(volume: Volume) -> None:
    """Check that an image is a CT in Hounsfield units.

    Parameters
    ----------
    volume : Volume
        The image.

    Raises
    ------
    InputError
        Another modality, or intensities that cannot be Hounsfield units.
    """
    if volume.modality not in ("", "CT"):
        raise InputError(
            f"The modality of {volume.name} is {volume.modality}, but this lymph node detector reads CT only. Open the "
            "patient's CT."
        )
    if volume.hounsfield_problem:
        raise InputError(f"{volume.name} {volume.hounsfield_problem}")


@dataclass(frozen=True, eq=False)
class LNSlices:
    """The slices of one CT as a network reads them, from the feet up.

    Parameters
    ----------
    volume : Volume
        CT in HU, any orientation and spacing.
    """

    volume: Volume

    @cached_property
    def geometry(self) -> Geometry:
        """Working grid: the part of the image with the body, reading order, about 0.8 x 0.8 x 2 mm."""
        whole = self._whole
        coarse, body, _ = self._body
        footprint = np.asarray(body.any(axis=0))
        columns, rows = np.flatnonzero(footprint.any(axis=0)), np.flatnonzero(footprint.any(axis=-1))
        scale = np.asarray(coarse.spacing[:2]) / whole.spacing[:2]
        low = np.floor((np.array([columns[0], rows[0]]) - 2) * scale).astype(int)
        high = np.ceil((np.array([columns[-1], rows[-1]]) + 3) * scale).astype(int)
        low, high = np.maximum(low, 0), np.minimum(high, whole.size[:2])
        size = (*(high - low), whole.size[2])
        return Geometry(size, whole.spacing, tuple(whole.to_ras((*low, 0))), whole.direction)

    def __len__(self) -> int:
        return self.geometry.size[2]

    def slab(self, first: int, last: int) -> np.ndarray:
        """Resample consecutive slices; beyond the scan its outermost slices are repeated.

        Parameters
        ----------
        first, last : int
            Index of the first slice, and one past the last slice.

        Returns
        -------
        (last - first, H, W) float32 ndarray
            0 to 1 over `HU_WINDOW`.
        """
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
        """Resample a slice with its four neighbours on each side.

        Parameters
        ----------
        index : int
            The slice in the centre.

        Returns
        -------
        (9, H, W) float32 ndarray
            0 to 1 over `HU_WINDOW`.
        """
        return self.slab(index - CONTEXT, index + CONTEXT + 1)

    def stacks(self, indices: range) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the stacks of several slices in order, resampling a few slices at a time.

        Parameters
        ----------
        indices : range
            Ascending or descending, in steps of one.

        Yields
        ------
        index : int
            Slice index.
        stack : (9, H, W) float32 ndarray
            See `stack`.
        """
        for begin in range(0, len(indices), _SLAB):
            chunk = indices[begin : begin + _SLAB]
            lowest = min(chunk) - CONTEXT
            slab = self.slab(lowest, max(chunk) + CONTEXT + 1)
            for n in chunk:
                yield n, slab[n - CONTEXT - lowest : n + CONTEXT + 1 - lowest]

    def is_in_body(self, ijk: Sequence[float] | np.ndarray) -> bool:
        """Return whether a point lies in the patient, as opposed to the surrounding air and objects in it.

        Parameters
        ----------
        ijk : (3,) float
            Voxel indices of `geometry`.

        Returns
        -------
        bool
            True in lungs and bowel gas too.
        """
        coarse, inside = self._patient
        i, j, k = np.round(coarse.to_ijk(self.geometry.to_ras(ijk))).astype(int).clip(0, np.array(coarse.size) - 1)
        return bool(inside[k, j, i])

    @property
    def coarse(self) -> tuple[Geometry, np.ndarray, np.ndarray]:
        """Coarse grid in reading order (about 4 mm), (D, H, W) bool mask of the patient with lungs and gas, and (D, H, W) HU."""
        grid, inside = self._patient
        return grid, inside, self._body[2]

    @cached_property
    def _patient(self) -> tuple[Geometry, np.ndarray]:
        """Coarse grid and (D, H, W) bool mask of the patient, lungs and bowel gas included.

        The rule judges whether detections lie in the patient, so it must lose no part of them: skin, chest wall and lungs
        that the field of view cuts open are kept. `datasets.body.body_mask` is the stricter rule for positions of synthetic
        lesions. A lung that is cut open by a round field of view counts as room air if the scan contains no values outside it.
        """
        coarse, body, array = self._body
        # a weaker opening than in `_body`: the chest wall is thin, and an opened lung would count as room air
        labels, _ = _components(ndimage.binary_opening(array > _BODY_HU, np.ones((1, 2, 2))))
        inside = labels == np.bincount(labels[body]).argmax()
        for plane, hu in zip(inside, array, strict=True):
            gaps, count = _components(~plane)
            edges = np.unique(np.concatenate([gaps[[0, -1]].ravel(), gaps[:, [0, -1]].ravel()]))
            if edges[0] == 0:
                # the field of view cuts through the body, and perhaps through a lung, which rarely reaches a corner of the
                # image: elsewhere only pure air is the room then, in a corner also air with clothes and pads
                median = np.asarray(ndimage.median(hu, gaps, range(count + 1)))
                is_corner = np.isin(edges, gaps[[0, 0, -1, -1], [0, -1, 0, -1]])
                edges = edges[median[edges] < np.where(is_corner, _ROOM_WITH_PADS_HU, _ROOM_HU)]
            plane[:] = ~np.isin(gaps, edges)
        return coarse, ndimage.binary_dilation(inside, np.ones((1, 3, 3)))

    @cached_property
    def _whole(self) -> Geometry:
        """The whole image in reading order, about 0.8 x 0.8 x 2 mm."""
        return reading_geometry(self.volume.geometry).with_spacing(SPACING_MM)

    @cached_property
    def _body(self) -> tuple[Geometry, np.ndarray, np.ndarray]:
        """Coarse grid (a few mm), (D, H, W) bool mask of the largest dense component, and (D, H, W) HU."""
        whole = self._whole
        coarse = whole.with_spacing((_COARSE_MM, _COARSE_MM, max(_COARSE_MM, whole.spacing[2])))
        array = self.volume.resampled(coarse, fill=_AIR_HU).array
        # a table is thin: opening removes it
        dense = ndimage.binary_opening(array > _BODY_HU, np.ones((1, 5, 5)))
        labels, count = _components(dense)
        pixel_mm2 = coarse.spacing[0] * coarse.spacing[1]
        if count:
            sizes = np.bincount(labels.ravel())
            sizes[0] = 0
            dense = labels == sizes.argmax()
        if not count or dense.sum(axis=(1, 2)).max() * pixel_mm2 < _LEAST_BODY_MM2:
            raise InputError(
                f"{self.volume.name} shows no body: it contains no region of tissue density as large as a hand's breadth. "
                "Open a CT of the patient."
            )
        return coarse, dense, array


def _components(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the labels 1, 2, ... of connected components, in the shape of the mask, and their number."""
    return cast("tuple[np.ndarray, int]", ndimage.label(mask))

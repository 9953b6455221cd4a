"""Body, lungs, gas, bone and deep fat of a CT on a grid of 4 mm, by thresholds and shape."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
from scipy import ndimage

from oncotrack.detection.ct_slices import LNSlices
from oncotrack.images.geometry import Geometry

_GAS_HU, _LUNG_HU, _BONE_HU, _MUSCLE_HU = -400.0, (-945.0, -600.0), 220.0, -10.0
_FAT_HU = -150.0, -30.0
_LEAST_LUNG_ML, _CERTAIN_LUNG = 120.0, 6.0  # bowel gas is less than six times the least lung
_SKIN_MM, _GAP_MM = 8.0, 20.0
_VESSEL_IN_LUNG_MM = 10.0
_LEAST_BONE_ML = 1.0
_LEAST_MUSCLE_MM2 = 200.0
_UNENHANCED_HU = 50.0


@dataclass(frozen=True, eq=False)
class Tissues:
    """Tissues of a CT on a coarse grid in reading order: i to the patient's left, j to the back, k to the head.

    Attributes
    ----------
    grid : Geometry
        About 4 x 4 x 4 mm.
    hu : (D, H, W) ndarray
        The CT on this grid.
    body : (D, H, W) bool ndarray
        The patient, lungs and bowel gas included.
    lungs : (D, H, W) bool ndarray
        Air of both lungs, without the vessels in them and without the airway.
    gas : (D, H, W) bool ndarray
        All gas in the body: lungs, airway, bowel.
    bone : (D, H, W) bool ndarray
        Bone and what it encloses (marrow, spinal canal, brain).
    deep : (D, H, W) bool ndarray
        Inside the muscles of the body wall: without skin, subcutaneous fat and breast.
    """

    grid: Geometry
    hu: np.ndarray
    body: np.ndarray
    lungs: np.ndarray
    gas: np.ndarray
    bone: np.ndarray
    deep: np.ndarray

    @classmethod
    def of(cls, slices: LNSlices) -> Tissues:
        """Find the tissues of a CT.

        Parameters
        ----------
        slices : LNSlices
            The CT.

        Raises
        ------
        InputError
            The image shows no body.
        """
        grid, body, hu = slices.coarse
        gas = body & (hu < _GAS_HU)
        litres = abs(float(np.prod(grid.spacing))) / 1e6
        lungs = _lungs(hu, gas, _LEAST_LUNG_ML / 1000 / litres)
        return cls(grid, hu, body, lungs, gas, _bone(hu, body, _LEAST_BONE_ML / 1000 / litres), _deep(hu, body, grid))

    @property
    def deep_fat(self) -> np.ndarray:
        """(D, H, W) bool ndarray: fat in which lymph nodes lie, not the subcutaneous fat."""
        return self.deep & (self.hu > _FAT_HU[0]) & (self.hu < _FAT_HU[1])

    @cached_property
    def blood_hu(self) -> float:
        """HU of the brightest large soft tissues, which are the heart and the great vessels in an enhanced scan."""
        soft = (
            self.body
            & (self.hu > 0)
            & (self.hu < 400)
            & ~np.asarray(ndimage.binary_dilation(self.bone, iterations=2), bool)
        )
        soft = np.asarray(ndimage.binary_erosion(soft, np.ones((1, 3, 3))), bool)
        return float(np.percentile(self.hu[soft], 97)) if soft.any() else _UNENHANCED_HU

    @cached_property
    def inside_lungs(self) -> np.ndarray:
        """(D, H, W) bool ndarray: the lungs with their vessels and nodules, up to a few mm from the pleura and the hilum."""
        mm = self.grid.spacing[0]
        steps = max(round(_VESSEL_IN_LUNG_MM / mm), 1)
        closed = ndimage.binary_closing(np.pad(self.lungs, steps + 1), ndimage.generate_binary_structure(3, 1), steps)
        part = tuple(slice(steps + 1, -steps - 1) for _ in range(3))
        return self.lungs | cast("np.ndarray", closed)[part]


def components(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the labels 1, 2, ... of connected parts, in the shape of the mask, and their number.

    Parameters
    ----------
    mask : bool ndarray
        Any shape.
    """
    return cast("tuple[np.ndarray, int]", ndimage.label(mask))


def disc(radius: int) -> np.ndarray:
    """Return a disc within the slice, (1, 2 r + 1, 2 r + 1) bool.

    Parameters
    ----------
    radius : int
        Voxels.
    """
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return (x * x + y * y <= radius * radius + 1)[None]


def _lungs(hu: np.ndarray, gas: np.ndarray, least_voxels: float) -> np.ndarray:
    """Return the large parts of the gas that are lung; the airway is too small to remain.

    The inside of bowel gas is pure air, unless the part is larger than any bowel. Air of the room that the outline of the
    body lets in reaches two sides of the image; a lung reaches at most one, in a scan of one half of the chest.
    """
    labels, count = components(ndimage.binary_opening(gas, disc(1)))
    if not count:
        return np.zeros_like(gas)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    inside = np.where(ndimage.binary_erosion(labels > 0, disc(2)), labels, 0)
    medians = np.nan_to_num(np.asarray(ndimage.median(hu, inside, range(count + 1))), nan=0.0)
    ends = [np.unique(side) for side in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1])]
    sides = np.bincount(np.concatenate(ends), minlength=count + 1)
    is_lung = (medians > _LUNG_HU[0]) | (sizes >= _CERTAIN_LUNG * least_voxels)
    kept = (sizes >= least_voxels) & is_lung & (medians < _LUNG_HU[1]) & (sides < 2)
    kept[0] = False
    return kept[labels] & gas


def _bone(hu: np.ndarray, body: np.ndarray, least_voxels: float) -> np.ndarray:
    """Return dense parts that are not small, with what they enclose within a slice."""
    labels, _ = components(body & (hu > _BONE_HU))
    kept = np.bincount(labels.ravel()) >= least_voxels
    kept[0] = False
    bone = kept[labels]
    for plane in bone:
        ring = ndimage.binary_closing(np.pad(plane, 2), disc(1)[0])[2:-2, 2:-2]
        plane |= cast("np.ndarray", ndimage.binary_fill_holes(ring))
    return bone


def _deep(hu: np.ndarray, body: np.ndarray, grid: Geometry) -> np.ndarray:
    """Return what the muscles of the body wall enclose, slice by slice.

    Muscle, organs, bone and lungs below the skin are joined over gaps of twice `_GAP_MM`, which keeps the fat of the
    armpit and of the groin; the fat outside them is subcutaneous.
    """
    import cv2

    skin, gap = (max(round(mm / grid.spacing[0]), 1) for mm in (_SKIN_MM, _GAP_MM))
    shapes = {radius: disc(radius)[0].astype(np.uint8) for radius in (skin, gap)}
    out = np.zeros_like(body)
    for n, plane in enumerate(body):
        inner = cv2.erode(plane.astype(np.uint8), shapes[skin], borderType=cv2.BORDER_REPLICATE) > 0
        firm = (inner & ((hu[n] > _MUSCLE_HU) | (hu[n] < _GAS_HU))).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(firm, connectivity=4)
        small = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] * grid.spacing[0] * grid.spacing[1] < _LEAST_MUSCLE_MM2)
        firm[np.isin(labels, small)] = 0  # strands and vessels in the subcutaneous fat
        padded = np.pad(firm, gap + 1, mode="edge")
        closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, shapes[gap])[gap + 1 : -gap - 1, gap + 1 : -gap - 1] > 0
        out[n] = cast("np.ndarray", ndimage.binary_fill_holes(closed)) & inner
    return out

"""The anatomy of one CT: the region of a position, and what cannot be a node there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from oncotrack.detection.anatomy import regions
from oncotrack.detection.anatomy.landmarks import Landmarks
from oncotrack.detection.anatomy.regions import Region
from oncotrack.detection.anatomy.tissues import Tissues
from oncotrack.detection.ct_slices import LNSlices
from oncotrack.detection.midline import Midline
from oncotrack.images.geometry import Geometry

_HILUM_ABOVE_MM, _HILUM_BELOW_MM, _HILUM_OFF_MM, _HILUM_TO_LUNG_MM = 12.0, 55.0, 22.0, 18.0
_NECK_MM = 75.0  # from the middle of the body, above the lungs
_AXILLA_BELOW_CARINA_MM, _AXILLA_FROM_RIBS_MM = 60.0, 6.0
_SPINE_TO_FRONT_MM = 62.0  # from the spinal canal to the front of aorta and vena cava
_UPPER_ABDOMEN_MM = 130.0  # below the dome of the diaphragm
_PELVIS_MM, _GROIN_ABOVE_MM, _GROIN_BELOW_MM = 95.0, 35.0, 60.0  # from the middle of the femoral heads
_WALL_MM = 14.0  # of tissue between lung and the outside of the ribs


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Tissues and landmarks of one CT.

    Attributes
    ----------
    tissues : Tissues
        Body, lungs, gas, bone, deep fat.
    landmarks : Landmarks
        Trachea, carina, diaphragm, spine, femoral heads.
    chest : (D, H, W) bool ndarray
        Inside the ribs, on slices with lung: the lungs and what lies between them.
    to_lung, to_bone : (D, H, W) ndarray
        Distance from the lungs and from bone, mm; infinite without.
    """

    tissues: Tissues
    landmarks: Landmarks
    chest: np.ndarray
    to_lung: np.ndarray
    to_bone: np.ndarray

    @classmethod
    def of(cls, slices: LNSlices, midline: Midline | None = None) -> Anatomy:
        """Find the anatomy of a CT, in about two seconds.

        Parameters
        ----------
        slices : LNSlices
            The CT.
        midline : Midline, optional
            Of the same scan; found when missing.

        Raises
        ------
        InputError
            The image shows no body.
        """
        tissues = Tissues.of(slices)
        landmarks = Landmarks.of(tissues, midline or Midline.of(slices.volume))
        to_lung, to_bone = (_distance_mm(mask, tissues.grid) for mask in (tissues.lungs, tissues.bone))
        return cls(tissues, landmarks, _chest(tissues), to_lung, to_bone)

    @property
    def grid(self) -> Geometry:
        """The coarse grid of the tissues."""
        return self.tissues.grid

    def region(self, ras: Sequence[float]) -> Region | None:
        """Return the region of a position; None where the landmarks that decide it are missing.

        Parameters
        ----------
        ras : (3,) float
            RAS mm.
        """
        k, j, i = self.index_of(ras)
        marks, mm = self.landmarks, self.grid.spacing
        if self.tissues.inside_lungs[k, j, i]:
            return regions.LUNG
        off = abs(i - marks.middle[k]) * mm[0]
        if np.isfinite(marks.lung_base).any():
            base = marks.lung_base[j, i]
            if marks.apex is not None and k > marks.apex:
                return self._above_lungs(off)
            if k >= base or (marks.is_base_cut and base < 2):
                return self._beside_lungs(k, j, i, off)
        return self._below_lungs(k, j, i)

    def cannot_be_node(self, points: np.ndarray) -> str:
        """Return why the central part of a box cannot be a node, in a few words; "" if it can.

        Parameters
        ----------
        points : (N, 3) ndarray
            Positions in the central half of the box, RAS mm.
        """
        size = np.array(self.grid.size[::-1])
        index = np.round(self.grid.to_ijk(points))[:, ::-1].astype(int).clip(0, size - 1)
        at = tuple(index.T)
        for name, mask in (
            ("outside the body", ~self.tissues.body),
            ("inside the lung", self.inside_lungs),
            ("gas", self.tissues.gas),
            ("bone", self.tissues.bone),
        ):
            if mask[at].mean() >= 0.5:
                return name
        return ""

    @property
    def inside_lungs(self) -> np.ndarray:
        """(D, H, W) bool ndarray: the lungs with their vessels and nodules."""
        return self.tissues.inside_lungs

    def index_of(self, ras: Sequence[float] | np.ndarray) -> tuple[int, int, int]:
        """Return slice, row and column of the nearest voxel of the grid.

        Parameters
        ----------
        ras : (3,) float
            RAS mm.
        """
        i, j, k = np.round(self.grid.to_ijk(ras)).astype(int).clip(0, np.array(self.grid.size) - 1)
        return int(k), int(j), int(i)

    def _above_lungs(self, off: float) -> Region | None:
        if np.isnan(off):
            return None
        return regions.NECK if off < _NECK_MM else regions.AXILLA

    def _beside_lungs(self, k: int, j: int, i: int, off: float) -> Region | None:
        """Return the region of a position at the height of the lungs."""
        marks, mm = self.landmarks, self.grid.spacing[2]
        if self.chest[k, j, i]:
            if marks.carina is None:
                return regions.MEDIASTINUM
            up = (k - marks.carina) * mm
            is_at_root = -_HILUM_BELOW_MM < up < _HILUM_ABOVE_MM and self.to_lung[k, j, i] < _HILUM_TO_LUNG_MM
            if is_at_root and off > _HILUM_OFF_MM and self._is_at_middle_depth(k, j):
                return regions.HILUM
            return regions.UPPER_MEDIASTINUM if up >= 0 else regions.LOWER_MEDIASTINUM
        across = np.flatnonzero(self.chest[k].any(0))
        widest = np.abs(across - marks.middle[k]).max() * self.grid.spacing[0] if len(across) else np.nan
        is_high = marks.carina is not None and (k - marks.carina) * mm > -_AXILLA_BELOW_CARINA_MM
        is_outside_ribs = self.to_lung[k, j, i] > _WALL_MM + _AXILLA_FROM_RIBS_MM
        if is_high and is_outside_ribs and off > 0.8 * widest and self._is_at_middle_depth(k, j, 0.12):
            return regions.AXILLA
        return regions.CHEST_WALL

    def _is_at_middle_depth(self, k: int, j: int, margin: float = 0.25) -> bool:
        """Return whether a row lies between the front and the back of the chest, away from both."""
        rows = np.flatnonzero(self.chest[k].any(1))
        if not len(rows):
            return False
        share = (j - rows[0]) / max(rows[-1] - rows[0], 1)
        return margin < share < 1 - margin + 0.1

    def _below_lungs(self, k: int, j: int, i: int) -> Region | None:
        """Return the region of a position below the diaphragm, or in a scan without lungs."""
        marks, mm = self.landmarks, self.grid.spacing
        if marks.femoral_heads is not None:
            up = (k - marks.femoral_heads) * mm[2]
            if up < _PELVIS_MM:
                is_deep = bool(self.tissues.deep[k, j, i])
                if -_GROIN_BELOW_MM < up < _GROIN_ABOVE_MM and self._is_before_femur(k, j, i):
                    return regions.GROIN
                return regions.PELVIS if is_deep and up > -_GROIN_ABOVE_MM else None
        elif not np.isfinite(marks.lung_base).any():
            return None
        if not self.tissues.deep[k, j, i]:
            return regions.ABDOMINAL_WALL
        if np.isnan(marks.spine[k]):
            return None
        if (marks.spine[k] - j) * mm[1] < _SPINE_TO_FRONT_MM:
            return regions.RETROPERITONEUM
        is_upper = (marks.dome - k) * mm[2] < _UPPER_ABDOMEN_MM  # False without lungs
        return regions.UPPER_ABDOMEN if is_upper else regions.MESENTERY

    def _is_before_femur(self, k: int, j: int, i: int) -> bool:
        """Return whether a position lies in front of the bones of its side on this slice."""
        near = self.tissues.bone[k][:, max(i - 6, 0) : i + 7]
        rows = np.flatnonzero(near.any(1))
        return bool(len(rows) and j < rows[0] + 3)


def _distance_mm(mask: np.ndarray, grid: Geometry) -> np.ndarray:
    if not mask.any():
        return np.full(mask.shape, np.inf)
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=grid.spacing[::-1]))


def _chest(tissues: Tissues) -> np.ndarray:
    """Return the convex hull of the lungs on each slice, (D, H, W) bool."""
    from skimage.morphology import convex_hull_image

    out = np.zeros_like(tissues.lungs)
    for n, plane in enumerate(tissues.lungs):
        if plane.sum() > 12:
            out[n] = np.asarray(convex_hull_image(plane)) & tissues.body[n]
    return out

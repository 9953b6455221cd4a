"""Whether intensities are Hounsfield units: by the image, not by the modality that its file states.

Every rule needs evidence that no CT shows, whole or cropped, with metal, contrast or padding: a refusal is a statement about
the patient's scan. Tested on 16 CTs of public data sets (LIDC-IDRI, CRLM, Lung-PET-CT-Dx, STS, TotalSegmentator and others) and
20,000 crops of them from 15 to 200 mm without a refusal, and on the same CTs with shifted, inverted and rescaled intensities.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

_AIR_HU = -200.0  # lung and the air around a patient are below
_PADDING_HU = -1300.0  # noise of air stays above
_FAT_HU = -50.0
_LEAST_DARK = 0.005
_SAMPLE = 120_000
_FEWEST = 100
_SMALL_MM = 60.0  # crops below it can lie inside one bone, one vessel or an implant
_WIDE_MM = 200.0  # no part of a body is that wide without fat or air
_SOFT_TISSUE_SHIFTED = (854.0, 1304.0)  # -170 to 280 HU, with an offset of 1024 or 1000


def are_hounsfield_units(modality: str, array: np.ndarray, spacing: Sequence[float]) -> bool:
    """Return whether intensities are to be read as Hounsfield units: the only rule for it in OncoTrack.

    Parameters
    ----------
    modality : str
        DICOM modality; where it is known, it decides.
    array : (D, H, W) ndarray
        Intensities. Without a modality, an image that reaches air and does not contradict Hounsfield units is a CT.
    spacing : (3,) sequence of float
        Voxel size along i, j, k, mm.
    """
    if modality:
        return modality == "CT"
    return float(array.min()) <= _AIR_HU and not problem(array, spacing)


def problem(array: np.ndarray, spacing: Sequence[float], *, may_be_other: bool = False) -> str:
    """Return why intensities cannot be Hounsfield units, or "" when they can.

    Parameters
    ----------
    array : (D, H, W) ndarray
        Intensities.
    spacing : (3,) sequence of float
        Voxel size along i, j, k, mm.
    may_be_other : bool
        The image may also be an MR or a PET: only a CT whose intensities were shifted or inverted has a problem.

    Returns
    -------
    str
        What the image does, to follow its name in a sentence; it ends with what to do.
    """
    sample = _Sample(array, spacing)
    if len(sample.tissue) < _FEWEST:
        return ""
    if sample.is_inverted:
        return (
            "is not in Hounsfield units: air is bright and bone is dark, so the intensities are inverted (MONOCHROME1, "
            "or a negative). Export it again as a CT with its original intensities."
        )
    if sample.is_shifted:
        return (
            f"is not in Hounsfield units: soft tissue lies near {sample.soft_tissue:.0f} instead of 40, so the offset "
            "of -1024 was lost. Export it again with its rescale intercept, or subtract 1024."
        )
    if not may_be_other and (reason := sample.contradiction):
        return (
            f"is not in Hounsfield units: {reason}. It is probably an MR, a PET or a picture. Choose the patient's CT, "
            "or export it again."
        )
    return ""


class _Sample:
    """A regular sample of an image's voxels, and what contradicts Hounsfield units in it."""

    def __init__(self, array: np.ndarray, spacing: Sequence[float]) -> None:
        step = max(1, round((array.size / _SAMPLE) ** (1 / 3)))
        first = min(step, max(1, len(array) // 8))
        rest = max(1, round((array.size / first / _SAMPLE) ** 0.5))
        self.voxels = array[::first, ::rest, ::rest].astype(np.float32).ravel()
        extent = np.sort(np.asarray(spacing, float) * array.shape[::-1])
        self.width_mm = float(extent[1])
        """Field of view, the second largest of the three."""

    @cached_property
    def tissue(self) -> np.ndarray:
        """The voxels without padding: nothing below air."""
        return self.voxels[self.voxels >= _PADDING_HU]

    @property
    def is_inverted(self) -> bool:
        """Air as a peak at about +1000 with nothing above, soft tissue as negative numbers, and little at -1000."""
        bright = _part(self.tissue, 800, 1150)
        return (
            self.width_mm >= _SMALL_MM
            and bright > 0.1
            and _part(self.tissue, 1150) < 0.01
            and _part(self.tissue, high=-800) < bright / 5
            and _part(self.tissue, -150, -10) > 0.05
        )

    @property
    def is_shifted(self) -> bool:
        """Soft tissue as a peak at about 1040 with little beside it, and below zero neither fat nor air, but for a margin."""
        low, high = _SOFT_TISSUE_SHIFTED
        values, counts = np.unique(self.tissue[self.tissue < _AIR_HU], return_counts=True)
        margin = values[counts.argmax()] if len(values) else np.inf
        tissue = self.tissue[self.tissue != margin]
        peak, width = _part(tissue, low, high), high - low
        beside = max(_part(tissue, high, high + width), _part(tissue, low - width, low))
        return (
            self.width_mm >= _SMALL_MM
            and _part(tissue, high=_FAT_HU) < _LEAST_DARK
            and peak >= 0.15
            and peak > 2.5 * beside
        )

    @property
    def soft_tissue(self) -> float:
        """Median of what looks like shifted soft tissue."""
        low, high = _SOFT_TISSUE_SHIFTED
        return float(np.median(self.tissue[(self.tissue >= low) & (self.tissue < high)]))

    @property
    def contradiction(self) -> str:
        """What no CT shows, or ""."""
        below = self.voxels[self.voxels < _PADDING_HU]
        if len(below) > 0.05 * len(self.voxels):
            _, counts = np.unique(below, return_counts=True)
            if counts.max() < 0.6 * len(below):  # padding has one value, blurred at its rim when resampled
                return f"{len(below) / len(self.voxels):.0%} of its voxels lie below air, down to {below.min():.4g}"
        if self._has_fat_or_air:
            return ""
        low, lower, upper, high = np.percentile(self.tissue, (5, 25, 75, 95))
        if high - low < 5 and high < 30:
            return f"most of its voxels lie between {low:.3g} and {high:.3g}"
        if self.width_mm >= _SMALL_MM and (above := _part(self.tissue, 1600)) > 0.3:
            return f"{above:.0%} of its voxels lie above 1600, which normally only teeth and metal reach"
        if self.width_mm > _WIDE_MM:
            return (
                f"it shows neither air nor fat, though it is {self.width_mm:.0f} mm wide (its lowest value is "
                f"{self.voxels.min():.4g})"
            )
        if self.width_mm >= 2 * _SMALL_MM and upper - lower > 150:
            return f"it shows neither air nor fat, and half of its voxels range from {lower:.4g} to {upper:.4g}"
        if self.width_mm >= 2 * _SMALL_MM and self._has_cut_off_background:
            return (
                f"it shows neither air nor fat, and many background voxels near {np.percentile(self.tissue, 0.5):.4g}"
            )
        return ""

    @cached_property
    def _has_fat_or_air(self) -> bool:
        return _part(self.tissue, high=_FAT_HU) >= _LEAST_DARK

    @property
    def _has_cut_off_background(self) -> bool:
        """Many voxels at the very lowest intensity: the background of MR, PET and pictures, never the tail of a tissue."""
        tissue = self.tissue
        if float(np.mean(tissue == 0)) > 0.05:  # a crop of soft tissue with a margin of zeros is a CT
            tissue = tissue[tissue != 0]
            lower, middle, upper, high = np.percentile(tissue, (25, 50, 75, 95)) if len(tissue) else (0,) * 4
            return not (20 < middle < 250 and upper - lower < 120 and high < 350)
        low, upper = np.percentile(tissue, (0.5, 75))
        return low >= _FAT_HU and float(np.mean(tissue <= low + 0.03 * (upper - low))) > 0.05


def _part(voxels: np.ndarray, low: float = -np.inf, high: float = np.inf) -> float:
    """Return the part of the voxels from `low` to below `high`."""
    return float(np.mean((voxels >= low) & (voxels < high))) if len(voxels) else 0.0

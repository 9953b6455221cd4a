"""A lesion's shape and intensities, learned on one slice and searched for on the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import scipy

from oncotrack.errors import InputError
from oncotrack.masks.ellipse import radius_of_mask

SCALES = np.array((0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 1.0))
"""Scales of the shape that are tried."""
RING, OPPOSED = (1.1, 1.5), 0.3
"""Normalised radii of the ring around the shape that should not resemble the lesion, and the weight of that ring."""
SURROUNDINGS = (1.0, 1.4)
"""Normalised radii of the pixels from which the surroundings' intensities are learned."""
UNSEEN = 0.1, 0.2
"""Assumed share of intensities that do not occur on the slice of the axes, in the lesion and in its surroundings."""
_FARTHEST_SHIFT = 0.9  # along rows and along columns, in radii
_BINS = 24


@dataclass(frozen=True)
class Placement:
    """Scale of a shape on a slice, and its shift along columns and rows in pixels."""

    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)


class Shape:
    """The mask of one slice as a template for the other slices.

    Parameters
    ----------
    mask : (H, W) bool ndarray
        Not empty.

    Attributes
    ----------
    radius_profile : (H, W) ndarray
        `radius_of_mask` of the mask.
    radius : float
        Radius of the circle of the same area, pixels.
    shifts : (S,) int ndarray
        The shifts that are tried along rows and along columns, pixels.

    Raises
    ------
    InputError
        The mask is too small to be scaled down.
    """

    def __init__(self, mask: np.ndarray) -> None:
        self.radius_profile = radius_of_mask(mask)
        self._area = int(mask.sum())
        self._centre = scipy.ndimage.center_of_mass(mask)[::-1]
        self.radius = float(np.sqrt(self._area / np.pi))
        farthest = int(min(np.ceil(_FARTHEST_SHIFT * self.radius), min(mask.shape) // 2 - 1))
        self.shifts = np.arange(-farthest, farthest + 1)
        self._kernels = [self._kernel(mask, scale) for scale in SCALES]

    def profile_at(self, placement: Placement) -> np.ndarray:
        """Return the normalised radius of the placed shape, (H, W).

        Parameters
        ----------
        placement : Placement
            Scale and shift of the shape.
        """
        return self._transform(self.radius_profile, placement)

    def evidence(self, ratios: np.ndarray) -> np.ndarray:
        """Compute how much better the lesion explains each placement than its surroundings do.

        Parameters
        ----------
        ratios : (H, W) float32 ndarray
            Log likelihood ratio of every pixel, lesion against surroundings.

        Returns
        -------
        (len(SCALES), S, S) ndarray
            By scale, shift along rows and shift along columns: the sum of the ratios inside, minus for each pixel
            inside `OPPOSED` times their mean in the ring, divided by the area of the unscaled shape.
        """
        return np.stack([self._correlate(ratios, *kernel) for kernel in self._kernels]) / self._area

    def _kernel(self, mask: np.ndarray, scale: float) -> tuple[np.ndarray, int, int]:
        """Return the cropped weights of the pixels inside and in the ring, and their corner's column and row."""
        inside = self._transform(mask, Placement(scale))
        ring = self._transform((self.radius_profile > RING[0]) & (self.radius_profile < RING[1]), Placement(scale))
        weights = inside - OPPOSED * ring * (inside.sum() / max(float(ring.sum()), 1.0))
        found = scipy.ndimage.find_objects((weights != 0).astype(np.uint8))
        if not found:
            raise InputError(
                f"The lesion is too small for a mask in 3D: it covers {self._area} pixels in the slice of its diameters."
            )
        rows, columns = cast(tuple[slice, slice], found[0])
        return weights[rows, columns], columns.start, rows.start

    def _correlate(self, ratios: np.ndarray, weights: np.ndarray, column: int, row: int) -> np.ndarray:
        """Return the weighted sums of the ratios for all shifts, (S, S); pixels beyond the region count as 0."""
        wide = np.pad(ratios, len(self.shifts) // 2)
        summed = cv2.filter2D(wide, cv2.CV_32F, weights, anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
        count = len(self.shifts)
        return summed[row : row + count, column : column + count]

    def _transform(self, picture: np.ndarray, placement: Placement) -> np.ndarray:
        """Return an (H, W) array scaled about the shape's centre and shifted, float32."""
        back = np.hstack([np.eye(2), np.zeros((2, 1))]) / placement.scale
        back[:, 2] = self._centre - np.add(self._centre, placement.shift) / placement.scale
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = picture.shape[::-1]
        return cv2.warpAffine(picture.astype(np.float32), back, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)


class IntensityModel:
    """Intensity histograms of a lesion and of its surroundings, learned on one slice.

    Parameters
    ----------
    values : (H, W) ndarray
        Intensities of the slice.
    radius : (H, W) ndarray
        `radius_of_mask` of the lesion's mask.
    window : (float, float)
        Lowest and highest intensity of the histograms; values beyond fall into the outer bins.

    Attributes
    ----------
    overlap : float
        Overlap of the two histograms: 0 (disjoint) to 1 (equal).
    """

    def __init__(self, values: np.ndarray, radius: np.ndarray, window: tuple[float, float]) -> None:
        self._window = window
        around = (radius > SURROUNDINGS[0]) & (radius < SURROUNDINGS[1])
        inside, outside = (self._frequencies(values[part]) for part in (radius < 1, around))
        self.overlap = float(np.minimum(inside, outside).sum())
        inside, outside = (
            (1 - unseen) * scipy.ndimage.gaussian_filter1d(part, 1.0, mode="nearest") + unseen / _BINS
            for part, unseen in zip((inside, outside), UNSEEN, strict=True)
        )
        self._log_ratios = np.log(inside / outside).astype(np.float32)

    def log_ratios(self, values: np.ndarray) -> np.ndarray:
        """Return the log likelihood ratio of every pixel, lesion against surroundings, float32.

        Parameters
        ----------
        values : (H, W) ndarray
            Intensities of a slice.
        """
        return self._log_ratios[self._bins(values)]

    def _frequencies(self, values: np.ndarray) -> np.ndarray:
        """Return the share of values in each bin."""
        counted = np.bincount(self._bins(values), minlength=_BINS)
        return counted / max(counted.sum(), 1)

    def _bins(self, values: np.ndarray) -> np.ndarray:
        """Return the bin of each value."""
        low, high = self._window
        return np.clip((values - low) / (high - low) * _BINS, 0, _BINS - 1).astype(int)

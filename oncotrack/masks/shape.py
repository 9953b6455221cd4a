"""The shape a lesion has in one slice, sought in another: smaller and shifted, where the grey levels bear it out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import scipy

from oncotrack.masks.ellipse import radius_of_mask

SHARES = np.array((0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 1.0))
"""Sizes that are tried, in sizes of the shape."""
RING, OPPOSED = (1.1, 1.5), 0.3
"""Reach of the ring about the shape that should not look like the lesion, and what it counts against the inside."""
SURROUNDINGS = (1.0, 1.4)
"""Reach of the pixels whose grey levels stand for what is not the lesion."""
UNSEEN = 0.1, 0.2
"""Share of grey levels that the slice of the axes does not show, in the lesion and round it."""
_SHIFTED = 0.9  # farthest shift along rows and columns, in radii
_BINS = 24


@dataclass(frozen=True)
class Place:
    """Where a shape lies on a slice: its size as a share, and its shift along columns and rows, pixels."""

    share: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)


class Shape:
    """The mask of one slice as something to look for in the others.

    Parameters
    ----------
    mask : (H, W) bool ndarray
        Not empty.

    Attributes
    ----------
    reach : (H, W) ndarray
        `radius_of_mask` the mask.
    radius : float
        Of the circle of the same area, pixels.
    shifts : (S,) int ndarray
        The shifts that are tried along either axis, pixels.
    """

    def __init__(self, mask: np.ndarray) -> None:
        self.reach = radius_of_mask(mask)
        self._area = int(mask.sum())
        self._centre = scipy.ndimage.center_of_mass(mask)[::-1]
        self.radius = float(np.sqrt(self._area / np.pi))
        farthest = int(min(np.ceil(_SHIFTED * self.radius), min(mask.shape) // 2 - 1))
        self.shifts = np.arange(-farthest, farthest + 1)
        self._kernels = [self._kernel(mask, share) for share in SHARES]

    def at(self, place: Place) -> np.ndarray:
        """(H, W) reach of the shape at a place."""
        return self._moved(self.reach, place)

    def evidence(self, ratios: np.ndarray) -> np.ndarray:
        """How much better each place is explained by the lesion than by its surroundings.

        Parameters
        ----------
        ratios : (H, W) float32 ndarray
            Log likelihood ratio of every pixel, lesion against surroundings.

        Returns
        -------
        (len(SHARES), S, S) ndarray
            By size, shift along rows and shift along columns: the sum of the ratios inside, less `OPPOSED` times their
            mean in the ring for each pixel inside, over the area of the whole shape.
        """
        return np.stack([self._sums(ratios, *kernel) for kernel in self._kernels]) / self._area

    def _kernel(self, mask: np.ndarray, share: float) -> tuple[np.ndarray, int, int]:
        """Weights of the pixels inside and in the ring, cropped; column and row of their corner."""
        inside = self._moved(mask, Place(share))
        ring = self._moved((self.reach > RING[0]) & (self.reach < RING[1]), Place(share))
        weights = inside - OPPOSED * ring * (inside.sum() / max(float(ring.sum()), 1.0))
        rows, columns = scipy.ndimage.find_objects((weights != 0).astype(np.uint8))[0]
        return weights[rows, columns], columns.start, rows.start

    def _sums(self, ratios: np.ndarray, weights: np.ndarray, column: int, row: int) -> np.ndarray:
        """(S, S) sums of the weighted ratios; what lies beyond the region says nothing."""
        wide = np.pad(ratios, len(self.shifts) // 2)
        summed = cv2.filter2D(wide, cv2.CV_32F, weights, anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
        count = len(self.shifts)
        return summed[row : row + count, column : column + count]

    def _moved(self, picture: np.ndarray, place: Place) -> np.ndarray:
        back = np.hstack([np.eye(2), np.zeros((2, 1))]) / place.share
        back[:, 2] = self._centre - np.add(self._centre, place.shift) / place.share
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = picture.shape[::-1]
        return cv2.warpAffine(picture.astype(np.float32), back, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)


class Likeness:
    """What grey levels speak for a lesion and against its surroundings, learned on one slice.

    Parameters
    ----------
    values : (H, W) ndarray
        Intensities of the slice.
    reach : (H, W) ndarray
        `radius_of_mask` the lesion's mask.
    window : (low, high)
        Intensities that are told apart.
    """

    def __init__(self, values: np.ndarray, reach: np.ndarray, window: tuple[float, float]) -> None:
        self._window = window
        around = (reach > SURROUNDINGS[0]) & (reach < SURROUNDINGS[1])
        inside, outside = (self._frequencies(values[part]) for part in (reach < 1, around))
        self.overlap = float(np.minimum(inside, outside).sum())
        """How alike lesion and surroundings are: 0 (apart) to 1."""
        inside, outside = (
            (1 - unseen) * scipy.ndimage.gaussian_filter1d(part, 1.0, mode="nearest") + unseen / _BINS
            for part, unseen in zip((inside, outside), UNSEEN, strict=True)
        )
        self._ratios = np.log(inside / outside).astype(np.float32)

    def ratios(self, values: np.ndarray) -> np.ndarray:
        """(H, W) float32 log likelihood ratio of every pixel, lesion against surroundings."""
        return self._ratios[self._bins(values)]

    def _frequencies(self, values: np.ndarray) -> np.ndarray:
        counted = np.bincount(self._bins(values), minlength=_BINS)
        return counted / max(counted.sum(), 1)

    def _bins(self, values: np.ndarray) -> np.ndarray:
        low, high = self._window
        return np.clip((values - low) / (high - low) * _BINS, 0, _BINS - 1).astype(int)

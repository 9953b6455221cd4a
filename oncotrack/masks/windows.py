"""Conversion of intensities to the 8-bit grey levels that GrabCut needs, with the contrast around the lesion."""

from __future__ import annotations

import numpy as np

from oncotrack.images.volume import Volume

NARROWEST_HU = 110.0
"""Half the width of the narrowest CT window, enough to separate soft tissue from fat."""
_SPREADS = 3.0
_CLIP_PERCENTILE = 99.0  # brighter pixels are clipped (MR)


def lesion_window(image: Volume, region: np.ndarray, inside: np.ndarray) -> tuple[float, float]:
    """Choose the intensity window for GrabCut.

    Parameters
    ----------
    image : Volume
        The scan, which is a CT in Hounsfield units or not.
    region : (H, W) ndarray
        Intensities of the region around the lesion.
    inside : (H, W) bool ndarray
        Pixels that probably belong to the lesion, the diamond through the ends of its axes.

    Returns
    -------
    (low, high) : pair of float
        CT: the lesion's median +- 3 robust standard deviations, at least +- 110 HU. Otherwise minimum to 99th
        percentile of the region, as the paper prepares MR images (1 % clipped, min-max).
    """
    if not image.is_ct or image.hounsfield_problem:
        low, high = float(region.min()), float(np.percentile(region, _CLIP_PERCENTILE))
        return low, max(high, low + 1e-6)
    values = region[inside]
    median = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - median)))
    half = max(_SPREADS * spread, NARROWEST_HU)
    return median - half, median + half


def grey(region: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Return the grey levels of a region, (H, W) uint8.

    Parameters
    ----------
    region : (H, W) ndarray
        Intensities.
    window : (float, float)
        Intensities that become 0 and 255; values beyond are clipped.
    """
    low, high = window
    return np.round(np.clip((region - low) / (high - low), 0, 1) * 255).astype(np.uint8)

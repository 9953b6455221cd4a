"""Grey levels for GrabCut, which wants 8 bits: the contrast goes where the lesion is."""

from __future__ import annotations

import numpy as np

from oncotrack.images.volume import Volume

NARROWEST_HU = 110.0
"""Half the width of the narrowest CT window: soft tissue against fat."""
_SPREADS = 3.0
_TOP = 99.0  # percent; what is brighter is clipped (MR)


def lesion_window(image: Volume, region: np.ndarray, inside: np.ndarray) -> tuple[float, float]:
    """Lowest and highest intensity that GrabCut shall tell apart.

    Parameters
    ----------
    image : Volume
    region : (H, W) ndarray
        Intensities of the region round the lesion.
    inside : (H, W) bool ndarray
        Pixels that belong to the lesion for all that is known (its diamond).

    Returns
    -------
    (low, high)
        CT: the lesion's median +- 3 robust standard deviations, at least +- 110 HU. Otherwise minimum to 99th
        percentile of the region, as MR are prepared in the paper (1 % clipped, min-max).
    """
    if not image.is_ct:
        low, high = float(region.min()), float(np.percentile(region, _TOP))
        return low, max(high, low + 1e-6)
    values = region[inside]
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - middle)))
    half = max(_SPREADS * spread, NARROWEST_HU)
    return middle - half, middle + half


def grey(region: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """(H, W) uint8: the lower end of the window and below is 0, the upper end and above is 255."""
    low, high = window
    return np.round(np.clip((region - low) / (high - low), 0, 1) * 255).astype(np.uint8)

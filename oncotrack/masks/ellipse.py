"""Normalised distance from a lesion's centre: 1 on its border, as drawn by the axes or by a mask."""

from __future__ import annotations

import numpy as np

from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.plane import Region

_CENTRE_SHARE = (0.2, 0.8)  # where on either axis their crossing may lie


def radius_profile(region: Region, axes: RecistAxes) -> np.ndarray:
    """Compute the normalised radius of every pixel: 0 where the axes cross, 1 on the ellipse through their ends.

    Each quadrant has its own half axes, so that the ends lie on the border also where the axes do not bisect each
    other.

    Parameters
    ----------
    region : Region
        Grid of the result.
    axes : RecistAxes
        RAS mm, in the plane of the region.

    Returns
    -------
    (H, W) float ndarray
        Without unit.
    """
    a, b, c, d = region.to_pixels(axes.ends)
    length = np.linalg.norm(b - a)
    u = (b - a) / length
    v = np.array([-u[1], u[0]])
    share, _ = np.linalg.solve(np.stack([b - a, c - d], 1), c - a)
    share = np.clip(share, *_CENTRE_SHARE)
    centre = a + share * (b - a)
    low, high = sorted(((c - centre) @ v, (d - centre) @ v))
    half = np.clip([-low, high], *(part * np.linalg.norm(d - c) for part in _CENTRE_SHARE))
    rows, columns = np.indices(region.grid.shape[1:])
    offset = np.stack([columns, rows], -1) - centre
    along, across = offset @ u, offset @ v
    along /= np.where(along < 0, share, 1 - share) * length
    across /= np.where(across < 0, half[0], half[1])
    return np.hypot(along, across)


def radius_of_mask(mask: np.ndarray) -> np.ndarray:
    """Compute the normalised radius from a mask: 0 at its innermost pixel, 1 on its border.

    Outside, the distance to the border is added in the same unit, the innermost pixel's distance to the border.

    Parameters
    ----------
    mask : (H, W) bool ndarray
        Inside where true.

    Returns
    -------
    (H, W) float ndarray
        Without unit.
    """
    from scipy.ndimage import distance_transform_edt

    inside, outside = (np.asarray(distance_transform_edt(part)) for part in (mask, ~mask))
    return 1 + np.where(mask, 0.5 - inside, outside - 0.5) / max(inside.max(), 1.0)

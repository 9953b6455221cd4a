"""What the two axes alone say of the border: a quarter of an ellipse between each two neighbouring ends."""

from __future__ import annotations

import numpy as np

from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.plane import Region

_MIDDLE = (0.2, 0.8)  # where the axes may meet, as a share of either one


def reach(region: Region, axes: RecistAxes) -> np.ndarray:
    """How far out every pixel lies: 0 where the axes cross, 1 on the ellipse through their four ends.

    Each quadrant has its own half axes, so that axes which do not halve each other still end on the border.

    Returns
    -------
    (H, W) float ndarray
        On the region's grid.
    """
    a, b, c, d = region.pixels(axes.ends)
    length = np.linalg.norm(b - a)
    u = (b - a) / length
    v = np.array([-u[1], u[0]])
    share, _ = np.linalg.solve(np.stack([b - a, c - d], 1), c - a)
    share = np.clip(share, *_MIDDLE)
    middle = a + share * (b - a)
    low, high = sorted(((c - middle) @ v, (d - middle) @ v))
    half = np.clip([-low, high], *(part * np.linalg.norm(d - c) for part in _MIDDLE))
    rows, columns = np.indices(region.grid.shape[1:])
    offset = np.stack([columns, rows], -1) - middle
    along, across = offset @ u, offset @ v
    along /= np.where(along < 0, share, 1 - share) * length
    across /= np.where(across < 0, half[0], half[1])
    return np.hypot(along, across)


def radius_of_mask(mask: np.ndarray) -> np.ndarray:
    """The same of a mask: 0 at its innermost pixel, 1 on its border, beyond 1 by the distance in the same measure."""
    from scipy.ndimage import distance_transform_edt

    inside, outside = distance_transform_edt(mask), distance_transform_edt(~mask)
    return 1 + np.where(mask, 0.5 - inside, outside - 0.5) / max(inside.max(), 1.0)

"""The middle of the body in a scan, from the spine, the lungs and the body's outline, and the side on which a point lies.

The middle of the image is no evidence: a scan of one hemithorax shows one side only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from oncotrack.findings.finding import Side
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

MIDLINE_MM = 10.0
"""Points up to this distance from the middle are called midline."""
_PIXEL_MM, _SLICE_MM = 2.5, 5.0
_TISSUE_HU, _BONE_HU = -400.0, 170.0
_LUNG_HU = -960.0, -550.0
_LEAST_LUNG_ML = 80.0
_ONE_SIDED = 0.2  # of the slices show one flank alone
_CANAL_MM2 = 60.0, 700.0  # area of the spinal canal within its ring of bone
_CANAL_HU = -30.0, 130.0
_CANAL_DEPTH_MM = 25.0, 130.0  # from the skin of the back
_SPINE_MM = 12.0  # largest distance of a spinal canal from the line through all of them
_FEWEST_CANALS, _SHARE_OF_CANALS = 4, 0.15  # of the slices
_VERTEBRA_MM, _VERTEBRA_MM2, _OFF_MM = 30.0, 400.0, 3.0  # radius, least area of bone, and distance of its middle
_FLANK = 0.6  # of the body's depth: less at the edge of the image is a flank that the image cuts
_LEAST_WIDTH = 0.5  # of one half of the body, as a share of its depth from front to back
_AGREE_MM = 40.0
_SMOOTH = 9  # slices


@dataclass(frozen=True)
class Midline:
    """Where the middle of the body can lie, slice by slice.

    Attributes
    ----------
    heights : (N,) ndarray
        S of the slices, mm, ascending.
    low, high : (N,) ndarray
        Between these R (mm) the middle lies; infinite where there is no evidence.
    canals : (M, 3) ndarray
        Middles of the spinal canal on the slices that show it, RAS mm.
    """

    heights: np.ndarray
    low: np.ndarray
    high: np.ndarray
    canals: np.ndarray = field(default_factory=lambda: np.empty((0, 3)))

    @classmethod
    def of(cls, volume: Volume) -> Midline:
        """Find the middle of the body in a scan of any orientation.

        Parameters
        ----------
        volume : Volume
            A CT in Hounsfield units; in other images only the outline is used.
        """
        grid = _grid(volume.geometry)
        heights = grid.origin[2] + _SLICE_MM * np.arange(grid.size[2])
        is_ct = volume.is_ct and not volume.hounsfield_problem
        array = volume.resampled(grid).array
        tissue = array > (_TISSUE_HU if is_ct else _otsu(array))
        body = _largest(ndimage.binary_opening(tissue, np.ones((1, 3, 3)), iterations=1))
        low, high, flanks = _of_outline(body)
        low, high = _smooth(low, high, np.asarray(flanks.all(1)))
        spine, canals = _spine(array, body, grid) if is_ct else (None, np.empty((0, 3)))
        if is_ct and spine is None:
            low, high = _with_lung(low, high, flanks, (array > _LUNG_HU[0]) & (array < _LUNG_HU[1]))
        low, high = (grid.origin[0] + _PIXEL_MM * each for each in (low, high))
        if spine is not None:
            at = np.polyval(spine, heights)
            agrees = (at > low - _AGREE_MM) & (at < high + _AGREE_MM)
            low, high = np.where(agrees, at, np.minimum(low, at)), np.where(agrees, at, np.maximum(high, at))
        return cls(heights, low, high, canals)

    def side(self, ras: Sequence[float]) -> Side:
        """Return the side of the body on which a point lies; `Side.UNKNOWN` where the evidence does not decide it.

        Parameters
        ----------
        ras : (3,) float
            RAS mm.
        """
        n = int(np.abs(self.heights - ras[2]).argmin())
        low, high = float(self.low[n]), float(self.high[n])
        margin = MIDLINE_MM if high - low < 2 * MIDLINE_MM else 0.0
        if ras[0] > high + margin:
            return Side.RIGHT
        if ras[0] < low - margin:
            return Side.LEFT
        return Side.MIDLINE if margin else Side.UNKNOWN


def _grid(geometry: Geometry) -> Geometry:
    """Return the RAS-aligned grid that covers a scan."""
    step = np.array([_PIXEL_MM, _PIXEL_MM, _SLICE_MM])
    low, high = geometry.bounds
    size = np.maximum(np.round((high - low) / step), 1).astype(int)
    return Geometry.from_values(size, step, (low + high) / 2 - step * (size - 1) / 2)


def _otsu(array: np.ndarray) -> float:
    from skimage.filters import threshold_otsu

    return float(threshold_otsu(array)) / 2  # MR: half of it, because coils make the outer parts dark


def _largest(mask: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(mask)  # pyright: ignore[reportGeneralTypeIssues]
    return labels == np.argmax(np.bincount(labels.ravel())[1:]) + 1 if count else mask


def _of_outline(body: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the bounds of the middle from the body's outline, (D,) and (D,) in columns, and the flanks that are seen, (D, 2).

    With both flanks in the image the middle lies halfway between them. With one, half of the body is at least
    `_LEAST_WIDTH` of its depth wide. Without, there are no bounds.
    """
    count, rows, columns = body.shape
    low, high, flanks = np.full(count, -np.inf), np.full(count, np.inf), np.zeros((count, 2), bool)
    depths = np.where(body.any(1), rows - body.argmax(1) - body[:, ::-1].argmax(1), 0)
    for n, depth in enumerate(depths):
        across = np.flatnonzero(depth)
        if not len(across):
            continue
        least = _FLANK * depth.max()
        flanks[n] = (
            across[0] > 1 or depth[across[:3]].min() < least,
            across[-1] < columns - 2 or depth[across[-3:]].min() < least,
        )
        if flanks[n].all():
            low[n] = high[n] = (across[0] + across[-1]) / 2
        elif flanks[n, 1]:
            high[n] = across[-1] - _LEAST_WIDTH * depth.max()
        elif flanks[n, 0]:
            low[n] = across[0] + _LEAST_WIDTH * depth.max()
    return low, high, flanks


def _with_lung(
    low: np.ndarray, high: np.ndarray, flanks: np.ndarray, lung: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Narrow the bounds by the lung of a scan that shows one flank: beyond the lung's inner border the middle lies."""
    left, right = (int((flanks[:, n] & ~flanks[:, 1 - n]).sum()) for n in (0, 1))
    if max(left, right) < _ONE_SIDED * len(flanks) or min(left, right) > max(left, right) / 4:
        return low, high
    is_right = right > left
    parts = np.stack([_inside(plane, plane.shape[1] - 1 if is_right else 0) for plane in lung])
    parts = _largest(ndimage.binary_opening(parts, np.ones((1, 3, 3))))
    if parts.sum() * _PIXEL_MM**2 * _SLICE_MM / 1000 < _LEAST_LUNG_ML:
        return low, high
    width = parts.shape[2]
    shown = np.flatnonzero(parts.any((1, 2)) & ~flanks.all(1))
    inner = np.array([np.flatnonzero(parts[n].any(0))[0 if is_right else -1] for n in shown])
    is_cut = (inner < 1) | (inner > width - 2)  # the image ends there, not the lung
    if is_cut.sum() > len(shown) / 2:
        return low, high
    low, high = low.copy(), high.copy()
    for n in shown:
        border = inner[~is_cut][np.abs(shown[~is_cut] - n).argmin()]
        if is_right:
            low[n], high[n] = -np.inf, min(high[n], border - 1)
        else:
            low[n], high[n] = max(low[n], border + 1), np.inf
    return low, high


def _inside(plane: np.ndarray, outer: int) -> np.ndarray:
    """Return the parts of a slice that touch neither the front, the back nor the outer column of the image."""
    labels, _ = ndimage.label(plane)  # pyright: ignore[reportGeneralTypeIssues]
    outside = np.unique(np.concatenate([labels[0], labels[-1], labels[:, outer]]))
    return plane & ~np.isin(labels, outside)


def _smooth(low: np.ndarray, high: np.ndarray, is_whole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds with the running median of the middles that are known."""
    low, high, half = low.copy(), high.copy(), _SMOOTH // 2
    middle = np.where(is_whole, low, np.nan)
    for n in np.flatnonzero(is_whole):
        low[n] = high[n] = np.nanmedian(middle[max(n - half, 0) : n + half + 1])
    return low, high


def _spine(array: np.ndarray, body: np.ndarray, grid: Geometry) -> tuple[np.ndarray | None, np.ndarray]:
    """Return the line R(S) through the spinal canals and the canals near it, (M, 3) RAS mm.

    The line, coefficients for `numpy.polyval`, is None and there are no canals when too few are seen.
    """
    canals = np.array([(n, *at) for n in range(len(array)) for at in _canals(array[n], body[n])])
    if len(canals) < _FEWEST_CANALS:
        return None, np.empty((0, 3))
    heights = grid.origin[2] + _SLICE_MM * canals[:, 0]
    across = grid.origin[0] + _PIXEL_MM * canals[:, 1]
    best, most = None, 0
    for n in range(len(canals)):
        for m in range(n, len(canals)):
            gap = heights[m] - heights[n]
            slope = (across[m] - across[n]) / gap if gap > 40 else 0.0
            if abs(slope) > 0.35:
                continue
            near = np.abs(across[n] + slope * (heights - heights[n]) - across) < _SPINE_MM
            votes = len(np.unique(canals[near, 0]))
            if votes > most:
                best, most = near, votes
    if best is None or most < max(_FEWEST_CANALS, _SHARE_OF_CANALS * len(array)):
        return None, np.empty((0, 3))
    degree = 1 if np.ptp(heights[best]) > 40 else 0
    line = np.asarray(np.polyfit(heights[best], across[best], degree))
    return line, grid.to_ras(np.stack([canals[best, 1], canals[best, 2], canals[best, 0]], 1))


def _canals(plane: np.ndarray, body: np.ndarray) -> list[tuple[float, float]]:
    """Return column and row of what may be a spinal canal on a slice: soft tissue in a ring of bone near the back."""
    bone = (plane > _BONE_HU) & body
    ring = ndimage.binary_closing(bone, iterations=1)
    holes = np.asarray(ndimage.binary_fill_holes(ring)) & ~bone
    holes = ndimage.binary_opening(holes, np.ones((2, 2)))
    labels, count = ndimage.label(holes)  # pyright: ignore[reportGeneralTypeIssues]
    rows, columns = np.nonzero(bone)
    found = []
    for n in range(1, count + 1):
        part = labels == n
        area, value = part.sum() * _PIXEL_MM**2, float(plane[part].mean())
        if not (_CANAL_MM2[0] <= area <= _CANAL_MM2[1] and _CANAL_HU[0] <= value <= _CANAL_HU[1]):
            continue
        row, column = (float(each.mean()) for each in np.nonzero(part))
        back = np.flatnonzero(body[:, round(column)])[0]
        near = np.hypot(rows - row, columns - column) * _PIXEL_MM < _VERTEBRA_MM
        off = abs(float((rows[near] - row).mean())) * _PIXEL_MM  # a long bone has its middle in the hole
        is_vertebra = near.sum() * _PIXEL_MM**2 >= _VERTEBRA_MM2 and off >= _OFF_MM
        if is_vertebra and _CANAL_DEPTH_MM[0] <= (row - back) * _PIXEL_MM <= _CANAL_DEPTH_MM[1]:
            found.append((column, row))
    return found

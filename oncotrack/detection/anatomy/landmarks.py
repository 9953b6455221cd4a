"""Landmarks of a CT: trachea and carina, diaphragm, apices of the lungs, spine, femoral heads. Each may be missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from oncotrack.detection.anatomy.tissues import Tissues, components, disc
from oncotrack.detection.midline import Midline
from oncotrack.images.geometry import Geometry

_TRACHEA_MM2 = 60.0, 700.0
_TRACHEA_HU = -600.0
_TRACHEA_LEAST_MM = 24.0
_STEP_MM = 9.0  # largest shift of the trachea's middle between slices
_OFF_MIDLINE_MM = 35.0
_HEAD_RADIUS_MM = 16.0, 34.0  # of a ball of bone that is a femoral head
_HEAD_OFF_MM = 55.0, 135.0  # from the middle of the body
_HEADS_APART_MM = 24.0  # largest difference in height
_BRAIN_MM = 42.0  # inside of bone deeper than this is a skull
_SLICE_OF_LUNG_MM2 = 400.0
_RECESS_MM = 12.0  # at the border of the lungs their lower end is not the diaphragm
_DOME = 80  # percentile of the lower ends of the lungs
_STRIP_MM, _LEAST_SPINE_MM2 = 14.0, 250.0


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Landmarks in voxels of the grid of the tissues; None, NaN or False where one is not in the scan.

    Attributes
    ----------
    middle : (D,) ndarray
        Column of the middle of the body on each slice; NaN where it is unknown.
    spine : (D,) ndarray
        Row of the spinal canal on each slice; NaN in a scan without.
    trachea : (N, 3) ndarray
        Slice, row and column of the middle of the trachea, from the carina up.
    carina : float, optional
        Slice at which the trachea divides.
    apex : float, optional
        Uppermost slice of the lungs, if the scan goes on above it.
    lung_base : (H, W) ndarray
        For each column of the scan the lowest slice of the nearest lung; NaN everywhere without lungs.
    dome : float
        Slice of the dome of the diaphragm; NaN without lungs.
    is_base_cut : bool
        Whether the scan ends before the lungs do, so that the diaphragm is not in it.
    femoral_heads : float, optional
        Slice of the middle of the femoral heads.
    """

    middle: np.ndarray
    spine: np.ndarray
    trachea: np.ndarray
    carina: float | None
    apex: float | None
    lung_base: np.ndarray
    dome: float
    is_base_cut: bool
    femoral_heads: float | None

    @classmethod
    def of(cls, tissues: Tissues, midline: Midline) -> Landmarks:
        """Find the landmarks of a scan.

        Parameters
        ----------
        tissues : Tissues
            Of the scan.
        midline : Midline
            Of the same scan.
        """
        middle = _middle(tissues.grid, midline)
        trachea, carina = _trachea(tissues, middle)
        apex, base, dome, is_cut = _lung_ends(tissues)
        spine, heads = _spine(tissues, midline, middle), _femoral_heads(tissues, middle)
        return cls(middle, spine, trachea, carina, apex, base, dome, is_cut, heads)


def _middle(grid: Geometry, midline: Midline) -> np.ndarray:
    """Return the column of the middle of the body on each slice, (D,); NaN where its bounds are far apart."""
    centre = grid.to_ras([(grid.size[0] / 2, grid.size[1] / 2, k) for k in range(grid.size[2])])
    low, high = (np.interp(centre[:, 2], midline.heights, np.nan_to_num(each, posinf=1e6, neginf=-1e6))
                 for each in (midline.low, midline.high))  # fmt: skip
    known = high - low < 40.0
    at = np.where(known, (low + high) / 2, 0.0)
    ijk = grid.to_ijk(np.stack([at, centre[:, 1], centre[:, 2]], 1))
    return np.where(known, ijk[:, 0], np.nan)


def _spine(tissues: Tissues, midline: Midline, middle: np.ndarray) -> np.ndarray:
    """Return the row of the spinal canal on each slice, (D,), interpolated between the slices on which it was seen.

    Where no canal is seen, it is taken to lie in the middle of the bone behind the centre of the body.
    """
    grid, out = tissues.grid, np.full(len(middle), np.nan)
    if len(midline.canals):
        ijk = grid.to_ijk(midline.canals)
        levels = np.unique(np.round(ijk[:, 2]))
        rows = np.array([np.median(ijk[np.abs(ijk[:, 2] - level) < 5, 1]) for level in levels])
        return np.interp(np.arange(len(out)), levels, rows)
    half = round(_STRIP_MM / grid.spacing[0])
    for k in np.flatnonzero(np.isfinite(middle)):
        column = round(float(middle[k]))
        strip = (slice(None), slice(max(column - half, 0), max(column + half + 1, 0)))
        depth = np.flatnonzero(tissues.body[k].any(1))
        rows = np.nonzero(tissues.bone[k][strip])[0]
        rows = rows[rows > depth.mean()] if len(depth) else rows
        if len(rows) * grid.spacing[0] ** 2 >= _LEAST_SPINE_MM2:
            out[k] = rows.mean()
    seen = np.flatnonzero(np.isfinite(out))
    if len(seen) < max(0.3 * len(out), 3):
        return np.full(len(middle), np.nan)
    rows = ndimage.median_filter(out[seen], 9, mode="nearest")
    return np.interp(np.arange(len(out)), seen, rows)


def _trachea(tissues: Tissues, middle: np.ndarray) -> tuple[np.ndarray, float | None]:
    """Return the trachea from the carina up and the slice of the carina.

    The trachea is the longest chain of round parts of air near the middle of the body, one per slice. It ends below where
    the next part is shifted, wider (the carina) or joined to a lung.
    """
    grid = tissues.grid
    mm, step = grid.spacing[0], grid.spacing[2]
    air = tissues.gas & (tissues.hu < _TRACHEA_HU) & ~np.asarray(ndimage.binary_dilation(
        ndimage.binary_opening(tissues.lungs, disc(2)), disc(1)
    ), bool)  # fmt: skip
    chains: list[list[tuple[int, float, float]]] = []
    current: list[list[tuple[int, float, float]]] = []
    for k in range(len(air) - 1, -1, -1):
        labels, _ = components(air[k])
        found = []
        for n, where in enumerate(ndimage.find_objects(labels), 1):
            part = labels[where] == n
            height, width = (each * mm for each in part.shape)
            area = part.sum() * mm * mm
            row, column = (float(np.nonzero(part)[axis].mean()) + where[axis].start for axis in (0, 1))
            is_near = abs(column - middle[k]) * mm < _OFF_MIDLINE_MM  # False where the middle is unknown
            if _TRACHEA_MM2[0] <= area <= _TRACHEA_MM2[1] and max(height, width) < 2.2 * min(height, width) and is_near:
                found.append((k, row, column))
        grown = []
        for chain in current:
            near = [each for each in found if np.hypot(each[1] - chain[-1][1], each[2] - chain[-1][2]) * mm < _STEP_MM]
            if near:
                best = min(near, key=lambda each: np.hypot(each[1] - chain[-1][1], each[2] - chain[-1][2]))
                chain.append(best)
                found.remove(best)
                grown.append(chain)
            else:
                chains.append(chain)
        current = grown + [[each] for each in found]
    chains += current
    chains = [chain for chain in chains if len(chain) * step >= _TRACHEA_LEAST_MM and _is_beside_lungs(chain, tissues)]
    if not chains:
        return np.empty((0, 3)), None
    trachea = np.array(max(chains, key=len), float)[::-1]
    lowest = int(trachea[0, 0])
    return trachea, float(lowest) if lowest > 1 else None


def _is_beside_lungs(chain: list[tuple[int, float, float]], tissues: Tissues) -> bool:
    """Return whether lung lies beside the lower end of a chain of air, as it does beside the trachea and not beside bowel."""
    k = chain[-1][0]
    return bool(tissues.lungs[max(k - 4, 0) : k + 5].any())


def _lung_ends(tissues: Tissues) -> tuple[float | None, np.ndarray, float, bool]:
    """Return the slice of the apex, the lowest slice of the nearest lung (H, W), the dome, and whether the scan cuts the lungs."""
    lungs, mm = tissues.lungs, tissues.grid.spacing[0]
    area = lungs.sum(axis=(1, 2)) * mm * mm
    seen = np.flatnonzero(area > 0)
    if not len(seen):
        return None, np.full(lungs.shape[1:], np.nan), np.nan, False
    apex = float(seen[-1]) if seen[-1] < len(lungs) - 2 else None
    footprint = lungs.any(0)
    core = np.asarray(ndimage.binary_erosion(footprint, disc(round(_RECESS_MM / mm))[0], border_value=1), bool)
    core = core if core.any() else footprint
    lowest = np.where(core, lungs.argmax(0), 0).astype(float)
    _, nearest = ndimage.distance_transform_edt(~core, return_indices=True)  # pyright: ignore[reportGeneralTypeIssues]
    dome = float(np.percentile(lowest[core], _DOME))
    base = np.minimum(
        ndimage.median_filter(lowest[tuple(nearest)], 5), dome
    )  # lung above the heart ends above the dome
    return apex, base, dome, bool(area[:2].min() > _SLICE_OF_LUNG_MM2)


def _femoral_heads(tissues: Tissues, middle: np.ndarray) -> float | None:
    """Return the slice of the femoral heads: balls of bone on both sides at one height, below the lungs."""
    grid = tissues.grid
    seen = np.flatnonzero(tissues.lungs.any(axis=(1, 2)))
    highest = seen[0] if len(seen) else len(tissues.bone)
    known = middle[np.isfinite(middle)]
    if not len(known) or highest < 3:
        return None
    bone = tissues.bone[:highest]
    inside = ndimage.distance_transform_edt(
        np.pad(bone, ((1, 1), (0, 0), (0, 0)), mode="edge"), sampling=grid.spacing[::-1]
    )
    inside = np.asarray(inside)[1:-1]
    if inside.max() > _BRAIN_MM:
        return None
    columns = (
        np.arange(bone.shape[2])[None] - np.where(np.isfinite(middle), middle, np.median(known))[:highest, None]
    ) * grid.spacing[0]
    best: list[tuple[float, int]] = []
    for is_left in (False, True):
        off = columns if is_left else -columns
        beside = (off > _HEAD_OFF_MM[0]) & (off < _HEAD_OFF_MM[1])
        deepest = np.where(beside[:, None, :], inside, 0.0).max(axis=(1, 2))
        level = int(deepest.argmax())
        best.append((float(deepest[level]), level))
    if any(not _HEAD_RADIUS_MM[0] <= radius <= _HEAD_RADIUS_MM[1] for radius, _ in best):
        return None
    (_, right), (_, left) = best
    return (right + left) / 2 if abs(right - left) * grid.spacing[2] <= _HEADS_APART_MM else None

"""Resampling of shifted or unevenly spaced slices to a straight, regular grid."""

from __future__ import annotations

import numpy as np

from oncotrack.images.dicom.grid import Grid

_GROWTH = 4  # at most so many new slices for each old one


def straighten(slices: np.ndarray, grid: Grid, spacing: tuple[float, float]) -> tuple[np.ndarray, np.ndarray, float]:
    """Resample slices with linear interpolation; every voxel keeps its true position.

    The new slices have the orientation of the old ones. Where only the gantry was tilted, they lie on the old ones and
    each is only shifted in its plane.

    Parameters
    ----------
    slices : (N, H, W) float32 ndarray
        The slices in the order of the grid.
    grid : Grid
        Their positions.
    spacing : (2,) float
        Millimetres between columns and between rows.

    Returns
    -------
    (D, H', W') float32 ndarray
        The new slices; outside of the old ones they have the lowest value.
    (3,) ndarray
        Position of the first voxel along the three axes of the grid, relative to its origin.
    float
        Distance of the new slices, mm.
    """
    along = grid.offsets[:, 2]
    count = int(np.ceil((along[-1] - along[0]) / _step(along) - 1e-3)) + 1
    step = float(along[-1] - along[0]) / (count - 1)
    pixels = grid.offsets[:, :2] / spacing
    low = np.floor(pixels.min(axis=0) + 1e-6)
    extra = np.ceil(pixels.max(axis=0) - low - 1e-6).astype(int)
    fill = float(slices.min())
    _, height, width = slices.shape
    out = np.empty((count, height + int(extra[1]), width + int(extra[0])), np.float32)
    first, moved = -1, []
    for n in range(count):
        at = along[0] + n * step
        below = min(int(np.searchsorted(along, at + 1e-3 * step, side="right")) - 1, len(along) - 2)
        if below != first:
            kept = {first + offset: each for offset, each in enumerate(moved)}
            moved = [
                kept[k] if k in kept else _placed(slices[k], pixels[k] - low, out.shape[1:], fill)
                for k in (below, below + 1)
            ]
            first = below
        weight = float(np.clip((at - along[below]) / (along[below + 1] - along[below]), 0, 1))
        weight = round(weight) if min(weight, 1 - weight) < 1e-3 else weight
        out[n] = (1 - weight) * moved[0] + weight * moved[1]
    return out, np.array([*(low * spacing), along[0]]), step


def _step(along: np.ndarray) -> float:
    """Return the largest distance of the new slices: the smallest of the old distances, mm."""
    steps = np.diff(along)
    if np.ptp(steps) <= 0.1 * np.median(steps):
        return float(steps.mean())
    return float(max(steps.min(), (along[-1] - along[0]) / (_GROWTH * len(steps))))


def _placed(image: np.ndarray, shift: np.ndarray, shape: tuple[int, ...], fill: float) -> np.ndarray:
    """Return an image moved by (columns, rows) pixels on a larger canvas; half covered pixels are filled."""
    x, y = (int(np.floor(value + 1e-6)) for value in shift)
    fx, fy = (float(value - whole) if value - whole > 1e-3 else 0.0 for value, whole in zip(shift, (x, y), strict=True))
    canvas = np.full((shape[0] + 1, shape[1] + 1), fill, np.float32)
    canvas[y : y + image.shape[0], x : x + image.shape[1]] = image
    if fx:
        canvas[:, 1:] = fx * canvas[:, :-1] + (1 - fx) * canvas[:, 1:]
    if fy:
        canvas[1:] = fy * canvas[:-1] + (1 - fy) * canvas[1:]
    return canvas[: shape[0], : shape[1]]

"""The regular grid that best fits the positions of slices, and what does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_FRACTION = 0.1  # of a step: slices that lie so close to the regular grid are taken as regular
_ROUNDING = 0.09  # mm: the largest error of positions that were rounded to 0.1 mm along three axes
_SKEW = 1e-2
_SHEAR = 1e-3  # mm per mm: a tilt below is an error of rounding


@dataclass(frozen=True)
class Grid:
    """Slices on a regular grid, in LPS mm as in DICOM.

    Parameters
    ----------
    order : tuple of int
        The slices sorted along the normal.
    origin : (3,) ndarray
        Centre of the first voxel.
    axes : (3, 3) ndarray
        Columns are the unit vectors along the columns, the rows and the slices.
    step : float
        Distance of the slices; 0 for a single slice.
    deviation : float
        Largest distance of a slice from its position on the grid, mm.
    offsets : (N, 3) ndarray
        Position of each sorted slice relative to `origin`, along the three axes.
    problem : str
        Why there is no grid (a slice is missing), or "".
    irregular : str
        Why the slices need resampling (tilted gantry, mixed distances), or "".
    """

    order: tuple[int, ...]
    origin: np.ndarray
    axes: np.ndarray
    step: float
    deviation: float
    offsets: np.ndarray
    problem: str = ""
    irregular: str = ""


def fit(positions: np.ndarray, orientation: Sequence[float], names: list[str]) -> Grid:
    """Fit a regular grid to the positions of slices by least squares.

    Parameters
    ----------
    positions : (N, 3) ndarray
        Image Position (Patient) of each slice.
    orientation : (6,) sequence of float
        Image Orientation (Patient), the direction of rows and columns.
    names : list of str
        A name of each slice for messages.
    """
    axes, skew = _axes(orientation)
    local = positions @ axes
    order = np.argsort(local[:, 2], kind="stable")
    local, count = local[order], len(order)
    along = local[:, 2]
    if count == 1:
        return Grid((0,), positions[0], axes, 0.0, 0.0, np.zeros((1, 3)), skew)
    index = np.arange(count)
    step, start = np.round(np.polyfit(index, along, 1), 7)
    sideways = local[:, :2].mean(axis=0)
    regular = np.column_stack([np.broadcast_to(sideways, (count, 2)), start + step * index])
    deviation = float(np.linalg.norm(local - regular, axis=1).max())
    order_tuple = tuple(int(n) for n in order)
    if not skew and deviation <= max(_FRACTION * step, min(_ROUNDING, 0.25 * step)):
        origin = axes @ regular[0]
        return Grid(order_tuple, origin, axes, float(step), deviation, local - regular[0])
    sorted_names = [names[n] for n in order]
    problem = skew or _gaps(positions[order], along, axes, sorted_names)
    irregular = "" if problem else " and ".join(filter(None, (_shift(local), _mixed(along))))
    if not problem and not irregular:
        irregular = f"the slice positions deviate by up to {deviation:.2f} mm from regular spacing"
    return Grid(order_tuple, axes @ local[0], axes, float(step), deviation, local - local[0], problem, irregular)


def _axes(orientation: Sequence[float]) -> tuple[np.ndarray, str]:
    """Return orthonormal axes, as columns, and what is wrong with them: the row's direction is kept."""
    row, column = np.asarray(orientation[:3], float), np.asarray(orientation[3:], float)
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    row, column = row / lengths[0], column / lengths[1]
    skew = ""
    if abs(row @ column) > _SKEW or max(abs(length - 1) for length in lengths) > _SKEW:
        skew = (
            "The row and column directions of the slices (Image Orientation (Patient)) are not perpendicular unit "
            "vectors. Export the series again."
        )
    column = column - row * (row @ column)
    column = column / (np.linalg.norm(column) or 1.0)
    return np.column_stack([row, column, np.cross(row, column)]), skew


def _gaps(positions: np.ndarray, along: np.ndarray, axes: np.ndarray, names: list[str]) -> str:
    """Return which slices are missing, a sentence; "" when there are all."""
    steps = np.diff(along)
    usual = float(np.median(steps) if len(steps) > 2 else steps.min())
    multiples = np.round(steps / usual)
    tolerance = max(_FRACTION, min(2 * _ROUNDING, 0.25 * usual) / usual) * np.maximum(multiples, 1)
    fits = np.abs(steps / usual - multiples) <= tolerance
    wide = np.flatnonzero(multiples > 1)
    single = not len(wide) or np.diff(wide).min(initial=2) > 1  # mixed distances come in runs, missing slices do not
    if (
        not len(wide)
        or not fits.all()
        or (multiples < 1).any()
        or len(wide) > max(1, (0.4 if single else 0.2) * len(steps))
    ):
        return ""
    axis = int(np.abs(axes[:, 2]).argmax())
    places = []
    for n in wide[:3]:
        ends = " and ".join(f"{names[m]} ({'xyz'[axis]} = {positions[m, axis]:.2f} mm)" for m in (n, n + 1))
        places.append(f"between {ends}, where the gap is {steps[n]:.2f} mm")
    missing = int(multiples[wide].sum()) - len(wide)
    more = f", and at {len(wide) - 3} more place{'s' if len(wide) > 4 else ''}" if len(wide) > 3 else ""
    return (
        f"{missing} slice{'s are' if missing > 1 else ' is'} missing {'; '.join(places)}{more}; the other slices are "
        f"{usual:.2f} mm apart. Fetch the complete series again."
    )


def _mixed(along: np.ndarray) -> str:
    """Return that the distances are mixed, with the distances in their order; "" when they are not."""
    steps = np.diff(along)
    usual = float(np.median(steps))
    if np.abs(steps - usual).max() <= max(_FRACTION * usual, min(2 * _ROUNDING, 0.25 * usual)):
        return ""
    runs: list[list[float]] = []
    for step in steps:
        if runs and abs(np.mean(runs[-1]) - step) <= max(_FRACTION * step, 0.02):
            runs[-1].append(float(step))
        else:
            runs.append([float(step)])
    words = [f"{np.mean(run):.4g} mm" + (f" ({len(run)} times)" if len(run) > 1 else "") for run in runs]
    listed = ", then ".join(words) if len(words) <= 5 else f"between {steps.min():.4g} and {steps.max():.4g} mm"
    return f"the slice spacing varies: {listed}"


def _shift(local: np.ndarray) -> str:
    """Return how the slices are shifted in their planes, as by a tilted gantry; "" when they are not."""
    along, sideways = local[:, 2], local[:, :2]
    spread = sideways - sideways.mean(axis=0)
    if np.linalg.norm(spread, axis=1).max() <= _ROUNDING:
        return ""
    slope = np.polyfit(along, sideways, 1)[0]
    left = sideways - np.polyval(np.polyfit(along, sideways, 1), along[:, None])
    tilt = float(np.linalg.norm(slope))
    if tilt > _SHEAR and np.linalg.norm(left, axis=1).max() < 1.0:
        return f"the gantry was tilted by {np.degrees(np.arctan(tilt)):.1f} degrees"
    return f"the slices are shifted sideways by up to {np.linalg.norm(spread, axis=1).max():.1f} mm"

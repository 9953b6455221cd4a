"""Distance of matched landmarks from those placed by a reader."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import InputError
from oncotrack.followup.methods import prepare
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, ScanPair, Tracker
from oncotrack.images.volume import Volume, lps_to_ras
from oncotrack.json_text import read_text


def read_points(path: str | Path, volume: Volume) -> np.ndarray:
    """Read an elastix/transformix point file.

    Its first line is ``index`` (voxels i j k of `volume`) or ``point`` (LPS mm), its second the number of points.

    Parameters
    ----------
    path : path
        The file.
    volume : Volume
        The scan that voxel indices belong to.

    Returns
    -------
    (N, 3) ndarray
        RAS mm.

    Raises
    ------
    InputError
        The file cannot be read, or a line (named) is wrong.
    """
    path = Path(path)
    lines = read_text(path, "could not be read as a file of points. Check the path.").split("\n")
    kind = lines[0].strip()
    if kind not in ("index", "point"):
        raise InputError(f'{path}: the first line must be "index" (voxels) or "point" (mm), not "{kind[:40]}".')
    try:
        count = int(lines[1])
    except (IndexError, ValueError) as error:
        raise InputError(f"{path}: the second line must be the number of points.") from error
    rows = [(n, line.split()) for n, line in enumerate(lines[2:], start=3) if line.strip()]
    if len(rows) != count:
        raise InputError(f"{path} announces {count} points but holds {len(rows)}.")
    points = np.empty((count, 3))
    for index, (number, words) in enumerate(rows):
        try:
            points[index] = [float(word) for word in words]
        except ValueError as error:
            raise InputError(
                f'{path}, line {number}: three numbers are needed, not "{" ".join(words)[:60]}".'
            ) from error
    return volume.geometry.to_ras(points) if kind == "index" else lps_to_ras(points)


def evaluate_landmarks(
    pair: ScanPair,
    baseline_points: np.ndarray,
    followup_points: np.ndarray,
    tracker: Tracker,
    *,
    radius_mm: float = DEFAULT_RADIUS_MM,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Match every baseline landmark and measure the distance to its follow-up landmark.

    Parameters
    ----------
    pair : ScanPair
        The two scans.
    baseline_points, followup_points : (N, 3) ndarray
        RAS mm.
    tracker : Tracker
        The method.
    radius_mm : float
        Lesion radius that is given to the tracker, mm.
    progress : Progress
        Called before each landmark.

    Returns
    -------
    dict
        ``mean_mm median_mm max_mm per_point_mm``, ``found`` (bool per point), ``cycle_error_mm`` (per point),
        ``outside`` (indices of points outside either scan, which are not counted), ``seconds_register`` (once) and
        ``seconds_per_point`` (median).

    Raises
    ------
    InputError
        Different numbers of points, or none inside both scans.
    """
    if len(baseline_points) != len(followup_points):
        raise InputError(
            f"{len(baseline_points)} baseline points and {len(followup_points)} follow-up points do not correspond; "
            "both files must list the same landmarks in the same order."
        )
    inside = pair.baseline.geometry.contains(baseline_points) & pair.followup.geometry.contains(followup_points)
    if not inside.any():
        raise InputError(
            "None of the points lies inside both scans. Check that each point file belongs to its scan, and whether its "
            'first line should be "index" or "point".'
        )
    started = time.perf_counter()
    prepare(tracker, pair, progress)
    seconds_register = time.perf_counter() - started
    errors, seconds, found, cycles = [], [], [], []
    indices = np.flatnonzero(inside)
    for number, index in enumerate(indices):
        progress(number / len(indices), f"Landmark {number + 1} of {len(indices)}")
        started = time.perf_counter()
        match = tracker.match(pair, baseline_points[index], radius_mm)
        seconds.append(time.perf_counter() - started)
        errors.append(float(np.linalg.norm(np.subtract(match.position, followup_points[index]))))
        found.append(match.found)
        cycles.append(match.cycle_error_mm)
    return {
        "method": tracker.name,
        "mean_mm": statistics.fmean(errors),
        "median_mm": statistics.median(errors),
        "max_mm": max(errors),
        "per_point_mm": errors,
        "found": found,
        "cycle_error_mm": cycles,
        "outside": np.flatnonzero(~inside).tolist(),
        "seconds_register": seconds_register,
        "seconds_per_point": statistics.median(seconds),
    }

"""Reading the RECIST axes of one lesion from OncoTrack's JSON or from two lines saved by 3D Slicer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from oncotrack.errors import InputError
from oncotrack.images.volume import lps_to_ras
from oncotrack.masks.axes import RecistAxes

_IS_LPS = {"RAS": False, "LPS": True}


def read_axes(path: str | Path) -> RecistAxes:
    """Read the axes of one lesion.

    Parameters
    ----------
    path : path
        ``{"coordinates": "RAS", "long": [[R, A, S], [R, A, S]], "short": [...]}``, or a ``.mrk.json`` with two lines
        of two points each, in either order, in the coordinate system that the file names.

    Raises
    ------
    InputError
        The file is missing or damaged, holds something else, or an axis has no length.
    """
    path = Path(path).expanduser()
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist. Check the path.") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} is not a readable JSON file. Save the lines again.") from error
    if isinstance(data, dict) and "markups" in data:
        one, other = _lines(data["markups"], path)
        return RecistAxes.of(one, other)
    if not isinstance(data, dict) or not {"long", "short"} <= data.keys():
        raise InputError(f'{path} holds neither the axes "long" and "short" nor the two lines of a .mrk.json.')
    in_lps = is_lps(data.get("coordinates", "RAS"), path)
    long, short = (points(data[name], in_lps, path) for name in ("long", "short"))
    return RecistAxes.of(long, short)


def _lines(markups: list, path: Path) -> list[np.ndarray]:
    """Return the end points of the two lines of a markups file, (2, 3) RAS mm each."""
    lines = [each for each in markups if isinstance(each, dict) and each.get("type") == "Line"]
    if len(lines) != 2:
        raise InputError(f"{path} holds {len(lines)} lines; a lesion has two, its long and its short axis.")
    found = []
    for line in lines:
        positions = [point.get("position") for point in line.get("controlPoints", [])]
        found.append(points(positions, is_lps(line.get("coordinateSystem", "LPS"), path), path))
    return found


def is_lps(system: object, path: object) -> bool:
    """Return whether a file's coordinate system is LPS.

    Parameters
    ----------
    system : object
        The name that the file gives.
    path : object
        File or line that it was read from, for the error message.

    Raises
    ------
    InputError
        The name is neither LPS nor RAS.
    """
    if not isinstance(system, str) or system not in _IS_LPS:
        raise InputError(f'{path} gives its coordinates as "{system}"; RAS or LPS is needed.')
    return _IS_LPS[system]


def points(values: Any, in_lps: bool, path: object) -> np.ndarray:
    """Return the end points of an axis in a file, (2, 3) RAS mm.

    Parameters
    ----------
    values : object
        Two points of three numbers, mm.
    in_lps : bool
        Whether they are LPS.
    path : object
        File or line that they were read from, for the error message.

    Raises
    ------
    InputError
        They are not two points of three finite numbers.
    """
    try:
        ends = np.array(values, float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: an axis is not two points of three numbers.") from error
    if ends.shape != (2, 3) or not np.isfinite(ends).all():
        raise InputError(f"{path}: an axis is not two points of three numbers.")
    return lps_to_ras(ends) if in_lps else ends

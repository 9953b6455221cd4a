"""RECIST axes in files: OncoTrack's own JSON, or two lines that Slicer saved."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from oncotrack.errors import InputError
from oncotrack.images.volume import lps_to_ras
from oncotrack.masks.axes import RecistAxes

_SIGNS = {"RAS": False, "LPS": True}


def read_axes(path: str | Path) -> RecistAxes:
    """The axes of one lesion.

    Parameters
    ----------
    path : path
        ``{"coordinates": "RAS", "long": [[R, A, S], [R, A, S]], "short": [...]}``, or a ``.mrk.json`` with two lines
        of two points each, in either order, RAS or LPS as it says.

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
        return RecistAxes.of(*_lines(data["markups"], path))
    if not isinstance(data, dict) or not {"long", "short"} <= data.keys():
        raise InputError(f'{path} holds neither the axes "long" and "short" nor the two lines of a .mrk.json.')
    in_lps = is_lps(data.get("coordinates", "RAS"), path)
    return RecistAxes.of(*(points(data[name], in_lps, path) for name in ("long", "short")))


def _lines(markups, path: Path) -> list[np.ndarray]:
    lines = [each for each in markups if isinstance(each, dict) and each.get("type") == "Line"]
    if len(lines) != 2:
        raise InputError(f"{path} holds {len(lines)} lines; a lesion has two, its long and its short axis.")
    found = []
    for line in lines:
        places = [point.get("position") for point in line.get("controlPoints", [])]
        found.append(points(places, is_lps(line.get("coordinateSystem", "LPS"), path), path))
    return found


def is_lps(system: object, path: object) -> bool:
    """Whether a file's word for its coordinates means LPS; InputError when it is neither LPS nor RAS."""
    if system not in _SIGNS:
        raise InputError(f'{path} says its coordinates are "{system}"; RAS or LPS is needed.')
    return _SIGNS[system]


def points(values, in_lps: bool, path: object) -> np.ndarray:
    """(2, 3) RAS mm of an axis' two ends as a file gives them; InputError when they are no such thing."""
    try:
        ends = np.array(values, float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: an axis is not two points of three numbers.") from error
    if ends.shape != (2, 3) or not np.isfinite(ends).all():
        raise InputError(f"{path}: an axis is not two points of three numbers.")
    return lps_to_ras(ends) if in_lps else ends

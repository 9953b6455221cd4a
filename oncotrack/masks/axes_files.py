"""Reading the RECIST axes of one lesion: OncoTrack's JSON, or two lines that 3D Slicer saved in one file or in two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oncotrack.errors import InputError
from oncotrack.images.volume import lps_to_ras
from oncotrack.json_text import parse_json, read_text
from oncotrack.masks.axes import RecistAxes

LINE_FILES = (".mrk.json", ".fcsv")
"""Suffixes of the files in which 3D Slicer saves lines and points."""
Line = np.ndarray | InputError
"""The ends of a line, (2, 3) RAS mm; or why it cannot be used."""
_IS_LPS = {"RAS": False, "LPS": True}
_FCSV_SYSTEMS = {"0": "RAS", "1": "LPS"}  # of Slicer 4


def read_axes(*paths: str | Path) -> RecistAxes:
    """Read the axes of one lesion.

    Parameters
    ----------
    *paths : path
        One file with ``{"coordinates": "RAS", "long": [[R, A, S], [R, A, S]], "short": [...]}``; or one or two files
        with two lines together, in either order, see `read_lines`.

    Raises
    ------
    InputError
        A file is missing or damaged, holds something else, or an axis has no length.
    """
    found = read_axes_files(paths)
    if len(found) != 1:
        raise InputError(f"{paths[0]} holds the axes of {len(found)} lesions where those of one are needed.")
    return found[0]


def read_axes_files(paths: Iterable[str | Path]) -> list[RecistAxes]:
    """Read the axes of several lesions, or of one on several slices.

    Parameters
    ----------
    paths : iterable of path
        Each as in `read_axes`. Each two successive lines, of one file or of two, are the axes of one lesion.

    Returns
    -------
    list of RecistAxes
        In the order of the files.

    Raises
    ------
    InputError
        As `read_axes`; or a line is left over.
    """
    found: list[RecistAxes] = []
    waiting: list[Line] = []
    count, last = 0, Path()
    for path in map(Path, paths):
        data = None if path.name.lower().endswith(".fcsv") else _json(path)
        if isinstance(data, dict) and {"long", "short"} <= data.keys():
            in_lps = is_lps(data.get("coordinates", "RAS"), path)
            found.append(RecistAxes.of(points(data["long"], in_lps, path), points(data["short"], in_lps, path)))
            continue
        for line in read_lines(path):
            waiting.append(line)
            if len(waiting) == 2:
                found.append(axes_of_lines(waiting[0], waiting[1]))
                waiting = []
            count, last = count + 1, path
    for line in waiting:
        raise line if isinstance(line, InputError) else odd_number(count, last)
    return found


def axes_of_lines(one: Line, other: Line) -> RecistAxes:
    """Return the axes of a lesion from its two lines, in either order.

    Parameters
    ----------
    one, other : (2, 3) ndarray or InputError
        As `read_lines` returns them.

    Raises
    ------
    InputError
        One of the lines cannot be used, or an axis has no length.
    """
    if isinstance(one, InputError):
        raise one
    if isinstance(other, InputError):
        raise other
    return RecistAxes.of(one, other)


def odd_number(count: int, path: str | Path) -> InputError:
    """Return the error for lines of which one has no second one.

    Parameters
    ----------
    count : int
        How many lines were read.
    path : path
        The last file that they were read from.
    """
    return InputError(
        f"{path} holds {count} line{'s' if count > 1 else ''}, but a lesion has two: its long and its short axis. "
        "Slicer saves each line in a file of its own; choose both files."
    )


def read_lines(path: str | Path) -> list[Line]:
    """Read the lines that 3D Slicer saved.

    Parameters
    ----------
    path : path
        ``.mrk.json`` with lines, or with points of which each two successive ones are the ends of a line; or the
        ``.fcsv`` of such points. In the coordinate system that the file names.

    Returns
    -------
    list of (2, 3) ndarray or InputError
        The ends of each line, RAS mm, in the order of the file; or why a line cannot be used.

    Raises
    ------
    InputError
        The file is missing or damaged, or holds no lines.
    """
    path = Path(path).expanduser()
    if path.name.lower().endswith(".fcsv"):
        lines = _pairs(_fcsv(path), path)
    else:
        lines = [line for markup in _markups(path) for line in _markup_lines(markup, path)]
    if not lines:
        raise InputError(f'{path} holds neither the axes "long" and "short" nor lines of 3D Slicer.')
    return lines


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
    ends = _positions(values, in_lps, path)
    if len(ends) != 2:
        raise InputError(f"{path}: an axis is not two points of three numbers.")
    return ends


def _positions(values: Any, in_lps: bool, path: object) -> np.ndarray:
    """Return points of a file, (N, 3) RAS mm."""
    try:
        found = np.array(values, float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: an axis is not two points of three numbers.") from error
    if not found.size:
        return np.zeros((0, 3))
    if found.ndim != 2 or found.shape[1] != 3 or not np.isfinite(found).all():
        raise InputError(f"{path}: an axis is not two points of three numbers.")
    return lps_to_ras(found) if in_lps else found


def _json(path: Path) -> Any:
    text = read_text(path, "is not a readable JSON file. Save the lines again.")
    return parse_json(text, path, "Save the lines again.")


def _markups(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a markups file; where it holds none, its lists of points."""
    data = _json(path)
    markups = data.get("markups") if isinstance(data, dict) else None
    if not isinstance(markups, list):
        raise InputError(f'{path} holds neither the axes "long" and "short" nor lines of 3D Slicer.')
    drawn = [each for each in markups if isinstance(each, dict) and each.get("type") in ("Line", "Fiducial")]
    return [each for each in drawn if each["type"] == "Line"] or drawn


def _markup_lines(markup: Mapping[str, Any], path: Path) -> list[Line]:
    """Return the lines of a markup, or of the points that a reader has placed."""
    unit = markup.get("coordinateUnits", "mm")
    if (unit[0] if isinstance(unit, list) and unit else unit) != "mm":
        return [InputError(f"{path} gives its coordinates in {unit}; mm are needed. Save it again from Slicer.")]
    drawn = markup.get("controlPoints")
    placed = [
        each.get("position")
        for each in (drawn if isinstance(drawn, list) else ())
        if isinstance(each, dict) and each.get("positionStatus", "defined") == "defined"
    ]
    try:
        found = _positions(placed, is_lps(markup.get("coordinateSystem", "LPS"), path), path)
    except InputError as error:
        return [error]
    if markup["type"] == "Line" and len(found) != 2:
        count = f"{len(found)} point{'s' if len(found) != 1 else ''}"
        return [InputError(f"{path}: a line has {count} instead of two. Draw it again.")]
    return _pairs(found, path)


def _pairs(ends: np.ndarray, path: Path) -> list[Line]:
    """Split (N, 3) points into lines of two."""
    if len(ends) % 2:
        return [InputError(f"{path} holds {len(ends)} points where each line has two. Save it again from Slicer.")]
    return list(ends.reshape(-1, 2, 3))


def _fcsv(path: Path) -> np.ndarray:
    """Return the points of a Slicer 4 list of points, (N, 3) RAS mm."""
    text = read_text(path, "is not a readable .fcsv file. Save the points again.")
    system, columns, rows = "", ["id", "x", "y", "z"], []
    for line in text.splitlines():
        name, equals, value = line.lstrip("# ").partition("=")
        if not line.startswith("#"):
            rows += [line.split(",")] if line.strip() else []
        elif equals and name.strip() == "CoordinateSystem":
            system = value.strip()
        elif equals and name.strip() == "columns":
            columns = [each.strip() for each in value.split(",")]
    in_lps = is_lps(_FCSV_SYSTEMS.get(system, system), path)
    try:
        where = [columns.index(axis) for axis in "xyz"]
        values: Sequence[Sequence[str]] = [[row[n] for n in where] for row in rows]
    except (ValueError, IndexError) as error:
        raise InputError(f"{path} has a row without a position. Save the points again.") from error
    return _positions(values, in_lps, path)

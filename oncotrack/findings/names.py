"""Names without doubles: labels of findings, and files of several scans or findings in one folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oncotrack.findings.finding import TimePoint


def numbered(labels: Sequence[str], key: Callable[[str], Hashable] = str) -> list[str]:
    """Return the labels, each once: the first of several equal ones is kept, the others get a number.

    Parameters
    ----------
    labels : sequence of str
        For example "A", "A", "B".
    key : callable
        Labels with the same key are equal, for example those that would become the same file name.

    Returns
    -------
    list of str
        In the same order: "A", "A (2)", "B".
    """
    given, taken, unique = {key(label) for label in labels}, set(), []
    for label in labels:
        chosen, number = label, 1
        while key(chosen) in taken or (number > 1 and key(chosen) in given):
            number += 1
            chosen = f"{label} ({number})"
        taken.add(key(chosen))
        unique.append(chosen)
    return unique


def file_stem(name: str) -> str:
    """Return a label or a path as the start of a file name, with "-" for characters that are not allowed in one.

    Parameters
    ----------
    name : str
        For example "PAT1/CT" or "LN 1, left".
    """
    return re.sub(r"[^\w.-]+", "-", name).strip("-") or "-"


def file_stems(names: Sequence[str]) -> list[str]:
    """Return the `file_stem` of each name, with a number where it occurs twice, also where case is ignored.

    Parameters
    ----------
    names : sequence of str
        Labels or paths.
    """
    return [file_stem(name) for name in numbered(names, lambda name: file_stem(name).casefold())]


def scan_prefix(time_points: Sequence[TimePoint], time_point: str) -> str:
    """Return how the names of one scan's files begin: "" where there is one scan, else for example "follow-up-".

    Parameters
    ----------
    time_points : sequence of TimePoint
        All scans of the patient.
    time_point : str
        Identifier of the scan.
    """
    if len(time_points) < 2:
        return ""
    stems = file_stems([each.label for each in time_points])
    return next((f"{stem}-" for each, stem in zip(time_points, stems, strict=True) if each.id == time_point), "")

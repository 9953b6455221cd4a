"""Whether a course conforms to RECIST 1.1: measurability and number of the target lesions, and missing measurements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from oncotrack.findings.contrast import is_other_phase
from oncotrack.findings.finding import Role
from oncotrack.response.course import Course, Lesion, Seen
from oncotrack.response.criteria import (
    MOST_PER_ORGAN,
    MOST_TARGETS,
    NORMAL_NODE_MM,
    TARGET_MM,
    TARGET_NODE_MM,
    TOLERANCE,
    reaches,
)

_THICK_MM = 5.0
"""Slices up to this thickness do not change the smallest measurable size."""
_OTHER_WINDOW = 0.25
"""Windows differ from this change of their width or of their level on, in shares of the width at baseline."""


@dataclass(frozen=True)
class Remark:
    """Something that does not conform: the lesion and the visit that it concerns ("" for the whole course), and a sentence."""

    lesion: str
    visit: str
    text: str


def smallest_target_mm(lesion: Lesion, slice_mm: float | None) -> float:
    """Return the smallest diameter of a measurable lesion: 10 mm or two slices, 15 mm for the short axis of a node.

    Parameters
    ----------
    lesion : Lesion
        The lesion.
    slice_mm : float or None
        Slice thickness at baseline; None where it is not known.
    """
    if lesion.is_node:
        return TARGET_NODE_MM
    return 2 * slice_mm if slice_mm is not None and slice_mm > _THICK_MM + TOLERANCE else TARGET_MM


def conformity(course: Course) -> list[Remark]:
    """Return everything that does not conform to RECIST 1.1, with the reason.

    Parameters
    ----------
    course : Course
        Visits and lesions.
    """
    return [*_choice(course), *_scans(course), *_readings(course)]


def choice_remark(course: Course, lesion: Lesion) -> str:
    """Return why a lesion cannot be a target lesion; "" where it can.

    Parameters
    ----------
    course : Course
        Visits and lesions.
    lesion : Lesion
        One of its lesions.
    """
    seen = lesion.at(course.baseline)
    mm = None if seen is None else seen.short_mm if lesion.is_node else seen.long_mm
    axis = "short axis" if lesion.is_node else "long axis"
    if mm is None:
        return f"{lesion.label} has no {axis} at baseline, so that no change can be computed."
    smallest = smallest_target_mm(lesion, course.baseline.slice_mm)
    if reaches(mm, smallest):
        return ""
    size = f"The {axis} of {lesion.label} is {mm:.1f} mm at baseline; a target lesion needs {smallest:.0f} mm"
    if not lesion.is_node:
        thick = smallest > TARGET_MM
        return f"{size}{f', two slices of {course.baseline.slice_mm:.1f} mm' if thick else ''}."
    kind = "normal" if mm < NORMAL_NODE_MM - TOLERANCE else f"non-target from {NORMAL_NODE_MM:.0f} mm"
    return f"{size} as a lymph node ({kind})."


def _choice(course: Course) -> Iterator[Remark]:
    targets = [each for each in course.of_role(Role.TARGET) if not each.split_from]
    for lesion in targets:
        if text := choice_remark(course, lesion):
            yield Remark(lesion.label, course.baseline.label, text)
        if lesion.organ_group in ("bone", "spine"):
            yield Remark(
                lesion.label,
                course.baseline.label,
                f"{lesion.label} is in bone: only a soft tissue component can be measured.",
            )
    if len(targets) > MOST_TARGETS:
        yield Remark("", "", f"There are {len(targets)} target lesions; RECIST 1.1 allows {MOST_TARGETS}.")
    organs = defaultdict(list)
    for lesion in targets:
        if lesion.organ_group:
            organs[lesion.organ_group].append(lesion.label)
    for organ, labels in organs.items():
        if len(labels) > MOST_PER_ORGAN:
            yield Remark(
                "",
                "",
                f"{len(labels)} target lesions are in one organ ({organ}: {', '.join(labels)}); RECIST 1.1 allows "
                f"{MOST_PER_ORGAN}.",
            )
    for lesion in course.of_role(Role.NON_TARGET):
        seen = lesion.at(course.baseline)
        if lesion.is_node and seen and seen.short_mm is not None and seen.short_mm < NORMAL_NODE_MM - TOLERANCE:
            yield Remark(
                lesion.label,
                course.baseline.label,
                f"{lesion.label} is a lymph node of {seen.short_mm:.1f} mm; below {NORMAL_NODE_MM:.0f} mm it is normal "
                "and not recorded.",
            )
    for lesion in course.of_role(Role.NEW):
        if (seen := lesion.at(course.baseline)) and seen.is_there:
            yield Remark(lesion.label, course.baseline.label, f"{lesion.label} is new but was seen at baseline.")


def _scans(course: Course) -> Iterator[Remark]:
    for visit in course.visits:
        if visit.day is None:
            yield Remark(
                "", visit.label, f"{visit.label} has no date, so that the days between visits are not checked there."
            )
        if visit.slice_mm is not None and visit.slice_mm > _THICK_MM + TOLERANCE:
            yield Remark(
                "",
                visit.label,
                f"Slices of {visit.slice_mm:.1f} mm at {visit.label}; {_THICK_MM:.0f} mm or less are recommended.",
            )
    for visit in course.visits[1:]:
        if is_other_phase(course.baseline.contrast, visit.contrast):
            yield Remark(
                "",
                visit.label,
                f"The scan of {visit.label} is {_of_phase(visit.contrast)}, that of {course.baseline.label} "
                f"{_of_phase(course.baseline.contrast)}: lesions may look larger or smaller.",
            )
    thick = [visit for visit in course.visits if visit.slice_mm is not None]
    for visit in thick[1:]:
        first = thick[0].slice_mm or 0.0
        if abs((visit.slice_mm or 0.0) - first) > max(1.0, 0.5 * first):
            yield Remark(
                "",
                visit.label,
                f"Slices of {visit.slice_mm:.1f} mm at {visit.label} and of {first:.1f} mm at {thick[0].label}.",
            )


def _readings(course: Course) -> Iterator[Remark]:
    for lesion in course.lesions:
        first = lesion.at(course.baseline)
        for index, visit in enumerate(course.visits):
            seen = lesion.at(visit)
            if lesion.role is Role.TARGET and index and _is_missing(course, lesion, index):
                yield Remark(lesion.label, visit.label, f"{lesion.label} has no measurement at {visit.label}.")
            if seen and seen.is_proposal:
                yield Remark(
                    lesion.label,
                    visit.label,
                    f"{lesion.label} at {visit.label} is a proposal that no reader accepted yet.",
                )
            if seen and seen.doubts:
                yield Remark(
                    lesion.label,
                    visit.label,
                    f"The mask of {lesion.label} at {visit.label} is doubtful. {' '.join(seen.doubts)}",
                )
            if seen and first and seen.plane and first.plane and seen.plane != first.plane:
                yield Remark(
                    lesion.label,
                    visit.label,
                    f"{lesion.label} was measured in {_a(seen.plane)} plane at {visit.label} and in {_a(first.plane)} one "
                    "at baseline.",
                )
            if seen and first and seen.window and first.window and _is_other_window(first.window, seen.window):
                yield Remark(
                    lesion.label,
                    visit.label,
                    f"{lesion.label} was measured in the window {_window(seen.window)} at {visit.label} and in "
                    f"{_window(first.window)} at baseline; use one window for all visits.",
                )


def _is_other_window(first: tuple[float, float], second: tuple[float, float]) -> bool:
    """Return whether two windows (width, level) differ so much that borders may look different."""
    return max(abs(a - b) for a, b in zip(first, second, strict=True)) > _OTHER_WINDOW * first[0]


def _window(window: tuple[float, float]) -> str:
    return "W {:.0f} L {:.0f}".format(*window)


def _of_phase(phase: str) -> str:
    return f"of the {phase}" if phase.endswith("phase") else phase


def _is_missing(course: Course, lesion: Lesion, index: int) -> bool:
    visit = course.visits[index]
    seen = lesion.at(visit)
    if seen is None:
        is_not_yet_split = bool(lesion.split_from) and not course.was_seen_until(lesion, index)
        return not is_not_yet_split and not any(each.at(visit) for each in course.fragments(lesion))
    if seen.seen in (Seen.ABSENT, Seen.MERGED, Seen.TOO_SMALL):
        return False
    return (seen.short_mm if lesion.is_node else seen.long_mm) is None


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"

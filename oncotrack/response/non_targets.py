"""The response of the non-target lesions, and new lesions (RECIST 1.1, sections 4.3.2 to 4.3.5)."""

from __future__ import annotations

from dataclasses import dataclass

from oncotrack.findings.finding import Role
from oncotrack.response.course import Course, Lesion, Reading, Seen
from oncotrack.response.criteria import NORMAL_NODE_MM, TOLERANCE, Response, Verdict


@dataclass(frozen=True)
class NewLesions:
    """New lesions at one visit: the certain ones, those that may be new, and the sentence about them."""

    certain: tuple[Lesion, ...]
    equivocal: tuple[Lesion, ...]
    why: str


def non_target_verdict(course: Course, index: int, after_complete: bool) -> Verdict:
    """Return the response of the non-target lesions at a visit.

    Parameters
    ----------
    course : Course
        Visits and lesions.
    index : int
        Of the visit.
    after_complete : bool
        Whether the last evaluable overall response was CR, so that a lesion that is seen again is PD.
    """
    visit = course.visits[index]
    lesions = [each for each in course.of_role(Role.NON_TARGET) if _exists(course, each, index)]
    if not lesions:
        return Verdict(Response.NONE, "There is no non-target lesion.")
    readings = [(each, course.holder(each, visit).at(visit)) for each in lesions]
    progressed = [each.label for each, seen in readings if is_certain_progression(seen)]
    if progressed:
        return Verdict(Response.PD, f"The reader found unequivocal progression of {', '.join(progressed)}.")
    left = [each.label for each, seen in readings if seen and seen.is_there and not is_normal_node(each, seen)]
    returned = [each.label for each, _seen in readings if each.label in left and not each.is_node]
    if after_complete and returned:
        return Verdict(Response.PD, f"Seen again after a complete response: {', '.join(returned)}.")
    missing = [each.label for each, seen in readings if seen is None or seen.seen is Seen.NOT_EVALUABLE]
    if missing:
        were = "was" if len(missing) == 1 else "were"
        return Verdict(Response.NE, f"Of the non-target lesions {', '.join(missing)} {were} not evaluated.")
    if left:
        return Verdict(Response.NON, f"Still there, without unequivocal progression: {', '.join(left)}.")
    return Verdict(
        Response.CR, f"All non-target lesions have disappeared or are lymph nodes below {NORMAL_NODE_MM:.0f} mm."
    )


def new_lesions(course: Course, index: int) -> NewLesions:
    """Return the new lesions at a visit; one that was not assessed there counts as it was last seen.

    Parameters
    ----------
    course : Course
        Visits and lesions.
    index : int
        Of the visit.
    """
    certain, equivocal, normal = [], [], []
    for lesion in course.of_role(Role.NEW):
        seen = last_reading(course, lesion, index)
        if seen is None or not seen.is_there:
            continue
        if is_normal_node(lesion, seen):
            normal.append(lesion)
        else:
            (equivocal if seen.equivocal else certain).append(lesion)
    sentences = [
        f"{text}: {', '.join(lesion.label for lesion in lesions)}."
        for text, lesions in (
            ("New", certain),
            ("Possibly new, to be confirmed", equivocal),
            (f"Lymph nodes below {NORMAL_NODE_MM:.0f} mm are no new lesions", normal),
        )
        if lesions
    ]
    return NewLesions(tuple(certain), tuple(equivocal), " ".join(sentences) or "There is no new lesion.")


def last_reading(course: Course, lesion: Lesion, index: int) -> Reading | None:
    """Return a lesion's last evaluable reading up to a visit, or None.

    Parameters
    ----------
    course : Course
        Visits and lesions.
    lesion : Lesion
        One of its lesions.
    index : int
        Of the visit.
    """
    for visit in reversed(course.visits[: index + 1]):
        seen = lesion.at(visit)
        if seen and seen.seen is not Seen.NOT_EVALUABLE:
            return seen
    return None


def is_certain_progression(seen: Reading | None) -> bool:
    """Return whether a reader found unequivocal progression of a non-target lesion.

    Parameters
    ----------
    seen : Reading or None
        The lesion at a visit.
    """
    return seen is not None and seen.seen is Seen.PROGRESSED and not seen.equivocal


def is_normal_node(lesion: Lesion, seen: Reading) -> bool:
    """Return whether a reading is that of a lymph node of normal size: below 10 mm, or too small to measure.

    Parameters
    ----------
    lesion : Lesion
        The lesion.
    seen : Reading
        Its reading.
    """
    if not lesion.is_node:
        return False
    if seen.short_mm is None:
        return seen.seen is Seen.TOO_SMALL
    return seen.short_mm < NORMAL_NODE_MM - TOLERANCE


def _exists(course: Course, lesion: Lesion, index: int) -> bool:
    """Return whether a lesion is to be assessed: a fragment from the visit of the split, a lesion until it has split."""
    visit = course.visits[index]
    if lesion.at(visit) is not None:
        return True
    if lesion.split_from:
        return course.was_seen_until(lesion, index)
    return not any(each.at(visit) for each in course.fragments(lesion))

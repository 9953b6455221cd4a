"""PERCIST 1.0 as information: the change of the hottest lesion's SULpeak (R. Wahl et al., J Nucl Med 50, 2009)."""

from __future__ import annotations

from collections.abc import Iterator

from oncotrack.findings.sizes import signed_text
from oncotrack.response.course import Course, Lesion
from oncotrack.response.criteria import percent, reaches

PERCENT, SUL = 30.0, 0.8
"""A change counts from both: per cent, and units of SULpeak."""


def percist_texts(course: Course) -> list[str]:
    """Return one sentence for each visit with a SULpeak after one at baseline; no response is derived from it.

    Parameters
    ----------
    course : Course
        Visits and lesions.
    """
    first = hottest(course, 0)
    return [] if first is None else list(_texts(course, *first))


def _texts(course: Course, lesion: Lesion, sul: float) -> Iterator[str]:
    for index, visit in enumerate(course.visits[1:], 1):
        if (now := hottest(course, index)) is None:
            continue
        hot, peak = now
        share = percent(peak - sul, sul)
        change = f" ({signed_text(share, '%')})" if share is not None else ""
        where = hot.label if hot.id == lesion.id else f"{hot.label}, at baseline {lesion.label}"
        yield (
            f"{visit.label}: SULpeak of the hottest lesion ({where}) {sul:.1f} to {peak:.1f}, {signed_text(peak - sul, '')}"
            f"{change}: {threshold_text(sul, peak)}."
        )


def threshold_text(before: float, now: float) -> str:
    """Return which threshold of PERCIST a change of SULpeak reaches.

    Parameters
    ----------
    before, now : float
        SULpeak of the hottest lesion.
    """
    change = now - before
    share = percent(abs(change), before)
    if share is None or not (reaches(share, PERCENT) and reaches(abs(change), SUL)):
        return f"below PERCIST's thresholds of {PERCENT:.0f} % and {SUL} units"
    return f"reaches PERCIST's thresholds for {'metabolic progression' if change > 0 else 'partial metabolic response'}"


def hottest(course: Course, index: int) -> tuple[Lesion, float] | None:
    """Return the lesion with the highest SULpeak at a visit, and its SULpeak; None where none was measured.

    Parameters
    ----------
    course : Course
        Visits and lesions.
    index : int
        Of the visit.
    """
    visit = course.visits[index]
    peaks = [
        (seen.sul_peak, each.id, each)
        for each in course.lesions
        if (seen := each.at(visit)) is not None and seen.sul_peak is not None
    ]
    if not peaks:
        return None
    peak, _id, lesion = max(peaks, key=lambda each: each[:2])
    return lesion, peak

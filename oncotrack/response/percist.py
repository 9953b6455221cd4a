"""PERCIST 1.0 as information: the change of the hottest lesion's SULpeak (R. Wahl et al., J Nucl Med 50, 2009)."""

from __future__ import annotations

from collections.abc import Iterator

from oncotrack.findings.sizes import signed_text
from oncotrack.response.course import Course, Lesion
from oncotrack.response.criteria import percent, reaches

PERCENT, SUL = 30.0, 0.8
"""A change counts from both: per cent, and units of SULpeak."""
_NOT_LEAN = "PERCIST's thresholds apply to uptake by lean body mass (SUL)"


def percist_texts(course: Course) -> list[str]:
    """Return one sentence for each visit with a SULpeak after one at baseline; no response is derived from it.

    Where there is none, SUVpeak (body weight) is compared; PERCIST's thresholds are not meant for it.

    Parameters
    ----------
    course : Course
        Visits and lesions.
    """
    by_lean_mass = list(_texts(course, is_lean=True))
    return by_lean_mass or list(_texts(course, is_lean=False))


def _texts(course: Course, *, is_lean: bool) -> Iterator[str]:
    if (first := hottest(course, 0, is_lean=is_lean)) is None:
        return
    lesion, before = first
    for index, visit in enumerate(course.visits[1:], 1):
        if (now := hottest(course, index, is_lean=is_lean)) is None:
            continue
        hot, peak = now
        share = percent(peak - before, before)
        change = f" ({signed_text(share, '%')})" if share is not None else ""
        where = hot.label if hot.id == lesion.id else f"{hot.label}, at baseline {lesion.label}"
        name, meaning = ("SULpeak", threshold_text(before, peak)) if is_lean else ("SUVpeak", _NOT_LEAN)
        yield (
            f"{visit.label}: {name} of the hottest lesion ({where}) {before:.1f} to {peak:.1f}, "
            f"{signed_text(peak - before, '')}{change}: {meaning}."
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


def hottest(course: Course, index: int, *, is_lean: bool = True) -> tuple[Lesion, float] | None:
    """Return the lesion with the highest SULpeak (or SUVpeak) at a visit, and that peak; None where none was measured.

    Parameters
    ----------
    course : Course
        Visits and lesions.
    index : int
        Of the visit.
    is_lean : bool
        Whether uptake is related to lean body mass, or to body weight.
    """
    visit = course.visits[index]
    peaks = [
        (peak, each.id, each)
        for each in course.lesions
        if (seen := each.at(visit)) is not None and (peak := seen.sul_peak if is_lean else seen.suv_peak) is not None
    ]
    if not peaks:
        return None
    peak, _id, lesion = max(peaks, key=lambda each: each[:2])
    return lesion, peak

"""The response of the target lesions at one visit (RECIST 1.1, section 4.3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from oncotrack.findings.sizes import signed_text
from oncotrack.response.course import Course
from oncotrack.response.criteria import (
    NORMAL_NODE_MM,
    PARTIAL_PERCENT,
    PROGRESSION_MM,
    PROGRESSION_PERCENT,
    Response,
    Settings,
    Verdict,
    is_partial,
    is_progression,
    percent,
)
from oncotrack.response.sums import TargetSum


@dataclass(frozen=True)
class TargetResult:
    """The target lesions at one visit.

    Attributes
    ----------
    verdict : Verdict
        Their response.
    total : TargetSum
        Their diameters.
    baseline_mm, nadir_mm : float, optional
        The sum at baseline, and the smallest complete sum before this visit, mm.
    """

    verdict: Verdict
    total: TargetSum
    baseline_mm: float | None = None
    nadir_mm: float | None = None

    @property
    def baseline_percent(self) -> float | None:
        """Change of the sum from baseline, per cent."""
        return _change(self.total.mm, self.baseline_mm)

    @property
    def nadir_percent(self) -> float | None:
        """Change of the sum from the nadir, per cent."""
        return _change(self.total.mm, self.nadir_mm)

    @property
    def nadir_change_mm(self) -> float | None:
        """Change of the sum from the nadir, mm."""
        return None if self.total.mm is None or self.nadir_mm is None else self.total.mm - self.nadir_mm


def target_result(
    course: Course,
    sums: Sequence[TargetSum],
    before: Sequence[Response],
    after_complete: bool,
    settings: Settings,
) -> TargetResult:
    """Return the response of the target lesions at the last of some visits.

    Parameters
    ----------
    course : Course
        Visits and lesions.
    sums : sequence of TargetSum
        The diameters from baseline to this visit.
    before : sequence of Response
        Responses of the target lesions at the visits between.
    after_complete : bool
        Whether the last evaluable overall response was CR, so that any lesion that is seen again is PD.
    settings : Settings
        The protocol's.
    """
    now, baseline_mm = sums[-1], sums[0].mm
    complete = [(each.mm, n) for n, each in enumerate(sums[:-1]) if each.mm is not None]
    nadir_mm, nadir_index = min(complete) if complete else (None, 0)

    def _result(response: Response, why: str) -> TargetResult:
        return TargetResult(Verdict(response, why), now, baseline_mm, nadir_mm)

    if not now.parts and not now.missing:
        return _result(Response.NONE, "There is no target lesion.")
    if baseline_mm is None or nadir_mm is None:
        return _result(Response.NE, f"There is no sum at baseline: {_not_measured(sums[0])}.")
    total = now.measured_mm
    returned = [part for part in now.parts if not part.is_normal] if after_complete else []
    if returned:
        seen = ", ".join(part.text for part in returned)
        return _result(Response.PD, f"Seen again after a complete response: {seen}.")
    if all(part.is_normal for part in now.parts) and not now.missing:
        return _result(Response.CR, _complete_text(now))
    nadir = f"the smallest sum of {nadir_mm:.1f} mm ({course.visits[nadir_index].label})"
    more = _percent_text(total - nadir_mm, nadir_mm)
    if is_progression(total, nadir_mm):
        although = f", although {_not_measured(now)}" if now.missing else ""
        return _result(
            Response.PD,
            f"The sum of target diameters is {total:.1f} mm, {total - nadir_mm:.1f} mm{more} above {nadir}{although}; PD "
            f"from {PROGRESSION_PERCENT:.0f} % and {PROGRESSION_MM:.0f} mm.",
        )
    if now.missing:
        return _result(
            Response.NE, f"Of the target lesions {_not_measured(now)}; the others alone ({total:.1f} mm) are not PD."
        )
    change = f"{_percent_text(total - baseline_mm, baseline_mm, ' from')} the baseline of {baseline_mm:.1f} mm"
    text = f"The sum of target diameters is {total:.1f} mm,{change}"
    if is_partial(total, baseline_mm):
        return _result(Response.PR, f"{text}; PR from -{PARTIAL_PERCENT:.0f} %.")
    neither = f"{text} and {signed_text(total - nadir_mm, 'mm')}{more} from {nadir}"
    if _has_confirmed_partial(course, before, settings):
        return _result(Response.PR, f"{neither}; a confirmed PR continues until PD.")
    return _result(
        Response.SD,
        f"{neither}: neither PR (-{PARTIAL_PERCENT:.0f} %) nor PD (+{PROGRESSION_PERCENT:.0f} % and "
        f"+{PROGRESSION_MM:.0f} mm).",
    )


def _has_confirmed_partial(course: Course, before: Sequence[Response], settings: Settings) -> bool:
    """Return whether PR or CR was seen twice, `confirmation_days` apart, without SD between and without PD since."""
    first, is_confirmed = 0, False
    for index, response in enumerate(before, 1):
        if response is Response.PD:
            first, is_confirmed = 0, False
        elif response is Response.SD:
            first = 0
        elif response in (Response.PR, Response.CR):
            first = first or index
            days = course.days(index, first)
            is_confirmed |= index > first and (days is None or days >= settings.confirmation_days)
    return is_confirmed


def _complete_text(now: TargetSum) -> str:
    nodes = ", ".join(part.text for part in now.parts if part.lesion.is_node and part.mm > 0)
    if nodes:
        return f"No target lesion is left but lymph nodes below {NORMAL_NODE_MM:.0f} mm: {nodes}."
    return "All target lesions have disappeared."


def _not_measured(total: TargetSum) -> str:
    if not total.missing:
        return "nothing was measured"
    return f"{', '.join(total.missing)} {'was' if len(total.missing) == 1 else 'were'} not measured"


def _percent_text(change_mm: float, reference_mm: float, after: str = "") -> str:
    share = percent(change_mm, reference_mm)
    if after:
        return f" {signed_text(share, '%')}{after}" if share is not None else after
    return f" ({signed_text(share, '%')})" if share is not None else ""


def _change(mm: float | None, reference_mm: float | None) -> float | None:
    return None if mm is None or reference_mm is None else percent(mm - reference_mm, reference_mm)

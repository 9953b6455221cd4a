"""The best overall response, with and without confirmation (RECIST 1.1, section 4.4, table 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from oncotrack.response.course import Course
from oncotrack.response.criteria import Response, Settings, Verdict
from oncotrack.response.progression import Progression
from oncotrack.response.recist import VisitResponse

_STABLE = (Response.CR, Response.PR, Response.SD, Response.NON)
_DISEASE = (Response.PR, Response.SD, Response.NON)


@dataclass(frozen=True)
class Step:
    """The response at one visit; `days` after baseline, None where a date is missing."""

    label: str
    response: Response
    days: int | None = None


def best_overall(
    course: Course,
    responses: Sequence[VisitResponse],
    progressed: Progression | None,
    *,
    confirmed: bool,
    settings: Settings | None = None,
) -> Verdict:
    """Return the best overall response, from baseline to the first progression.

    Parameters
    ----------
    course : Course
        Visits and lesions.
    responses : sequence of VisitResponse
        From `recist.assess`.
    progressed : Progression, optional
        From `progression.progression`.
    confirmed : bool
        Whether CR and PR need confirmation at a later visit, as in table 3.
    settings : Settings, optional
        With the days for confirmation and for SD.
    """
    end = progressed.index if progressed else len(course.visits)
    steps = [
        Step(each.visit.label, each.overall.response, course.days(index))
        for index, each in enumerate(responses[: end - 1], 1)
    ]
    if progressed:
        steps.append(Step(progressed.visit.label, Response.PD, course.days(end)))
    return best_of(steps, confirmed=confirmed, settings=settings or Settings())


def best_of(steps: Sequence[Step], *, confirmed: bool, settings: Settings) -> Verdict:
    """Return the best overall response of a sequence of responses that ends at the first progression.

    Parameters
    ----------
    steps : sequence of Step
        Responses after baseline, in their order.
    confirmed : bool
        Whether CR and PR need confirmation at a later visit.
    settings : Settings
        With the days for confirmation and for SD.
    """
    for best, enough in ((Response.CR, (Response.CR,)), (Response.PR, (Response.PR, Response.CR))):
        for start, step in enumerate(steps):
            if step.response is not best:
                continue
            if not confirmed:
                return Verdict(best, f"{best.value} at {step.label} is the best response before any progression.")
            if again := _confirmation(steps, start, enough, settings):
                return Verdict(best, f"{best.value} at {step.label} was confirmed at {again.label}.")
    return _without_response(steps, confirmed=confirmed, settings=settings)


def _confirmation(steps: Sequence[Step], start: int, enough: Sequence[Response], settings: Settings) -> Step | None:
    """Return the step that confirms the response at `start`; visits that were not evaluable may lie between."""
    for step in steps[start + 1 :]:
        if step.response in enough:
            if _gap(steps[start], step) >= settings.confirmation_days:
                return step
        elif step.response is not Response.NE:
            return None
    return None


def _without_response(steps: Sequence[Step], *, confirmed: bool, settings: Settings) -> Verdict:
    """Return SD, Non-CR/Non-PD, PD, NE or NED: what is left where CR and PR were not reached or not confirmed."""
    unconfirmed = [f"{s.response.value} at {s.label}" for s in steps if s.response in (Response.CR, Response.PR)]
    note = f" {' and '.join(unconfirmed)} was not confirmed." if unconfirmed else ""
    stable = [s for s in steps if s.response in _STABLE]
    long_enough = [s for s in stable if s.days is None or s.days >= settings.stable_days]
    if confirmed and not long_enough:
        long_enough = [b for a, b in pairwise(steps) if (a.response, b.response) == (Response.PR, Response.SD)]
    if long_enough:
        step = long_enough[-1]
        response = Response.NON if step.response is Response.NON else Response.SD
        since = f", {step.days} days after baseline" if step.days is not None else ""
        return Verdict(
            response,
            f"No progression until {step.label}{since} (at least {settings.stable_days} days are needed).{note}",
        )
    if progressed := next((s for s in steps if s.response is Response.PD), None):
        return Verdict(Response.PD, f"PD at {progressed.label} before SD lasted {settings.stable_days} days.{note}")
    complete = [n for n, s in enumerate(steps) if s.response is Response.CR]
    if complete and (seen := next((s for s in steps[complete[0] :] if s.response in _DISEASE), None)):
        return Verdict(Response.PD, f"Disease was seen at {seen.label}, after CR at {steps[complete[0]].label}.")
    if any(s.response is Response.NED for s in steps):
        return Verdict(Response.NED, "No disease was there at baseline, and no new lesion appeared.")
    reason = f"SD did not last {settings.stable_days} days" if stable else "No visit could be evaluated"
    return Verdict(Response.NE, f"{reason}, and there was no progression.{note}")


def _gap(first: Step, second: Step) -> float:
    """Return the days between two steps; infinite where a date is missing, so that only their order counts."""
    return float("inf") if first.days is None or second.days is None else second.days - first.days

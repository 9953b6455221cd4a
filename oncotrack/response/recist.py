"""RECIST 1.1: the response at each visit (E. Eisenhauer et al., Eur J Cancer 45, 2009, tables 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass

from oncotrack.response.course import Course, Visit
from oncotrack.response.criteria import Response, Settings, Verdict
from oncotrack.response.non_targets import NewLesions, new_lesions, non_target_verdict
from oncotrack.response.sums import target_sum
from oncotrack.response.targets import TargetResult, target_result


@dataclass(frozen=True)
class VisitResponse:
    """The response at one visit: target lesions, non-target lesions, new lesions, and the patient."""

    visit: Visit
    target: TargetResult
    non_target: Verdict
    new: NewLesions
    overall: Verdict


def assess(course: Course, settings: Settings | None = None) -> tuple[VisitResponse, ...]:
    """Return the response at every visit after baseline; it depends on that visit and on earlier ones only.

    Parameters
    ----------
    course : Course
        Visits and lesions.
    settings : Settings, optional
        The protocol's.
    """
    settings = settings or Settings()
    sums = [target_sum(course, n, settings) for n in range(len(course.visits))]
    responses: list[VisitResponse] = []
    for index in range(1, len(course.visits)):
        after_complete = _is_after_complete(responses)
        before = [each.target.verdict.response for each in responses]
        target = target_result(course, sums[: index + 1], before, after_complete, settings)
        non_target = non_target_verdict(course, index, after_complete)
        new = new_lesions(course, index)
        verdict = overall(target.verdict.response, non_target.response, bool(new.certain))
        responses.append(VisitResponse(course.visits[index], target, non_target, new, verdict))
    return tuple(responses)


def overall(target: Response, non_target: Response, has_new: bool) -> Verdict:
    """Return the response of the patient at one visit by table 1, or by table 2 where there are no target lesions.

    Parameters
    ----------
    target : Response
        CR, PR, SD, PD, NE, or none.
    non_target : Response
        CR, Non-CR/Non-PD, PD, NE, or none.
    has_new : bool
        Whether there is a new lesion.
    """
    response = _combined(target, non_target, has_new)
    table = "Table 2" if target is Response.NONE else "Table 1"
    lesions = f"target {target.value}, non-target {non_target.value}, {'a' if has_new else 'no'} new lesion"
    return Verdict(response, f"{table}: {lesions} give {response.value}.")


def _combined(target: Response, non_target: Response, has_new: bool) -> Response:
    if has_new or Response.PD in (target, non_target):
        return Response.PD
    if target is Response.NONE:
        return Response.NED if non_target is Response.NONE else non_target
    if target is Response.CR and non_target not in (Response.CR, Response.NONE):
        return Response.PR
    return target


def _is_after_complete(responses: list[VisitResponse]) -> bool:
    """Return whether the last evaluable overall response was CR."""
    evaluable = [each.overall.response for each in responses if each.overall.response is not Response.NE]
    return bool(evaluable) and evaluable[-1] is Response.CR

"""The rows of a patient in the tables of an archive's results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oncotrack import __version__
from oncotrack.archive.cases import Case
from oncotrack.archive.patient_folder import failure_row
from oncotrack.archive.plan import EXPORT, JOBS, REGISTER, Keys, Plan
from oncotrack.archive.stages import is_detected
from oncotrack.errors import InputError
from oncotrack.findings.finding import Axis, Finding, Observation, Point, Role, State
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.note import Subject
from oncotrack.response.course_of_findings import course_of_findings
from oncotrack.response.criteria import Response
from oncotrack.response.result import CRITERIA, CourseResponse
from oncotrack.response.result import respond as respond_to

Rows = dict[str, list[dict[str, Any]]]
_PROGRESSIONS = {Response.PD.value, "iUPD", "iCPD"}


def response_of(found: FindingList, plan: Plan, name: str) -> tuple[CourseResponse | None, str]:
    """Return the response of a patient; None, and why in a sentence, where there is none.

    Parameters
    ----------
    found : FindingList
        With roles.
    plan : Plan
        The criteria.
    name : str
        The patient, for plots.
    """
    if "respond" not in plan.jobs:
        return None, ""
    try:
        course = course_of_findings(found.time_points, found, name)
        return respond_to(course, plan.criteria, plan.response), ""
    except InputError as error:
        return None, str(error)


def rows_of(case: Case, plan: Plan, keys: Keys, found: FindingList, seconds: Mapping[str, float]) -> Rows:
    """Return the rows of a patient, by table.

    Parameters
    ----------
    case : Case
        The patient.
    plan : Plan
        What was computed.
    keys : Keys
        The keys of the results.
    found : FindingList
        The findings after the last job.
    seconds : mapping of str to float
        How long each stage took.
    """
    response, problem = response_of(found, plan, case.patient)
    responses = _responses(case, plan, response) if response else []
    dates = [visit.date for visit in found.time_points]
    patient = {
        "patient": case.patient,
        "folder": case.folder,
        "visits": len(case.scans),
        "first_date": dates[0],
        "last_date": dates[-1],
        "findings": len(found),
        "new_findings": sum(finding.role is Role.NEW for finding in found),
        "best_response": response.best.response.value if response else "",
        "last_response": responses[-1]["overall"] if responses else "",
        "progression": any(row["overall"] in _PROGRESSIONS for row in responses),
        "best_change_percent": response.best_change_percent if response else None,
        "no_response": problem,
        **{f"{stage}_seconds": seconds.get(stage) for stage in ("read", *JOBS, EXPORT)},
        "version": __version__,
        "key": keys.all,
    }
    problems = [note.question for note in found.notes if note.subject is Subject.REGISTRATION]
    rows: Rows = {"patients": [patient], "findings": [], "matches": [], "measurements": [], "responses": responses,
                  "failures": [failure_row(case, REGISTER, text) for text in problems]}  # fmt: skip
    for finding in found:
        about = {"patient": case.patient, "uid": finding.uid, "label": finding.label}
        seen = [(n, visit, each) for n, visit in enumerate(found.time_points) if (each := finding.at(visit.id))]
        there = [(n, visit, each) for n, visit, each in seen if each.is_there]
        rows["findings"].append(about | _finding(finding, [n for n, *_ in there], [each for *_, each in there]))
        rows["matches"] += [
            about | {"visit": n, "date": visit.date} | _match(each) for n, visit, each in seen if each.evidence
        ]
        rows["measurements"] += [about | {"visit": n, "date": visit.date} | _measured(each) for n, visit, each in there]
    return rows


def _finding(finding: Finding, visits: list[int], seen: list[Observation]) -> dict[str, Any]:
    return {
        "kind": finding.kind.value,
        "role": finding.role.value,
        "side": finding.side.value,
        "region": finding.region,
        "first_visit": min(visits, default=0),
        "visits_seen": len(visits),
        "probability": max((each.probability for each in seen if each.probability is not None), default=None),
    }


def _match(seen: Observation) -> dict[str, Any]:
    evidence = seen.evidence
    assert evidence is not None, "only matches are listed"
    return {
        "found": seen.state is not State.NOT_FOUND and not evidence.reason,
        "detected": is_detected(seen),
        **_position(seen.centre),
        **_position(evidence.expected, "expected_"),
        "cycle_error_mm": _finite(evidence.cycle_error_mm),
        "score": seen.score,
        "reason": evidence.reason,
        "method": seen.provenance.method,
    }


def _measured(seen: Observation) -> dict[str, Any]:
    return {
        **_position(seen.centre),
        "long_mm": _length(seen.long_axis),
        "short_mm": _length(seen.short_axis),
        "volume_mm3": seen.volume_mm3,
        "measured": seen.is_measured,
        "probability": seen.probability,
        "doubts": " ".join(seen.doubts),
        "method": seen.provenance.method,
    }


def _responses(case: Case, plan: Plan, response: CourseResponse) -> list[dict[str, Any]]:
    course = response.course
    return [
        {
            "patient": case.patient,
            "visit": index,
            "date": each.visit.day.strftime("%Y%m%d") if each.visit.day else "",
            "days": course.days(index),
            "criteria": CRITERIA[plan.criteria],
            "sum_mm": each.target.total.mm,
            "baseline_percent": each.target.baseline_percent,
            "nadir_percent": each.target.nadir_percent,
            "target": each.target.verdict.response.value,
            "non_target": each.non_target.response.value,
            "possibly_new": ", ".join(lesion.label for lesion in each.new.equivocal),
            "overall": each.overall.response.value,
            "why": each.overall.why,
        }
        for index, each in enumerate(response.visits, 1)
    ]


def _position(at: Point, prefix: str = "") -> dict[str, float]:
    return {f"{prefix}{axis}_mm": float(value) for axis, value in zip("ras", at, strict=True)}


def _length(axis: Axis | None) -> float | None:
    return axis.length_mm if axis else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and value < float("inf") else None

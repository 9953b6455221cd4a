"""A list of findings as a course of measurements: the only module here that knows how findings are stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import numpy as np

from oncotrack.findings.assessment import Judgement
from oncotrack.findings.dates import parse_day
from oncotrack.findings.finding import Axis, Finding, Kind, Observation, Role, State, TimePoint
from oncotrack.response.course import Course, Lesion, Reading, Seen, Visit

_JUDGED = {
    Judgement.TOO_SMALL: Seen.TOO_SMALL,
    Judgement.NOT_EVALUABLE: Seen.NOT_EVALUABLE,
    Judgement.PROGRESSED: Seen.PROGRESSED,
    Judgement.MERGED: Seen.MERGED,
}
_PLANES = ("sagittal", "coronal", "axial")
_OBLIQUE_DEGREES = 15.0


def course_of_findings(time_points: Sequence[TimePoint], findings: Iterable[Finding], name: str = "") -> Course:
    """Return the course of the findings that have a role in RECIST.

    Time points are put in the order of their dates where all have one. Rejected observations, and those that a program did
    not find, are no readings: the lesion was not assessed there.

    Parameters
    ----------
    time_points : sequence of TimePoint
        The scans.
    findings : iterable of Finding
        The findings.
    name : str
        Of the patient, for tables and plots.
    """
    days = {point.id: parse_day(point.date) for point in time_points}
    ordered = list(time_points)
    if all(days.values()):
        ordered.sort(key=lambda point: days[point.id] or date.min)
    visits = tuple(Visit(point.id, point.label, days[point.id], point.slice_mm, point.contrast) for point in ordered)
    chosen = [finding for finding in findings if finding.role in (Role.TARGET, Role.NON_TARGET, Role.NEW)]
    return Course(visits, tuple(_lesion(finding) for finding in chosen), name)


def _lesion(finding: Finding) -> Lesion:
    readings = ((key, _reading(observation)) for key, observation in finding.observations.items())
    return Lesion(
        id=finding.uid,
        label=finding.label,
        role=finding.role,
        is_node=finding.kind is Kind.LYMPH_NODE,
        organ=finding.site,
        split_from=finding.split_from,
        readings={key: reading for key, reading in readings if reading is not None},
    )


def _reading(observation: Observation) -> Reading | None:
    if observation.state in (State.REJECTED, State.NOT_FOUND):
        return None
    about = observation.assessment
    if observation.state is State.ABSENT:
        return Reading(seen=Seen.ABSENT, is_proposal=not observation.provenance.reader)
    seen = _JUDGED.get(about.judgement)
    long, short = (observation.long_axis, observation.short_axis) if observation.is_measured else (None, None)
    if seen is None:
        seen = Seen.PRESENT if long is None else Seen.MEASURED
    return Reading(
        seen=seen,
        long_mm=long and long.length_mm,
        short_mm=short and short.length_mm,
        volume_mm3=observation.volume_mm3,
        sul_peak=about.sul_peak if about.sul_peak is not None else _peak(observation, is_lean=True),
        suv_peak=_peak(observation, is_lean=False),
        merged_with=about.merged_with,
        equivocal=about.is_equivocal,
        increased=about.is_larger,
        plane=_plane(long, short),
        window=observation.provenance.window if long else None,
        is_proposal=observation.is_proposal,
        doubts=observation.doubts,
    )


def _peak(observation: Observation, *, is_lean: bool) -> float | None:
    """Return the measured peak of uptake if it is related to lean body mass, or if it is related to body weight."""
    uptake = observation.uptake
    if uptake is None or not (uptake.kind.startswith("LBM") if is_lean else uptake.kind == "BW"):
        return None
    return uptake.suv_peak


def _plane(long: Axis | None, short: Axis | None) -> str:
    """Return the plane of two diameters: axial, coronal, sagittal or oblique; "" where they have none."""
    if long is None or short is None:
        return ""
    normal = np.cross(np.subtract(long.end, long.start), np.subtract(short.end, short.start))
    length = float(np.linalg.norm(normal))
    if length == 0:
        return ""
    along = np.abs(normal) / length
    nearest = int(along.argmax())
    return _PLANES[nearest] if along[nearest] >= np.cos(np.radians(_OBLIQUE_DEGREES)) else "oblique"

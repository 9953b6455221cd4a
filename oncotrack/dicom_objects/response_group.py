"""The response to treatment at one visit, as measurements of the study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oncotrack.dicom_objects import codes
from oncotrack.dicom_objects.library import highdicom
from oncotrack.dicom_objects.source_images import SourceImages
from oncotrack.dicom_objects.visits import Visit
from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding, TimePoint, new_uid
from oncotrack.response.course_of_findings import course_of_findings
from oncotrack.response.result import CourseResponse, respond
from oncotrack.response.sums import target_sum


def response_of(time_points: Sequence[TimePoint], findings: Sequence[Finding], criteria: str) -> CourseResponse | None:
    """Return the response of the findings that have a role; None where there is no such finding or only one visit.

    Parameters
    ----------
    time_points : sequence of TimePoint
        The scans.
    findings : sequence of Finding
        The findings.
    criteria : {"recist11", "irecist"}
        RECIST 1.1 or iRECIST.

    Raises
    ------
    InputError
        There are no such criteria.
    """
    course = course_of_findings(time_points, findings)
    if len(course.visits) < 2 or not course.lesions:
        return None
    return respond(course, criteria)


def response_group(result: CourseResponse, visit: Visit, images: SourceImages) -> Any | None:
    """Return the sum of diameters, its change and the response at a visit (TID 1501); None where nothing was assessed.

    Parameters
    ----------
    result : CourseResponse
        Of all visits.
    visit : Visit
        The visit.
    images : SourceImages
        Its series.
    """
    sr = highdicom().sr
    course = result.course
    index = next((n for n, each in enumerate(course.visits) if each.id == visit.time_point.id), None)
    if index is None:
        raise InputError(f"{visit.time_point.label} is no visit of this response.")
    total = target_sum(course, index, result.settings).mm
    measurements = [] if total is None else [sr.Measurement(codes.SUM_OF_DIAMETERS, total, codes.MM)]
    words = []
    if index:
        response = result.visits[index - 1]
        change = response.target.baseline_percent
        if change is not None:
            measurements.append(sr.Measurement(codes.CHANGE_FROM_BASELINE, change, codes.PERCENT))
        words.append(sr.QualitativeEvaluation(codes.CURRENT_RESPONSE, _code(response.overall.response.value)))
        if index == len(course.visits) - 1:
            words.append(sr.QualitativeEvaluation(codes.BEST_RESPONSE, _code(result.best.response.value)))
    if not measurements and not words:
        return None
    source = images.planes[0]
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=new_uid(), identifier="Response"),
        finding_type=codes.RESPONSE_EVALUATION,
        method=codes.RECIST[result.criteria],
        time_point_context=visit.context(),
        measurements=measurements or None,
        qualitative_evaluations=words or None,
        source_images=[
            sr.SourceImageForMeasurementGroup(
                str(source.header.SOPClassUID),
                str(source.header.SOPInstanceUID),
                [source.frame] if source.frame else None,
            )
        ],
    )


def _code(response: str) -> codes.Code:
    return codes.RESPONSES.get(response) or codes.Code(f"response-{response}"[:16], codes.OWN, response)

"""Measurement groups of a report: one lesion at one visit, as diameters on an image (TID 1410) or as a volume (TID 1411)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import oncotrack
from oncotrack.dicom_objects import codes
from oncotrack.dicom_objects.library import highdicom, person_name
from oncotrack.dicom_objects.source_images import Plane, SourceImages
from oncotrack.dicom_objects.visits import Visit
from oncotrack.findings.finding import Axis, Finding, Observation, Side, State
from oncotrack.images.volume import lps_to_ras

TOOLS = "Cornerstone3DTools@^0.1.0"
"""Start of the tracking identifiers by which OHIF knows which of its tools edits a measurement."""


@dataclass(frozen=True)
class Seen:
    """A finding at one visit."""

    finding: Finding
    observation: Observation

    @property
    def has_diameters(self) -> bool:
        """Whether a long axis was measured; the sides of a box are not."""
        return self.observation.long_axis is not None and not self.observation.has_box_axes

    @property
    def tracking_id(self) -> str:
        """Tracking identifier: the tool that edits it in OHIF, and the label of the finding."""
        tool = "Probe"
        if self.has_diameters:
            tool = "Bidirectional" if self.observation.short_axis else "Length"
        return f"{TOOLS}:{tool}:{self.finding.label}"


@dataclass(frozen=True)
class SegmentReference:
    """Where the mask of a finding is: SOP class and instance of the segmentation, and the number of the segment."""

    sop_class: str
    sop_instance: str
    segment: int


def planar_group(seen: Seen, visit: Visit, images: SourceImages) -> Any:
    """Return the diameters of a finding, or its position, on an image (TID 1410), or that it is absent.

    Each length is inferred from its own line, which OHIF needs; the region is the quadrilateral through the ends of the
    diameters. Diameters across several images are written in the frame of reference (SCOORD3D).

    Parameters
    ----------
    seen : Seen
        The finding.
    visit : Visit
        The visit.
    images : SourceImages
        Its series.
    """
    sr = highdicom().sr
    observation = seen.observation
    axes: list[tuple[Any, Axis]] = []
    if seen.has_diameters and observation.long_axis:
        short = observation.short_axis
        axes = [(codes.LONG_AXIS if short else codes.LENGTH, observation.long_axis)]
        axes += [(codes.SHORT_AXIS, short)] if short else []
    points = [point for _, axis in axes for point in (axis.start, axis.end)] or [observation.centre]
    plane = images.plane_of(points)
    group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        **_described(seen, visit), referenced_region=_region(points, plane, images)
    )
    # before the order of the time point: OHIF takes the first number of a group for that of a diameter. TID 1410 is
    # extensible and its order not significant; highdicom itself writes no line below a length of this template
    place = len(sr.TrackingIdentifier(uid=seen.finding.uid, identifier=seen.tracking_id))
    for name, axis in reversed(axes):
        line = _line(axis, plane, images)
        (length,) = sr.Measurement(name, axis.length_mm, codes.MM, referenced_coordinates=[line])
        group[0].ContentSequence.insert(place, length)
    _add_words(group[0], seen)
    return group


def volumetric_group(seen: Seen, visit: Visit, images: SourceImages, segment: SegmentReference) -> Any:
    """Return volume and uptake of a finding, with the segment that they were measured in (TID 1411).

    Parameters
    ----------
    seen : Seen
        The finding, with a mask.
    visit : Visit
        The visit.
    images : SourceImages
        Its series.
    segment : SegmentReference
        The segment of its mask.
    """
    sr = highdicom().sr
    group = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        **_described(seen, visit),
        referenced_segment=sr.ReferencedSegment(
            segment.sop_class,
            segment.sop_instance,
            segment.segment,
            source_series=sr.SourceSeriesForSegmentation(str(images.first.SeriesInstanceUID)),
        ),
        measurements=_numbers(seen.observation) or None,
    )
    _add_words(group[0], seen)
    return group


def unplaced_group(seen: Seen, visit: Visit) -> Any:
    """Return volume and uptake of a finding whose mask is not written (TID 1501).

    Parameters
    ----------
    seen : Seen
        The finding.
    visit : Visit
        The visit.
    """
    sr = highdicom().sr
    group = sr.MeasurementsAndQualitativeEvaluations(
        **_described(seen, visit), measurements=_numbers(seen.observation) or None
    )
    _add_words(group[0], seen)
    return group


def has_numbers(observation: Observation) -> bool:
    """Return whether an observation has a volume or an uptake.

    Parameters
    ----------
    observation : Observation
        The finding at one visit.
    """
    return bool(_numbers(observation))


def _described(seen: Seen, visit: Visit) -> dict[str, Any]:
    """Return what all groups have: identifiers, finding, category, site and side, time point, algorithm, decisions."""
    sr = highdicom().sr
    finding, observation = seen.finding, seen.observation
    site = codes.site_code(finding.site)
    if site is None and finding.side is not Side.NOT_STATED:
        site = codes.Code("38866009", "SCT", "Body part")
    made = observation.provenance
    return {
        "tracking_identifier": sr.TrackingIdentifier(uid=finding.uid, identifier=seen.tracking_id),
        "finding_type": codes.KINDS[finding.kind],
        "finding_category": codes.CATEGORIES[finding.kind],
        "method": codes.RECIST["recist11"] if seen.has_diameters else None,
        "finding_sites": [sr.FindingSite(site, codes.SIDES.get(finding.side))] if site else None,
        "time_point_context": visit.context(),
        "algorithm_id": sr.AlgorithmIdentification(
            made.method,
            oncotrack.__version__,
            parameters=[f"weights sha256 {made.weights_sha256}"] if made.weights_sha256 else None,
        )
        if made.method
        else None,
        "qualitative_evaluations": [sr.QualitativeEvaluation(*pair) for pair in _decisions(seen)],
    }


def _decisions(seen: Seen) -> list[tuple[Any, Any]]:
    about = seen.observation.assessment
    pairs = [(codes.STATE, codes.STATES[State.PROPOSED if seen.observation.is_proposal else seen.observation.state])]
    pairs += [(codes.BASELINE_CATEGORY, codes.ROLES[seen.finding.role])] if seen.finding.role in codes.ROLES else []
    pairs += [(codes.JUDGEMENT, codes.JUDGEMENTS[about.judgement])] if about.judgement.value else []
    pairs += [(codes.JUDGEMENT, codes.EQUIVOCAL)] if about.is_equivocal else []
    pairs += [(codes.JUDGEMENT, codes.LARGER)] if about.is_larger else []
    pairs += [(codes.PRESENCE, codes.ABSENT)] if seen.observation.state is State.ABSENT else []
    return pairs


def _numbers(observation: Observation) -> list[Any]:
    sr = highdicom().sr
    found: list[Any] = []
    if observation.volume_mm3 is not None:
        found.append(sr.Measurement(codes.VOLUME, observation.volume_mm3, codes.MM3))
    uptake = observation.uptake
    if uptake is not None:
        name, unit = codes.SUV_NAMES[uptake.kind], codes.SUV_UNITS[uptake.kind]
        values = (uptake.suv_max, codes.MAXIMUM), (uptake.suv_peak, codes.PEAK), (uptake.suv_mean, codes.MEAN)
        found += [sr.Measurement(name, value, unit, derivation=how) for value, how in values]
        found.append(sr.Measurement(codes.METABOLIC_VOLUME, uptake.metabolic_volume_ml, codes.ML))
        found.append(sr.Measurement(codes.TLG, uptake.tlg_ml, codes.ML))
    if observation.assessment.sul_peak is not None:
        found.append(sr.Measurement(codes.SUL_PEAK, observation.assessment.sul_peak, codes.SUV_UNITS["LBM"]))
    return found


def _add_words(group: Any, seen: Seen) -> None:
    """Add the reader, label and comment, and the findings that this one is a part of."""
    sr = highdicom().sr
    types, finding = sr.RelationshipTypeValues, seen.finding
    for name, reader in (
        (codes.OBSERVER_NAME, seen.observation.provenance.reader),
        (codes.DESCRIBED_BY, finding.reader),
    ):
        if reader:
            person = sr.PnameContentItem(name, person_name(reader), types.HAS_OBS_CONTEXT)
            group.ContentSequence.append(person)
    text = ": ".join(filter(None, (finding.label, finding.comment)))
    group.ContentSequence.append(sr.TextContentItem(codes.COMMENT, text, types.CONTAINS))
    for name, uid in (
        (codes.SPLIT_FROM, finding.split_from),
        (codes.MERGED_WITH, seen.observation.assessment.merged_with),
    ):
        if uid:
            group.ContentSequence.append(sr.UIDRefContentItem(name, uid, types.CONTAINS))


def _region(points: Sequence[Any], plane: Plane | None, images: SourceImages) -> Any:
    """Return the region of the points: their quadrilateral, a line, or one point."""
    sr = highdicom().sr
    corners = np.asarray(points, float)
    kind = "POINT" if len(corners) == 1 else "POLYLINE"
    if len(corners) == 4:
        corners = corners[[0, 2, 1, 3, 0]]  # long start, short start, long end, short end, closed
    if plane is None and len(points) == 1:
        plane = min(images.planes, key=lambda each: abs(float(each.distances(points)[0])))
    if plane is not None:
        return sr.ImageRegion(kind, plane.pixels(corners), _source(plane))
    return sr.ImageRegion3D(kind, lps_to_ras(corners), str(images.first.FrameOfReferenceUID))


def _line(axis: Axis, plane: Plane | None, images: SourceImages) -> Any:
    sr = highdicom().sr
    ends = np.asarray([axis.start, axis.end])
    if plane is not None:
        return sr.CoordinatesForMeasurement("POLYLINE", plane.pixels(ends), _source(plane))
    return sr.CoordinatesForMeasurement3D(
        sr.GraphicTypeValues3D.POLYLINE, lps_to_ras(ends), frame_of_reference_uid=str(images.first.FrameOfReferenceUID)
    )


def _source(plane: Plane) -> Any:
    header = plane.header
    return highdicom().sr.SourceImageForRegion(
        str(header.SOPClassUID), str(header.SOPInstanceUID), [plane.frame] if plane.frame else None
    )

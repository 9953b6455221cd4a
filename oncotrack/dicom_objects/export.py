"""Writing of findings as DICOM: for each scan one report of measurements, one of volumes and response, and a segmentation."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from oncotrack.atomic import replacing
from oncotrack.background.jobs import Progress, part_of, silent
from oncotrack.dicom_objects.lesion_groups import (
    Seen,
    SegmentReference,
    has_numbers,
    planar_group,
    unplaced_group,
    volumetric_group,
)
from oncotrack.dicom_objects.report import MEASUREMENTS, VOLUMES, stamp, write_report
from oncotrack.dicom_objects.response_group import response_group, response_of
from oncotrack.dicom_objects.segmentation import draw, write_segmentation
from oncotrack.dicom_objects.source_images import SourceImages
from oncotrack.dicom_objects.visits import Visit
from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding, State, TimePoint, new_uid
from oncotrack.images.dicom import Series
from oncotrack.response.result import CourseResponse

_log = logging.getLogger(__name__)
_NAMED = [
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesDescription"),
    *("ContentDate", "ContentTime", "PredecessorDocumentsSequence"),
]
"""What a report has to say about the one that it replaces."""


@dataclass(frozen=True)
class Choice:
    """What is written.

    Attributes
    ----------
    reports, segmentations : bool
        Which objects.
    is_label_map : bool
        Write segmentations as label maps.
    with_proposals : bool
        Include proposals that no reader has accepted.
    criteria : str
        Criteria of the response, "recist11" or "irecist".
    reader : str
        Person observer of the reports; by default the reader named most often in the findings.
    """

    reports: bool = True
    segmentations: bool = True
    is_label_map: bool = False
    with_proposals: bool = False
    criteria: str = "recist11"
    reader: str = ""


@dataclass(frozen=True)
class Export:
    """The objects of all scans.

    Attributes
    ----------
    objects : tuple of Dataset
        Segmentations first, because reports refer to them.
    left_out : tuple of str
        What was not written, in sentences.
    """

    objects: tuple[Dataset, ...]
    left_out: tuple[str, ...]


def export(
    time_points: Sequence[TimePoint],
    findings: Sequence[Finding],
    scans: Mapping[str, Series],
    choice: Choice | None = None,
    predecessors: Sequence[Dataset] = (),
    progress: Progress = silent,
) -> Export:
    """Return the findings of some scans as DICOM objects.

    Parameters
    ----------
    time_points : sequence of TimePoint
        All scans of the patient, in the order of the visits.
    findings : sequence of Finding
        The findings.
    scans : mapping of str to Series
        The DICOM series of the scans to write for, by the identifier of the time point.
    choice : Choice, optional
        What is written.
    predecessors : sequence of Dataset
        Headers of reports that were written before; each new report names the one of its study and kind.
    progress : Progress
        Called between the steps.

    Raises
    ------
    InputError
        There is nothing to write, or a scan is no DICOM series.
    MissingPackageError
        highdicom is not installed.
    """
    choice = choice or Choice()
    response = response_of(time_points, findings, choice.criteria) if choice.reports else None
    objects: list[Dataset] = []
    left_out: list[str] = []
    visits = [visit for visit in Visit.all_of(tuple(time_points)) if visit.time_point.id in scans]
    for number, visit in enumerate(visits):
        part = part_of(progress, number / len(visits), (number + 1) / len(visits))
        part(0.0, f"Reading the headers of {visit.time_point.label}")
        images = SourceImages.of(scans[visit.time_point.id])
        seen = _seen(findings, visit, choice, left_out)
        with warnings.catch_warnings():  # of highdicom, on names of patients that lack a caret
            warnings.filterwarnings("ignore", message=".*person name")
            found, missed = _objects(seen, visit, images, choice, response, predecessors, part)
        objects += found
        left_out += missed
    if not objects:
        raise InputError(
            " ".join(["There is nothing to write: no finding is marked and accepted on these scans.", *left_out])
        )
    objects.sort(key=lambda each: each.Modality != "SEG")
    return Export(tuple(objects), tuple(left_out))


def _seen(findings: Sequence[Finding], visit: Visit, choice: Choice, left_out: list[str]) -> list[Seen]:
    """Return the findings of a visit that are written; proposals that are not are counted in a sentence."""
    pairs = [(finding, finding.at(visit.time_point.id)) for finding in findings]
    there = [
        Seen(finding, observation)
        for finding, observation in pairs
        if observation is not None and observation.state not in (State.REJECTED, State.NOT_FOUND)
    ]
    waiting = [each for each in there if each.observation.is_proposal]
    if waiting and not choice.with_proposals:
        names = ", ".join(each.finding.label for each in waiting[:5]) + (", ..." if len(waiting) > 5 else "")
        left_out.append(
            f"{visit.time_point.label}: {len(waiting)} proposal{'s were' if len(waiting) > 1 else ' was'} left out because "
            f"no reader has accepted {'them' if len(waiting) > 1 else 'it'} ({names})."
        )
        return [each for each in there if each not in waiting]
    return there


def _objects(
    seen: list[Seen],
    visit: Visit,
    images: SourceImages,
    choice: Choice,
    response: CourseResponse | None,
    predecessors: Sequence[Dataset],
    progress: Progress,
) -> tuple[list[Dataset], list[str]]:
    """Return the objects of one visit, and what was left out."""
    segmentations: list[Dataset] = []
    where: dict[str, SegmentReference] = {}
    left_out = []
    masked = [each for each in seen if each.observation.mask is not None and each.observation.is_there]
    if choice.segmentations and masked:
        layers, missed = draw(masked, images, part_of(progress, 0.1, 0.5))
        left_out = [
            f"{visit.time_point.label}: the mask of {each.finding.label} lies outside {images.series.name} and was left out."
            for each in missed
        ]
        series = new_uid()
        for number, layer in enumerate(layers, 1):
            progress(0.5 + 0.3 * number / len(layers), f"Writing the segmentation of {visit.time_point.label}")
            found, places = write_segmentation(
                layer, visit, images, series_uid=series, number=number, is_label_map=choice.is_label_map
            )
            stamp(found, datetime.now())
            segmentations.append(found)
            where |= places
    if not choice.reports:
        return segmentations, left_out
    progress(0.8, f"Writing the report of {visit.time_point.label}")
    present = [each for each in seen if each.observation.is_there]
    planar = [planar_group(each, visit, images) for each in present]
    volumes = []
    for each in seen:
        if not each.observation.is_there:
            volumes.append(planar_group(each, visit, images))
        elif each.finding.uid in where:
            volumes.append(volumetric_group(each, visit, images, where[each.finding.uid]))
        elif has_numbers(each.observation):
            volumes.append(unplaced_group(each, visit))
    answer = response_group(response, visit, images) if response else None
    volumes += [answer] if answer else []
    reports = []
    for groups, description, number in ((planar, MEASUREMENTS, 301), (volumes, VOLUMES, 302)):
        if groups:
            reports.append(
                write_report(
                    groups,
                    visit,
                    images,
                    description=description,
                    number=number,
                    reader=choice.reader or _reader(seen),
                    evidence=segmentations if groups is volumes else (),
                    predecessors=_replaced(predecessors, images, description),
                )
            )
    return [*segmentations, *reports], left_out


def _reader(seen: Sequence[Seen]) -> str:
    names = [each.observation.provenance.reader or each.finding.reader for each in seen]
    named = [name for name in names if name]
    return max(named, key=named.count) if named else ""


def _replaced(predecessors: Sequence[Dataset], images: SourceImages, description: str) -> list[Dataset]:
    """Return the last of the earlier reports of this study and kind."""
    same = [
        each
        for each in predecessors
        if each.get("StudyInstanceUID") == images.first.StudyInstanceUID
        and each.get("SeriesDescription") == description
    ]
    named = {
        str(reference.ReferencedSOPInstanceUID)
        for each in same
        for study in each.get("PredecessorDocumentsSequence") or []
        for series in study.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    }
    return [each for each in same if str(each.SOPInstanceUID) not in named][-1:]


def save(objects: Sequence[Dataset], folder: str | Path) -> list[Path]:
    """Write objects into a folder, one file each; files of an earlier export stay.

    Parameters
    ----------
    objects : sequence of Dataset
        From `export`.
    folder : path
        It is created where it is missing.

    Returns
    -------
    list of Path
        The files: modality, date of the study, and the end of the SOP Instance UID.
    """
    written = []
    for each in objects:
        day = str(each.get("StudyDate") or "undated")
        path = Path(folder) / f"{each.Modality.lower()}-{day}-{str(each.SOPInstanceUID)[-10:]}.dcm"
        with replacing(path) as temporary:
            each.save_as(temporary, enforce_file_format=True)
        written.append(path)
    return written


def earlier_reports(*folders: str | Path) -> list[Dataset]:
    """Return the headers of the reports in some folders that OncoTrack wrote, oldest first.

    Parameters
    ----------
    *folders : path
        They need not exist.
    """
    found = []
    for path in (path for folder in folders for path in sorted(Path(folder).glob("*.dcm"))):
        try:
            header = dcmread(path, stop_before_pixels=True, specific_tags=_NAMED)
        except (InvalidDicomError, OSError):
            _log.warning("%s is no DICOM file; it is not named as an earlier report.", path)
            continue
        if header.get("SeriesDescription") in (MEASUREMENTS, VOLUMES):
            found.append(header)
    return sorted(found, key=lambda each: (str(each.get("ContentDate")), str(each.get("ContentTime"))))

"""Structured reports of one study (TID 1500): measurements on images, and volumes with the response."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydicom.dataset import Dataset
from pydicom.valuerep import DA, TM

import oncotrack
from oncotrack.dicom_objects import codes
from oncotrack.dicom_objects.library import MANUFACTURER, MODEL, highdicom, person_name
from oncotrack.dicom_objects.segmentation import own_coding_scheme
from oncotrack.dicom_objects.source_images import SourceImages
from oncotrack.dicom_objects.visits import Visit
from oncotrack.findings.finding import new_uid

_PROCEDURES = {
    "CT": codes.Code("77477000", "SCT", "Computed Tomography"),
    "MR": codes.Code("113091000", "SCT", "Magnetic Resonance Imaging"),
    "PT": codes.Code("82918005", "SCT", "Positron Emission Tomography"),
}
_OTHER_PROCEDURE = codes.Code("363679005", "SCT", "Imaging procedure")
NO_READER = "Not^stated"
"""Person observer of a report whose findings name no reader; viewers need a name."""
MEASUREMENTS, VOLUMES = "OncoTrack measurements", "OncoTrack volumes and response"
"""Series descriptions of the two documents."""


def write_report(
    groups: Sequence[Any],
    visit: Visit,
    images: SourceImages,
    *,
    description: str,
    number: int,
    reader: str,
    evidence: Sequence[Dataset] = (),
    predecessors: Sequence[Dataset] = (),
) -> Dataset:
    """Return a structured report.

    Parameters
    ----------
    groups : sequence of measurement groups
        Its content; at least one.
    visit : Visit
        The visit.
    images : SourceImages
        The series that was measured; patient and study are copied from it.
    description : str
        Series description.
    number : int
        Series number.
    reader : str
        Name of the person who measured; "" where it is unknown.
    evidence : sequence of Dataset
        Segmentations that the groups refer to.
    predecessors : sequence of Dataset
        Headers of the earlier reports that this one replaces.
    """
    package = highdicom()
    sr = package.sr
    used = _images_in(groups, images)
    person = sr.ObserverContext(
        codes.Code("121006", "DCM", "Person"),
        sr.PersonObserverIdentifyingAttributes(name=person_name(reader or NO_READER)),
    )
    device = sr.ObserverContext(
        codes.Code("121007", "DCM", "Device"),
        sr.DeviceObserverIdentifyingAttributes(
            uid=new_uid(), name=MODEL, manufacturer_name=MANUFACTURER, model_name=f"OncoTrack {oncotrack.__version__}"
        ),
    )
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_person_context=person, observer_device_context=device),
        procedure_reported=_PROCEDURES.get(images.series.modality, _OTHER_PROCEDURE),
        imaging_measurements=list(groups),
        title=codes.Code("126000", "DCM", "Imaging Measurement Report"),
        referenced_images=used,
    )
    has_space = any(item.ValueType == "SCOORD3D" for group in groups for item in _items(group))
    document = sr.Comprehensive3DSR if has_space else sr.ComprehensiveSR
    now = datetime.now()
    report = document(
        evidence=[*used, *evidence],
        content=content,
        series_instance_uid=new_uid(),
        series_number=number,
        sop_instance_uid=new_uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=oncotrack.__version__,
        device_serial_number="0",
        is_complete=True,
        series_description=description,
        previous_versions=list(predecessors) or None,
        coding_schemes=own_coding_scheme(),
    )
    stamp(report, now)
    visit.mark(report)
    return report


def stamp(dataset: Dataset, now: datetime) -> None:
    """Write date and time of an object's content and series, without fractions of a second, which Slicer cannot read.

    Parameters
    ----------
    dataset : Dataset
        The object; changed.
    now : datetime
        Date and time.
    """
    day, time = DA(now.strftime("%Y%m%d")), TM(now.strftime("%H%M%S"))
    dataset.SeriesDate = dataset.ContentDate = dataset.InstanceCreationDate = day
    dataset.SeriesTime = dataset.ContentTime = dataset.InstanceCreationTime = time


def _images_in(groups: Sequence[Any], images: SourceImages) -> list[Dataset]:
    """Return the headers of the images that the groups refer to, the first image where there is none."""
    named = {
        str(reference.ReferencedSOPInstanceUID)
        for group in groups
        for item in _items(group)
        for reference in item.get("ReferencedSOPSequence") or []
    }
    return [header for header in images.headers if str(header.SOPInstanceUID) in named] or [images.first]


def _items(content: Any) -> list[Dataset]:
    """Return all content items of a group, its own first."""
    found = []
    for item in content:
        found.append(item)
        found += _items(item.get("ContentSequence") or [])
    return found

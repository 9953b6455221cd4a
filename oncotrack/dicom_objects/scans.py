"""The scans that imported objects lie on: which scan an object belongs to, and where its image coordinates are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from oncotrack.dicom_objects.source_images import Plane, SourceImages
from oncotrack.findings.finding import TimePoint
from oncotrack.images.volume import Volume


@dataclass(frozen=True)
class Scan:
    """A scan with its images.

    Attributes
    ----------
    time_point : TimePoint
        Its time point.
    volume : Volume
        The scan.
    images : SourceImages
        The images of its series.
    """

    time_point: TimePoint
    volume: Volume
    images: SourceImages

    @property
    def frame_of_reference(self) -> str:
        """Frame of Reference UID, or ""."""
        return str(self.images.first.get("FrameOfReferenceUID") or "")

    def fitted(self, mask: Volume) -> Volume:
        """Return a mask on the scan's voxels where its own voxels are the same ones, whatever their order; else itself.

        Parameters
        ----------
        mask : Volume
            0 and 1.
        """
        steps = self.volume.geometry.ras_to_ijk @ mask.geometry.ijk_to_ras
        lattice, start = np.round(steps[:3, :3]), np.round(steps[:3, 3])
        is_same = np.abs(steps[:3, :3] - lattice).max() < 1e-3 and np.abs(steps[:3, 3] - start).max() < 0.01
        if not is_same or not (np.abs(lattice).sum(0) == 1).all() or not (np.abs(lattice).sum(1) == 1).all():
            return mask
        ends = np.stack([start, lattice @ (np.asarray(mask.geometry.size) - 1) + start])
        low, high = ends.min(0).astype(int), ends.max(0).astype(int) + 1
        if (low < 0).any() or (high > self.volume.geometry.size).any():
            return mask
        part = self.volume.cropped(low, high).geometry
        return mask.resampled(part, fill=0, nearest=True)


@dataclass(frozen=True)
class Scans:
    """All scans of an import, in the order of the visits."""

    all: tuple[Scan, ...]

    def plane(self, sop_instance: str, frame: int) -> tuple[Scan, Plane] | None:
        """Return the image of a SOP Instance UID and frame with its scan, or None.

        Parameters
        ----------
        sop_instance : str
            SOP Instance UID.
        frame : int
            Frame number, 1 for a single image.
        """
        for scan in self.all:
            found = scan.images.by_uid.get((sop_instance, frame))
            if found is not None:
                return scan, found
        return None

    def of_frame(self, frame_of_reference: str, study: str = "") -> Scan | None:
        """Return the scan of a frame of reference, of this study where several share it; None where there is none.

        Parameters
        ----------
        frame_of_reference, study : str
            UIDs.
        """
        found = [scan for scan in self.all if frame_of_reference and scan.frame_of_reference == frame_of_reference]
        return next(
            (scan for scan in found if scan.images.first.StudyInstanceUID == study), found[0] if found else None
        )

    def of_object(self, header: Dataset) -> Scan | None:
        """Return the scan that a segmentation, structure set or presentation state refers to; None where there is none.

        The images and the series that it names decide, then its frame of reference; an object that names none of these
        belongs to the scan of its study, where there is one only.

        Parameters
        ----------
        header : Dataset
            The object.
        """
        series, instances = _named(header)
        for scan in self.all:
            if str(scan.images.first.SeriesInstanceUID) in series:
                return scan
            if any((uid, 1) in scan.images.by_uid for uid in instances):
                return scan
        frames = _frames_of_reference(header)
        study = str(header.get("StudyInstanceUID") or "")
        for frame in frames:
            found = self.of_frame(frame, study)
            if found is not None:
                return found
        if frames or series or instances:
            return None
        same = [scan for scan in self.all if scan.images.first.StudyInstanceUID == study]
        return same[0] if len(same) == 1 else None


def _named(parent: Dataset, depth: int = 0) -> tuple[set[str], set[str]]:
    """Return the series and SOP instances that an object's own sequences name."""
    series: set[str] = set()
    instances: set[str] = set()
    for element in parent:
        if element.VR != "SQ" or depth > 8:
            continue
        if element.keyword in ("PerFrameFunctionalGroupsSequence", "ROIContourSequence", "SegmentSequence"):
            continue
        for each in element.value or []:
            if element.keyword in ("ReferencedSeriesSequence", "RTReferencedSeriesSequence"):
                series.add(str(each.get("SeriesInstanceUID") or ""))
            if "ReferencedSOPInstanceUID" in each:
                instances.add(str(each.ReferencedSOPInstanceUID))
            inner = _named(each, depth + 1)
            series |= inner[0]
            instances |= inner[1]
    return series - {""}, instances


def _frames_of_reference(header: Dataset) -> list[str]:
    """Return the frames of reference that an object names."""
    found = [header.get("FrameOfReferenceUID")]
    found += [each.get("FrameOfReferenceUID") for each in header.get("ReferencedFrameOfReferenceSequence") or []]
    return [str(uid) for uid in found if uid]

"""Images of a study: one for a file, or one for each frame of a multi-frame object."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from oncotrack.images.dicom.headers import DicomFile, Header, integer, numbers, text
from oncotrack.images.dicom.kinds import has_detectors

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_GROUPS = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
    "FrameContentSequence": ("TemporalPositionIndex", "FrameAcquisitionNumber", "FrameAcquisitionDateTime", "StackID"),
    "MREchoSequence": ("EffectiveEchoTime",),
    "MRDiffusionSequence": ("DiffusionBValue",),
    "CardiacSynchronizationSequence": ("NominalPercentageOfCardiacPhase", "NominalCardiacTriggerDelayTime"),
    "TemporalPositionSequence": ("TemporalPositionTimeOffset",),
    "CTImageFrameTypeSequence": ("FrameType",),
    "MRImageFrameTypeSequence": ("FrameType",),
    "PETFrameTypeSequence": ("FrameType",),
    "CTReconstructionSequence": ("ConvolutionKernel",),
    "CTXRayDetailsSequence": ("KVP",),
}
_CLASSIC = {
    "TemporalPositionIndex": "TemporalPositionIdentifier",
    "FrameAcquisitionNumber": "AcquisitionNumber",
    "FrameAcquisitionDateTime": "AcquisitionTime",
    "EffectiveEchoTime": "EchoTime",
    "NominalCardiacTriggerDelayTime": "TriggerTime",
    "FrameType": "ImageType",
}
_MOST_FRAMES = 100_000
_POSITION_POINTERS = {0x00200032, 0x00209057}  # image position, position in the stack


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image.

    Parameters
    ----------
    file : DicomFile
        The file it is in.
    header : Header
        Its elements, those of its functional groups included.
    index : int
        Number of the frame in its file, from 0; -1 where the file is one image.
    """

    file: DicomFile
    header: Header
    index: int = -1

    @property
    def name(self) -> str:
        """Name for messages."""
        return self.file.path.name if self.index < 0 else f"frame {self.index + 1} of {self.file.path.name}"

    @property
    def position(self) -> tuple[float, ...]:
        """Image Position (Patient), LPS mm; empty when it is missing."""
        values = numbers(self.header, "ImagePositionPatient")
        return values if len(values) == 3 else ()

    @property
    def orientation(self) -> tuple[float, ...]:
        """Image Orientation (Patient); empty when it is missing."""
        values = numbers(self.header, "ImageOrientationPatient")
        return values if len(values) == 6 and any(values[:3]) and any(values[3:]) else ()

    @property
    def pixel_spacing(self) -> tuple[float, ...]:
        """Millimetres between rows and between columns; empty when it is missing."""
        values = numbers(self.header, "PixelSpacing")
        return values if len(values) == 2 and min(values) > 0 else ()

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return integer(self.header, "Rows"), integer(self.header, "Columns")


def frames_of(file: DicomFile) -> list[Frame]:
    """Return the images of a file.

    Parameters
    ----------
    file : DicomFile
        The file.
    """
    count = integer(file.header, "NumberOfFrames", 1)
    if file.damage or (count <= 1 and "SharedFunctionalGroupsSequence" not in file.header):
        return [Frame(file, file.header)]
    try:
        return _multi_frame(file, min(count, _MOST_FRAMES))
    except Exception:  # pydicom raises whatever it likes on damaged bytes
        return [Frame(replace(file, damage="its frames cannot be read"), file.header)]


def _multi_frame(file: DicomFile, count: int) -> list[Frame]:
    """Return the frames of a multi-frame object."""
    import pydicom

    whole = pydicom.dcmread(file.path, stop_before_pixels=True, force=True)
    if has_detectors(file.header):
        return list(_nuclear_frames(file, whole, count))
    shared = _values(whole.get("SharedFunctionalGroupsSequence") or [])
    groups = whole.get("PerFrameFunctionalGroupsSequence") or []
    dimensions = [
        n
        for n, dimension in enumerate(whole.get("DimensionIndexSequence") or [])
        if dimension.get("DimensionIndexPointer") not in _POSITION_POINTERS
    ]
    base = dict(file.header)
    if count > 1:  # a position at the top is that of the file, not of each frame
        base.pop("ImagePositionPatient", None)
    frames = []
    for index in range(count):
        header = {**base, **shared, "File": file.header.get("SOPInstanceUID", b"")}
        if index < len(groups):
            header |= _values(groups[index : index + 1])
            content = (groups[index].get("FrameContentSequence") or [None])[0]
            values = _plain_list(content.get("DimensionIndexValues")) if content else []
            header["DimensionIndex"] = _text([values[n] for n in dimensions if n < len(values)])
        frames.append(Frame(file, header, index))
    return frames


def _values(groups: list[Dataset]) -> Header:
    """Return the values of a frame's functional groups by the keywords of classic objects."""
    found: Header = {}
    for group in groups:
        for sequence, keywords in _GROUPS.items():
            for item in (group.get(sequence) or [])[:1]:
                for keyword in keywords:
                    value = item.get(keyword)
                    if value not in (None, ""):
                        found[_CLASSIC.get(keyword) or keyword] = _text(value)
    return found


def _text(value: object) -> bytes:
    return "\\".join(str(each) for each in _plain_list(value)).encode()


def _plain_list(value: Any) -> list:
    if value is None:
        return []
    return [value] if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__") else list(value)


def _nuclear_frames(file: DicomFile, whole: Dataset, count: int) -> Iterator[Frame]:
    """Yield the slices of a reconstructed nuclear medicine volume (PS3.3, C.8.4.15: spacing along the normal)."""
    detector = (whole.get("DetectorInformationSequence") or [{}])[0]
    position = np.array(detector.get("ImagePositionPatient") or [], float)
    orientation = np.array(detector.get("ImageOrientationPatient") or [], float)
    step = numbers(file.header, "SpacingBetweenSlices")
    reconstructed = "RECON TOMO" in text(file.header, "ImageType").split("\\")
    for index in range(count):
        header = dict(file.header)
        if reconstructed and len(position) == 3 and len(orientation) == 6 and step and step[0]:
            normal = np.cross(orientation[:3], orientation[3:])
            header["ImagePositionPatient"] = _text([f"{x:.10g}" for x in position + index * step[0] * normal])
            header["ImageOrientationPatient"] = _text(orientation)
        yield Frame(file, header, index)

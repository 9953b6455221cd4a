"""Small DICOM series for tests: each slice is a data set that a test may change before it is written."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def hounsfield(shape: Sequence[int], seed: int = 0) -> np.ndarray:
    """Return whole numbers between -1000 and 1000."""
    return np.random.default_rng(seed).integers(-1000, 1000, tuple(shape))


def series(
    values: np.ndarray, step: float = 5.0, orientation: Sequence[float] = AXIAL, origin=(-10.0, -20.0, -30.0), **tags
) -> list[Dataset]:
    """Return CT slices of (D, H, W) HU, `step` mm apart along the normal, with pixels of 0.8 x 0.7 mm."""
    normal = np.cross(orientation[:3], orientation[3:])
    uid, frame, study = generate_uid(), generate_uid(), generate_uid()
    slices = []
    for k, image in enumerate(values):
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = CTImageStorage
        ds.SOPInstanceUID = generate_uid()
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.SeriesInstanceUID, ds.FrameOfReferenceUID, ds.StudyInstanceUID = uid, frame, study
        ds.PatientID, ds.PatientName = "P1", "Doe^Jane"
        ds.Modality, ds.SeriesDescription, ds.SeriesNumber = "CT", "Chest", 3
        ds.StudyDate = ds.AcquisitionDate = "20260102"
        ds.AcquisitionTime, ds.AcquisitionNumber, ds.InstanceNumber = "120000", 1, k + 1
        ds.PixelSpacing, ds.SliceThickness = [0.8, 0.7], abs(step)
        ds.ImageOrientationPatient = [f"{x:.10f}"[:16] for x in orientation]
        ds.ImagePositionPatient = [f"{x:.8f}"[:16] for x in np.asarray(origin) + k * step * normal]
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.PixelRepresentation = 15, 1
        ds.RescaleSlope, ds.RescaleIntercept = 1, -1024
        set_stored(ds, np.asarray(image) + 1024)
        for keyword, value in tags.items():
            setattr(ds, keyword, value)
        slices.append(ds)
    return slices


def set_stored(ds: Dataset, stored: np.ndarray) -> None:
    """Set the stored values of a slice."""
    ds.Rows, ds.Columns = np.shape(stored)
    ds.PixelData = np.asarray(stored).astype("<i2" if ds.PixelRepresentation else "<u2").tobytes()
    ds["PixelData"].VR = "OW"


def changed(ds: Dataset, **tags: object) -> Dataset:
    """Return a copy of a slice with other values and another SOP Instance UID."""
    other = copy.deepcopy(ds)
    other.SOPInstanceUID = generate_uid()
    for keyword, value in tags.items():
        setattr(other, keyword, value)
    return other


def write(slices: Iterable[Dataset], folder: Path, name: str = "IM{:04d}.dcm") -> Path:
    """Write one file for each slice and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, ds in enumerate(slices):
        ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = (
            UID(ds.SOPClassUID),
            UID(ds.SOPInstanceUID),
        )
        ds.save_as(folder / name.format(number), enforce_file_format=True)
    return folder


def enhanced(slices: Sequence[Dataset], content: Sequence[dict] | None = None) -> Dataset:
    """Return an enhanced CT with one frame for each slice; `content` is the FrameContentSequence of each frame."""
    first = slices[0]
    whole = Dataset()
    whole.file_meta = FileMetaDataset()
    whole.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    whole.SOPClassUID, whole.SOPInstanceUID = EnhancedCTImageStorage, generate_uid()
    for keyword in (
        *("SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName", "Modality"),
        *("SeriesDescription", "StudyDate", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"),
        *("PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation"),
    ):
        setattr(whole, keyword, first.get(keyword))
    whole.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    whole.NumberOfFrames = len(slices)
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=first.PixelSpacing, SliceThickness=first.SliceThickness)],
        PlaneOrientationSequence=[item(ImageOrientationPatient=first.ImageOrientationPatient)],
    )
    whole.SharedFunctionalGroupsSequence = [shared]
    whole.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=ds.ImagePositionPatient)],
            PixelValueTransformationSequence=[
                item(RescaleSlope=ds.RescaleSlope, RescaleIntercept=ds.RescaleIntercept, RescaleType="HU")
            ],
            FrameContentSequence=[item(**(content[n] if content else {}))],
        )
        for n, ds in enumerate(slices)
    ]
    whole.PixelData = b"".join(ds.PixelData for ds in slices)
    whole["PixelData"].VR = "OW"
    return whole


def item(**values: object) -> Dataset:
    """Return an item of a sequence."""
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made

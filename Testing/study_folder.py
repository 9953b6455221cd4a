"""A study as a clinic exports it: two CT series, a PET, a localizer, a segmentation and a set of contours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    RTStructureSetStorage,
    SegmentationStorage,
    generate_uid,
)

from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.phantom.dicom_series import write_series

SERIES = ["Soft tissue 5 mm", "Lung 5 mm", "FDG", "Topogram", "Nodes", "Contours"]
"""Descriptions, in the order of the list."""


def ellipsoid(size=(24, 20, 8), step=(4.0, 4.0, 5.0)) -> Volume:
    """Return a CT of an ellipsoid of water with a rib of bone, off the centre so that a mirrored copy differs."""
    geometry = Geometry(size, step, tuple(-n * s / 2 for n, s in zip(size, step, strict=True)))
    k, j, i = np.indices(geometry.shape)
    across = ((i - size[0] / 2) / (0.42 * size[0])) ** 2 + ((j - size[1] / 2) / (0.4 * size[1])) ** 2
    array = np.where(across < 1, 40.0 + k, -1000.0)
    array[(across < 0.3) & (i < size[0] * 0.4)] = 300
    return Volume(array.astype(np.int16), geometry, "ellipsoid", "CT")


def write_study(folder: Path, ct: Volume | None = None) -> Path:
    """Write the study of a CT and return its folder."""
    ct = ct or ellipsoid()
    soft, lung, fdg, topogram, nodes, contours = SERIES
    _number(
        write_series(replace(ct, name=soft), folder / "a"), 2, ConvolutionKernel="Br40", ContrastBolusAgent="Iohexol"
    )
    _number(write_series(replace(ct, name=lung, array=ct.array + 1), folder / "b"), 3, ConvolutionKernel="Bl57")
    pet = replace(ct, name=fdg, modality="PT", array=np.clip(ct.array + 10, 0, None).astype(np.float32) / 50)
    _number(write_series(pet, folder / "c"), 4)
    view = np.repeat(ct.array.mean(axis=1)[::-1], 3, axis=0).astype(np.int16)
    _write(folder / "d" / "1.dcm", CTImageStorage, "CT", topogram, 5, _pixels(view, ct.spacing[0]))
    mask = (ct.array[len(ct.array) // 2] > 0).astype(np.int16)
    _write(folder / "e.dcm", SegmentationStorage, "SEG", nodes, 6, _pixels(mask, ct.spacing[0]))
    _write(folder / "f.dcm", RTStructureSetStorage, "RTSTRUCT", contours, 7, {})
    return folder


def write_tilted(folder: Path, ct: Volume | None = None) -> Path:
    """Write a CT of a tilted gantry and return its folder."""
    folder = write_series(replace(ct or ellipsoid(), name="Tilted"), folder)
    for k, path in enumerate(sorted(folder.iterdir())):
        ds = pydicom.dcmread(path)
        x, y, z = ds.ImagePositionPatient
        ds.ImagePositionPatient = [x, y + 1.5 * k, z]
        ds.save_as(path)
    return folder


def _number(folder: Path, number: int, **tags: str) -> None:
    for path in folder.iterdir():
        ds = pydicom.dcmread(path)
        ds.SeriesNumber = number
        for keyword, value in tags.items():
            setattr(ds, keyword, value)
        ds.save_as(path)


def _pixels(image: np.ndarray, step: float) -> dict[str, object]:
    return {
        "Rows": image.shape[0], "Columns": image.shape[1], "SamplesPerPixel": 1, "BitsAllocated": 16, "BitsStored": 16,
        "HighBit": 15, "PixelRepresentation": 1, "PhotometricInterpretation": "MONOCHROME2",
        "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "PixelSpacing": [step, step],
        "ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 0, -1], "PixelData": image.tobytes(),
    }  # fmt: skip


def _write(path: Path, sop_class: UID, modality: str, description: str, number: int, tags: dict[str, object]) -> None:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.SeriesInstanceUID, ds.StudyInstanceUID = generate_uid(), "1.2.3"
    ds.Modality, ds.SeriesDescription, ds.SeriesNumber = modality, description, number
    ds.PatientID = ds.PatientName = "PHANTOM"
    ds.StudyDate = "20260115"
    for keyword, value in tags.items():
        setattr(ds, keyword, value)
    if "PixelData" in ds:
        ds["PixelData"].VR = "OW"
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)

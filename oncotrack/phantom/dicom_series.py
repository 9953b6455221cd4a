"""Writing a volume as a DICOM series."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from oncotrack.atomic import replacing
from oncotrack.errors import MissingPackageError
from oncotrack.images.volume import Volume, lps_to_ras

_CLASSES = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4", "PT": "1.2.840.10008.5.1.4.1.1.128"}


def write_series(volume: Volume, folder: str | Path, *, patient: str = "PHANTOM", visit: int = 0) -> Path:
    """Write one file per slice (DICOM PS3.3, CT, MR or PET Image Storage, explicit little endian).

    CT is stored as HU with intercept -1024; MR and PET with one slope per series. UIDs are computed from the content,
    so that the same volume gives the same files.

    Parameters
    ----------
    volume : Volume
        CT in HU, PET in SUV or MR. Patient, date and thickness are taken from its metadata where it has them.
    folder : path
        Where to write; it is created.
    patient : str
        Patient ID and name.
    visit : int
        Number of the visit, from 0; it becomes part of the study's UID.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    MissingPackageError
        pydicom is not installed.
    OutputError
        The folder cannot be written.
    """
    try:
        from pydicom.dataset import Dataset, FileMetaDataset
        from pydicom.uid import UID, ExplicitVRLittleEndian
    except ImportError as error:
        raise MissingPackageError(
            "Writing DICOM needs the package pydicom. Install it: pip install pydicom."
        ) from error

    folder = Path(folder)
    modality = volume.modality or "CT"
    array = volume.array.astype(np.float32)
    intercept = -1024.0 if modality == "CT" else 0.0
    slope = 1.0 if modality == "CT" else float(f"{max(float(array.max()), 1e-3) / 60000:.8g}")
    stored = np.clip(np.round((array - intercept) / slope), 0, 65535).astype(np.uint16)
    study, series, frame = (
        _uid(patient, visit, kind) for kind in ("study", f"{modality} {volume.fingerprint}", "frame")
    )
    about = volume.metadata
    date = about.get("date", "20260115")
    direction = lps_to_ras(np.asarray(volume.direction).T)
    for k in range(array.shape[0]):
        position = lps_to_ras(volume.geometry.to_ras((0, 0, k)))
        instance = _uid(series, k, "slice")
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = UID(_CLASSES[modality])
        meta.MediaStorageSOPInstanceUID = UID(instance)
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data = Dataset()
        data.file_meta = meta
        data.SOPClassUID, data.SOPInstanceUID = _CLASSES[modality], instance
        data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = study, series, frame
        data.PatientName = about.get("patient_name", patient.replace("-", "^"))
        data.PatientID = about.get("patient_id", patient)
        data.PatientBirthDate, data.PatientSex = about.get("birth_date", ""), about.get("sex", "O")
        data.StudyDate = data.SeriesDate = data.AcquisitionDate = data.ContentDate = date
        data.StudyTime = data.SeriesTime = data.AcquisitionTime = data.ContentTime = "120000"
        data.AccessionNumber, data.StudyID, data.ReferringPhysicianName = "", str(visit + 1), ""
        data.PositionReferenceIndicator = ""
        data.Modality, data.Manufacturer, data.SeriesNumber = (
            modality,
            "OncoTrack phantom",
            {"CT": 1, "PT": 2, "MR": 3}[modality],
        )
        data.StudyDescription, data.SeriesDescription = (
            "Synthetic patient",
            (about.get("description") or volume.name)[:64],
        )
        data.ImageType = ["DERIVED", "PRIMARY", "AXIAL"]
        data.InstanceNumber, data.PatientPosition = k + 1, "HFS"
        data.ImagePositionPatient = [_decimal(v) for v in position]
        data.ImageOrientationPatient = [_decimal(v) for v in (*direction[0], *direction[1])]
        data.PixelSpacing = [_decimal(volume.spacing[1]), _decimal(volume.spacing[0])]
        data.SliceThickness = about.get("thickness") or _decimal(volume.spacing[2])
        data.SliceLocation = _decimal(position[2])
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.Rows, data.Columns = stored.shape[1:]
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
        data.RescaleIntercept, data.RescaleSlope = _decimal(intercept), _decimal(slope)
        if modality == "CT":
            data.RescaleType, data.KVP, data.AcquisitionNumber = "HU", "120", 1
            data.WindowCenter, data.WindowWidth = "40", "400"
        elif modality == "PT":
            data.Units, data.CountsSource, data.SeriesType = "GML", "EMISSION", ["STATIC", "IMAGE"]
            data.CorrectedImage, data.DecayCorrection, data.ImageIndex = ["DECY", "ATTN"], "START", k + 1
            data.NumberOfSlices, data.FrameReferenceTime, data.ActualFrameDuration = len(stored), 0, 120000
        else:
            data.ScanningSequence, data.SequenceVariant, data.ScanOptions = "SE", "SK", ""
            data.MRAcquisitionType, data.RepetitionTime, data.EchoTime, data.EchoTrainLength = "2D", "4000", "90", 16
        data.PixelData = stored[k].tobytes()
        with replacing(folder / f"slice{k:04d}.dcm") as temporary:
            data.save_as(temporary, enforce_file_format=True)
    return folder


def _uid(*parts: object) -> str:
    """Return a DICOM UID made of a 128-bit hash of the parts (PS3.5, B.2)."""
    return f"2.25.{int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=16).digest(), 'big')}"


def _decimal(value: float) -> str:
    """Return a number as a DICOM decimal string of at most 16 characters."""
    return f"{float(value):.10g}"[:16]

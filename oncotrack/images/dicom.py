"""Reading of one DICOM series from a folder, with checks of its slices."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from oncotrack.errors import InputError
from oncotrack.images.volume import Volume, from_sitk, itk_warnings_off

_POSITION, _ORIENTATION, _PIXEL_SPACING = "0020|0032", "0020|0037", "0028|0030"
_SCANS = ("CT", "MR", "PT")


def is_dicom_file(path: Path) -> bool:
    """Return whether a file has DICOM's signature at byte 128.

    Parameters
    ----------
    path : Path
        The file.
    """
    try:
        with path.open("rb") as file:
            file.seek(128)
            return file.read(4) == b"DICM"
    except OSError:
        return False


def load_series(folder: Path) -> Volume:
    """Read the one DICOM series of a folder and its subfolders, slices sorted along their normal.

    Segmentations, structure sets and other objects stored with the scan are ignored.

    Parameters
    ----------
    folder : Path
        The folder to search.

    Raises
    ------
    InputError
        No series, several series (they are listed), a damaged file, mixed sizes or pixel spacings, a tilted
        gantry, a missing or duplicate slice (the gap is named).
    """
    folders = [folder, *sorted(path for path in folder.rglob("*") if path.is_dir())]
    try:
        with itk_warnings_off():
            found = [
                (path, uid, sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path), uid))
                for path in folders
                for uid in sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(path))
            ]
    except RuntimeError as error:
        raise InputError(
            f"{folder} could not be searched for DICOM images. Choose the folder that holds the slices of one series."
        ) from error
    if not found:
        raise InputError(f"{folder} holds no DICOM images. Choose the folder that holds the slices of one series.")
    if len(found) > 1:
        found = [series for series in found if _modality(series[2][0]) in _SCANS] or found
    if len(found) > 1:
        listed = "; ".join(f"{len(files)} files in {path}" for path, _, files in found[:5])
        raise InputError(
            f"{folder} holds {len(found)} DICOM series ({listed}). Put the one you want in a folder of its own."
        )
    path, _uid, files = found[0]
    _check_readable(path, files)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(files)
    reader.MetaDataDictionaryArrayUpdateOn()
    reader.LoadPrivateTagsOff()
    try:
        with itk_warnings_off():
            image = reader.Execute()
    except RuntimeError as error:
        raise InputError(_unreadable_message(folder, files)) from error
    if len(files) > 1:
        _check_geometry(folder, files, reader)

    date = _tag(reader, "0008|0022") or _tag(reader, "0008|0020")
    metadata = {
        "path": str(folder),
        "series_uid": _tag(reader, "0020|000e"),
        "date": date,
        "time": _tag(reader, "0008|0032") or _tag(reader, "0008|0030"),
        "description": _tag(reader, "0008|103e"),
        "thickness": _tag(reader, "0018|0050"),
        "kernel": _tag(reader, "0018|1210"),
        "patient_id": _tag(reader, "0010|0020"),
        "patient_name": _tag(reader, "0010|0010"),
        "birth_date": _tag(reader, "0010|0030"),
        "sex": _tag(reader, "0010|0040"),
    }
    return from_sitk(image, folder.name, _tag(reader, "0008|0060"), metadata)


def _tag(reader: sitk.ImageSeriesReader, key: str) -> str:
    return reader.GetMetaData(0, key).strip() if reader.HasMetaDataKey(0, key) else ""


def _check_readable(folder: Path, files: tuple[str, ...]) -> None:
    """Raise InputError for a slice that cannot be parsed; GDCM leaves it out of the series silently."""
    for file in sorted(set(folder.iterdir()) - {Path(name) for name in files}):
        if file.is_file() and is_dicom_file(file) and _modality(file) in _SCANS:
            raise InputError(f"{folder}: the slice {file.name} is damaged or incomplete. Fetch the series again.")


def _modality(file: str | Path) -> str:
    """Return the modality of a DICOM file, or CT when it cannot be read."""
    import pydicom

    try:
        return pydicom.dcmread(file, stop_before_pixels=True).get("Modality", "")
    except Exception:
        return "CT"


def _unreadable_message(folder: Path, files: tuple[str, ...]) -> str:
    sizes: Counter[tuple[int, ...]] = Counter()
    for file in files:
        reader = sitk.ImageFileReader()
        reader.SetFileName(file)
        try:
            with itk_warnings_off():
                reader.ReadImageInformation()
                sizes[reader.GetSize()[:2]] += 1
                reader.Execute()
        except RuntimeError:
            return f"{folder}: the slice {Path(file).name} is damaged or incomplete. Fetch the series again."
    listed = ", ".join(f"{count} of {w}x{h}" for (w, h), count in sizes.most_common())
    return f"{folder} mixes slices of different sizes ({listed}); one of them may be a localizer. Keep the axial slices of one series only."


def _check_geometry(folder: Path, files: tuple[str, ...], reader: sitk.ImageSeriesReader) -> None:
    def numbers(key: str) -> np.ndarray:
        try:
            return np.array([[float(x) for x in reader.GetMetaData(n, key).split("\\")] for n in range(len(files))])
        except (RuntimeError, ValueError) as error:
            raise InputError(
                f"{folder}: a slice has no position (DICOM tag {key} is missing). Export the series again."
            ) from error

    spacing, orientation, position = numbers(_PIXEL_SPACING), numbers(_ORIENTATION), numbers(_POSITION)
    if np.ptp(spacing, axis=0).max() > 1e-3:
        kinds = ", ".join(f"{s:g} mm" for s in sorted({round(float(s), 4) for s in spacing[:, 0]}))
        raise InputError(f"{folder} mixes pixel spacings ({kinds}). Keep the slices of one series only.")
    if np.ptp(orientation, axis=0).max() > 1e-2:
        raise InputError(f"{folder} mixes slice orientations. Keep the slices of one series only.")
    normal = np.cross(orientation[0, :3], orientation[0, 3:])
    steps = np.diff(position, axis=0)
    along = steps @ normal
    usual = float(np.median(np.abs(along)))
    wrong = int(np.argmax(np.abs(np.abs(along) - usual)))
    gap = abs(float(along[wrong]))
    if abs(gap - usual) > max(0.02 * usual, 0.05):
        names = f"{Path(files[wrong]).name} (z = {position[wrong, 2]:.2f} mm) and {Path(files[wrong + 1]).name} (z = {position[wrong + 1, 2]:.2f} mm)"
        if gap < 0.05:
            problem = f"the slices {names} have the same position"
        elif abs(gap / usual - round(gap / usual)) < 0.05:
            missing = round(gap / usual) - 1
            problem = f"{missing} slice{'s are' if missing > 1 else ' is'} missing between {names}: the gap is {gap:.2f} mm where slices are {usual:.2f} mm apart"
        else:
            problem = f"slice distances are mixed: {gap:.2f} mm between {names}, {usual:.2f} mm elsewhere"
        raise InputError(f"{folder}: {problem}. Fetch the complete series again.")
    drift = np.linalg.norm(steps - np.outer(along, normal), axis=1).max()
    if drift > max(0.02 * usual, 0.05):
        raise InputError(
            f"{folder}: the slices are sheared by {drift:.2f} mm per slice (a tilted gantry). "
            "Resample the series to straight slices first."
        )

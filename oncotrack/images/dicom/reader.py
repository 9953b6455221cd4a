"""Reading of a study's list of series, of one series as a volume, and of one picture of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from oncotrack.background import arrays
from oncotrack.background.isolation import isolated, isolated_stack
from oncotrack.errors import InputError
from oncotrack.images.dicom.headers import DicomFile, integer, read_header, text
from oncotrack.images.dicom.listing import list_series
from oncotrack.images.dicom.pixels import PixelReader
from oncotrack.images.dicom.sources import files_of
from oncotrack.images.dicom.straighten import straighten
from oncotrack.images.dicom.study import Series, Study
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume, lps_to_ras

if TYPE_CHECKING:
    import pydicom

_IMAGE_FILES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
_TIMES = ("AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime", "FrameReferenceTime", "ActualFrameDuration")


@isolated
def load_study(path: str | Path) -> Study:
    """Read the headers of everything in a folder and its subfolders, a DICOMDIR, a zip archive, or a file's series.

    Parameters
    ----------
    path : path
        A folder, a DICOMDIR, a zip archive or one DICOM file, whose series is looked for in its folder.

    Raises
    ------
    InputError
        There is no DICOM, or an archive that cannot be unpacked safely.
    """
    path = Path(path).expanduser()
    if path.is_file() and path.name.lower().endswith(_IMAGE_FILES):
        raise InputError(f"{path.name} is a single image file without a list of series. Open it directly.")
    files = files_of(path)
    memo: dict[bytes, bytes] = {}
    single = read_header(files.single, memo) if files.single else None
    if files.single and (single is None or not single.header):
        raise InputError(
            f"{path} is damaged: {single.damage}. Copy it again."
            if single
            else f"{path.name} is not an image that OncoTrack can read. Choose DICOM, NIfTI, NRRD or MetaImage."
        )
    found = [file for each in files.paths if (file := read_header(each, memo)) is not None]
    if single:
        uid = text(single.header, "SeriesInstanceUID")
        found = [file for file in found if not file.header or text(file.header, "SeriesInstanceUID") == uid]
    series = list_series(found, files.missing or {}, path, files.keep)
    if single:
        series = [each for each in series if single.path in each.files] or series
    if not series:
        raise InputError(_nothing(path, [file for file in found if file.damage], files.paths))
    return Study(path, tuple(series))


def _nothing(path: Path, damaged: list[DicomFile], paths: list[Path]) -> str:
    """Return that a folder or archive holds no DICOM, and what it holds instead."""
    if damaged:
        names = f"{damaged[0].path.name} is damaged: {damaged[0].damage}"
        more = f", and {len(damaged) - 1} more" if len(damaged) > 1 else ""
        return f"{path} holds no DICOM images that can be read ({names}{more}). Copy the series again."
    others = [each.name for each in paths if each.name.lower().endswith((*_IMAGE_FILES, ".zip"))]
    if others:
        return f"{path} holds no DICOM images, but it contains {others[0]}. Open that file instead."
    return f"{path} holds no DICOM images. Choose the folder that holds the slices of a series."


def open_series(
    path: str | Path | Study, series: int | str | None = None, *, modality: str | None = None, resample: bool = False
) -> tuple[Volume, Series]:
    """Read the wanted series of a folder, file or archive; ``metadata["chosen"]`` says which where there were others.

    Parameters
    ----------
    path : path or Study
        See `load_study`, or what it returned.
    series : int or str, optional
        See `Study.choose`.
    modality : str, optional
        See `Study.choose`.
    resample : bool
        See `read`.

    Raises
    ------
    InputError
        As `load_study`, `Study.choose` and `read`.
    """
    study = path if isinstance(path, Study) else load_study(path)
    chosen = study.choose(series, modality)
    volume = read(chosen, resample=resample)
    if len(study.series) > 1:
        number = study.series.index(chosen) + 1
        volume.metadata["chosen"] = f"Series {number} of {len(study.series)}: {chosen}."
    return volume, chosen


@isolated_stack
def read(series: Series, *, resample: bool = False) -> Volume:
    """Read a series as a volume, float32.

    Parameters
    ----------
    series : Series
        A series of `load_study`.
    resample : bool
        Resample slices that are not regular (`Series.needs_resampling`) to a straight, regular grid.

    Raises
    ------
    InputError
        It is no volume, it needs resampling, or a slice is damaged.
    """
    grid = series.grid
    if not series.is_volume or grid is None or series.size is None or series.spacing is None:
        raise InputError(f"{series.path}: {series.problem}")
    if series.needs_resampling and not resample:
        raise InputError(
            f"{series.path}: {series.needs_resampling} The series can be read if you allow resampling to a "
            "regular grid.",
            parameter="resample",
        )
    pixels, frames, ends = PixelReader(), series.frames, []

    def _read(number: int, room: np.ndarray) -> arrays.Stored:
        image = pixels.read(frames[number], room)
        ends.append(image.ends())
        if not np.isfinite(ends[-1]).all():
            raise InputError(
                f"{series.path}: the slice {frames[number].name} has invalid values (NaN or infinite). Export the series again."
            )
        return image

    stack = arrays.filled if series.needs_resampling else arrays.stacked
    array = stack(series.size[::-1], _read)
    metadata = _metadata(series)
    origin, spacing = grid.origin, series.spacing
    if series.needs_resampling:
        array, start, step = straighten(array, grid, spacing[:2])
        origin, spacing = origin + grid.axes @ start, (*spacing[:2], step)
        metadata["resampled"] = (
            f"Resampled to a regular grid with slices {step:.4g} mm apart, because "
            f"{series.needs_resampling[0].lower()}{series.needs_resampling[1:]}"
        )
    direction = lps_to_ras(grid.axes.T).T
    geometry = Geometry.from_values(array.shape[::-1], spacing, lps_to_ras(origin), direction)
    volume = Volume(array, geometry, series.name, series.modality, metadata)
    if not series.needs_resampling:
        volume.__dict__["ends"] = float(np.min(ends)), float(np.max(ends))
    return volume


def _metadata(series: Series) -> dict[str, str]:
    """Return what is known of the series, without empty values."""
    assert series.spacing is not None
    known = {
        "path": str(series.path),
        "series_uid": series.uid,
        "date": series.date,
        "time": series.time,
        "description": series.description,
        "part": series.part,
        "series_number": "" if series.number is None else str(series.number),
        "patient_id": series.patient_id,
        "patient_name": series.patient_name,
        "birth_date": series.birth_date,
        "sex": series.sex,
        "study_uid": series.study_uid,
        "frame_of_reference": series.frame_of_reference,
        "thickness": "" if series.thickness is None else f"{series.thickness:g}",
        "kernel": series.kernel,
        "contrast": series.contrast,
        "image_type": series.image_type,
        "units": _units(series),
        "deviation_mm": f"{series.deviation:.3f}" if series.deviation >= 0.0005 else "",
        "notice": "\n".join(series.notes),
        "single_slice": (
            f"A single slice; its thickness of {series.spacing[2]:g} mm is used as slice spacing."
            if series.slices == 1
            else ""
        ),
    }
    return {key: value for key, value in known.items() if value}


def _units(series: Series) -> str:
    """Return what the values are: HU, BQML, ...; "" when the files do not say."""
    first = series.frames[0].header
    return text(first, "Units") or text(first, "RescaleType") or ("HU" if series.modality == "CT" else "")


@isolated
def picture(series: Series) -> np.ndarray:
    """Read the middle image of a series, (H, W) float32; for lists with thumbnails.

    Parameters
    ----------
    series : Series
        A series of `load_study`, of images.

    Raises
    ------
    InputError
        It has no images, or colour pictures, or the file is damaged.
    """
    frame = series.frames[len(series.frames) // 2]
    if not all(frame.size) or integer(frame.header, "SamplesPerPixel", 1) != 1:
        raise InputError(f"{series.path}: {series.problem or 'This series has no images.'}")
    image = np.empty(frame.size, np.float32)
    PixelReader().read(frame, np.empty(image.nbytes, np.uint8)).write(image)
    return image


@isolated
def header(series: Series) -> pydicom.Dataset:
    """Read the whole header of the first slice, without pixels.

    Its attribute ``slices`` lists one small dataset for each slice, in their order, with AcquisitionDate,
    AcquisitionTime, AcquisitionDateTime, FrameReferenceTime and ActualFrameDuration where the files have them.

    Parameters
    ----------
    series : Series
        A series of `load_study`.
    """
    from pydicom import dcmread
    from pydicom.dataset import Dataset

    whole = dcmread(series.frames[0].file.path, stop_before_pixels=True, force=True)
    slices = []
    for frame in series.frames:
        times = Dataset()
        for keyword in _TIMES:
            setattr(times, keyword, text(frame.header, keyword) or None)
        slices.append(times)
    whole.slices = slices
    return whole

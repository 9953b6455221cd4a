"""Reading and writing of image files: DICOM folders, NIfTI, NRRD and MetaImage."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import SimpleITK as sitk

from oncotrack.atomic import replacing
from oncotrack.errors import InputError, OutputError
from oncotrack.images.volume import Volume, from_sitk, itk_warnings_off, to_sitk

if TYPE_CHECKING:
    from oncotrack.images.dicom import Study

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
_WRITABLE = (".nii", ".nii.gz", ".nrrd", ".mha")


def load(
    path: str | Path | Study, series: int | str | None = None, *, modality: str | None = None, resample: bool = False
) -> Volume:
    """Read a scan.

    Parameters
    ----------
    path : path or Study
        DICOM (a folder with subfolders, one file of a series, a DICOMDIR or a zip archive), a study that
        `oncotrack.load_study` listed, or a NIfTI, NRRD or MetaImage file.
    series : int or str, optional
        Which DICOM series, see `oncotrack.images.dicom.Study.choose`; needed where there are several volumes.
    modality : str, optional
        Only DICOM series of this modality ("CT", "MR", "PT").
    resample : bool
        Resample a tilted gantry or mixed slice distances to a straight, regular grid instead of refusing them.

    Returns
    -------
    Volume
        In RAS mm; DICOM as float32. ``metadata["resampled"]`` says what was done where it was resampled.

    Raises
    ------
    InputError
        A missing, damaged, empty, constant or NaN image; a picture or a 4D file; no volume, or several of them (they
        are listed); a missing slice.
    """
    if isinstance(path, (str, Path)):
        path = Path(path).expanduser()
        if not path.exists():
            raise InputError(f"{path} does not exist. Check the path.")
        if is_image_file(path):
            if series is not None:
                raise InputError(
                    f"{path.name} holds one image, no DICOM series to choose from. Open it without naming a series."
                )
            return _load_image(path).checked()
    from oncotrack.images import dicom

    return dicom.open_series(path, series, modality=modality, resample=resample)[0].checked()


def load_suv(path: str | Path | Study, series: int | str | None = None, *, resample: bool = False) -> Volume:
    """Read a PET series as SUV by body weight, g/ml.

    Parameters
    ----------
    path : path or Study
        As in `load`, DICOM only.
    series : int or str, optional
        As in `load`.
    resample : bool
        As in `load`.

    Raises
    ------
    InputError
        As in `load`; a tag that SUV needs is missing or impossible (it is named).
    """
    from oncotrack.images import dicom
    from oncotrack.images.suv import to_suv

    volume, chosen = dicom.open_series(path, series, modality="PT", resample=resample)
    return to_suv(volume, dicom.header(chosen)).checked()


def is_image_file(path: Path) -> bool:
    """Return whether a path is a file of one image, NIfTI, NRRD or MetaImage by its name, and not DICOM.

    Parameters
    ----------
    path : Path
        The path.
    """
    return path.is_file() and path.name.lower().endswith(SUFFIXES)


def _load_image(path: Path) -> Volume:
    try:
        _check_whole(path)
        with itk_warnings_off():
            image = sitk.ReadImage(str(path))
    except (RuntimeError, EOFError, OSError, zlib.error) as error:
        raise InputError(
            f"{path} could not be read: it is damaged, incomplete or not what its name says. Copy or export it again."
        ) from error
    return from_sitk(image, path.name, metadata={"path": str(path)})


def _check_whole(path: Path) -> None:
    # ITK silently fills the missing end of a compressed file with zeros
    if path.suffix.lower() == ".gz":
        with gzip.open(path) as file:
            while file.read(2**22):
                pass


def save(volume: Volume, path: str | Path) -> Path:
    """Write a NIfTI, NRRD or MetaImage file, atomically.

    Parameters
    ----------
    volume : Volume
        The image.
    path : path
        The file to write; its suffix chooses the format.

    Raises
    ------
    OutputError
        The suffix is none of `.nii`, `.nii.gz`, `.nrrd` and `.mha`, or the folder cannot be written to.
    """
    path = Path(path)
    if not path.name.lower().endswith(_WRITABLE):
        raise OutputError(f"{path.name} ends in no known image suffix; use one of {', '.join(_WRITABLE)}.")
    with replacing(path) as temporary:
        try:
            sitk.WriteImage(to_sitk(volume), str(temporary), useCompression=True)
        except RuntimeError as error:
            raise OutputError(f"{path} could not be written; is the disk full?") from error
    return path

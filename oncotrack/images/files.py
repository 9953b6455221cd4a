"""Reading and writing of image files: DICOM folders, NIfTI, NRRD and MetaImage."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from oncotrack.atomic import replacing
from oncotrack.errors import InputError, OutputError
from oncotrack.images import dicom
from oncotrack.images.volume import Volume, from_sitk, itk_warnings_off, to_sitk

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
_WRITABLE = (".nii", ".nii.gz", ".nrrd", ".mha")
_SHEAR = 1e-4  # cosine between two voxel axes: 0.04 mm over 400 mm


def without_suffix(name: str) -> str:
    """Return a file's name, or its path, without the suffix of an image file.

    Parameters
    ----------
    name : str
        "scan.v2.nii.gz" becomes "scan.v2"; a name without such a suffix stays.
    """
    suffix = next((each for each in sorted(SUFFIXES, key=len, reverse=True) if name.lower().endswith(each)), "")
    return name[: len(name) - len(suffix)]


def load(path: str | Path) -> Volume:
    """Read a scan.

    Parameters
    ----------
    path : path
        A folder with one DICOM series, or a NIfTI, NRRD or MetaImage file.

    Raises
    ------
    InputError
        A missing, damaged, empty, constant or NaN image; a picture or a 4D file; a folder with no or several series; a
        series with a missing slice or mixed spacing.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise InputError(f"{path} does not exist. Check the path.")
    if path.is_dir():
        return dicom.load_series(path).checked()
    if not path.name.lower().endswith(SUFFIXES):
        if dicom.is_dicom_file(path):
            raise InputError(f"{path} is one DICOM file. Give the folder {path.parent} that holds its whole series.")
        raise InputError(
            f"{path.name} is not an image that OncoTrack can read. "
            f"Give a DICOM folder, or a file ending in {', '.join(SUFFIXES)}."
        )
    return read_image(path).checked()


def read_image(path: Path) -> Volume:
    """Read a NIfTI, NRRD or MetaImage file without judging its intensities; label maps may be empty.

    Parameters
    ----------
    path : Path
        The file; its suffix is one of `SUFFIXES`.

    Raises
    ------
    InputError
        A missing or damaged file, a picture, several volumes, several values per voxel.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist. Check the path.")
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
        The file to write; its suffix chooses the format. NIfTI holds the grid as its sform; of a sheared grid, which
        a qform cannot hold, it is the only one, and programs that know the qform alone refuse such a file.

    Raises
    ------
    OutputError
        The suffix is none of `.nii`, `.nii.gz`, `.nrrd` and `.mha`, or the folder cannot be written to.
    """
    path = Path(path)
    if not path.name.lower().endswith(_WRITABLE):
        raise OutputError(f"{path.name} ends in no known image suffix; use one of {', '.join(_WRITABLE)}.")
    with replacing(path) as temporary:
        if path.name.lower().endswith((".nii", ".nii.gz")):
            _write_nifti(volume, temporary)
            return path
        try:
            sitk.WriteImage(to_sitk(volume), str(temporary), useCompression=True)
        except RuntimeError as error:
            raise OutputError(f"{path} could not be written; is the disk full?") from error
    return path


def _write_nifti(volume: Volume, path: Path) -> None:
    # SimpleITK would straighten a sheared grid without a word
    import nibabel

    matrix, direction = volume.geometry.ijk_to_ras, np.asarray(volume.direction)
    image = nibabel.Nifti1Image(volume.array.T, matrix, dtype=volume.array.dtype)
    image.header.set_xyzt_units("mm")
    image.set_sform(matrix, 1)
    is_sheared = np.abs(direction.T @ direction - np.eye(3)).max() > _SHEAR
    image.set_qform(None if is_sheared else matrix, 0 if is_sheared else 1)
    image.to_filename(path)

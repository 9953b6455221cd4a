"""Reading and writing of image files: DICOM folders, NIfTI, NRRD and MetaImage."""

from __future__ import annotations

from pathlib import Path

import SimpleITK as sitk

from oncotrack.atomic import replacing
from oncotrack.errors import InputError, OutputError
from oncotrack.images import dicom, metaimage, nifti, nrrd
from oncotrack.images.volume import Volume, to_sitk

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
_WRITABLE = (".nii", ".nii.gz", ".nrrd", ".mha")


def load(path: str | Path, *, resample: bool = False) -> Volume:
    """Read a scan.

    Parameters
    ----------
    path : path
        A folder with one DICOM series, or a NIfTI, NRRD or MetaImage file.
    resample : bool
        Resample a sheared image to a straight grid instead of refusing it.

    Returns
    -------
    Volume
        Its ``metadata`` says in sentences what is doubtful in the file (``notice``) and what was done (``resampled``).

    Raises
    ------
    InputError
        A missing, damaged, empty, constant or NaN image; a picture, colours or a 4D file; an impossible or sheared grid; a
        folder with no or several series; a series with a missing slice or mixed spacing.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return dicom.load_series(path).checked()
    if path.is_file() and not path.name.lower().endswith(SUFFIXES) and dicom.is_dicom_file(path):
        raise InputError(f"{path} is one DICOM file. Give the folder {path.parent} that holds its whole series.")
    return read_image(path, resample=resample).checked()


def read_image(path: Path, *, resample: bool = False) -> Volume:
    """Read a NIfTI, NRRD or MetaImage file without judging its intensities; a label map may be empty.

    Parameters
    ----------
    path : Path
        The file.
    resample : bool
        Resample a sheared image to a straight grid instead of refusing it.

    Raises
    ------
    InputError
        A missing or damaged file, a picture, several volumes, several values per voxel, an impossible or sheared grid.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist. Check the path.")
    name = path.name.lower()
    if not name.endswith(SUFFIXES) or not path.is_file():
        raise InputError(
            f"{path.name} is not an image that OncoTrack can read. "
            f"Give a DICOM folder, or a file ending in {', '.join(SUFFIXES)}."
        )
    form = nifti if name.endswith((".nii", ".nii.gz")) else nrrd if name.endswith((".nrrd", ".nhdr")) else metaimage
    return form.read(path, resample=resample)


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
            if path.name.lower().endswith((".nii", ".nii.gz")):
                nifti.write(volume, Path(temporary))
            else:
                sitk.WriteImage(to_sitk(volume), str(temporary), useCompression=True)
        except (OSError, RuntimeError) as error:
            raise OutputError(f"{path} could not be written; is the disk full?") from error
    return path

"""Reading and writing of image files: DICOM folders, NIfTI, NRRD and MetaImage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import SimpleITK as sitk

from oncotrack.atomic import replacing
from oncotrack.background import arrays
from oncotrack.background.isolation import isolated, isolated_stack
from oncotrack.errors import InputError, OutputError
from oncotrack.images import metaimage, nifti, nrrd
from oncotrack.images.volume import Volume, to_sitk

if TYPE_CHECKING:
    from oncotrack.images.dicom import Study

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
_WRITABLE = (".nii", ".nii.gz", ".nrrd", ".mha")


def without_suffix(name: str) -> str:
    """Return a file's name, or its path, without the suffix of an image file.

    Parameters
    ----------
    name : str
        "scan.v2.nii.gz" becomes "scan.v2"; a name without such a suffix stays.
    """
    suffix = next((each for each in sorted(SUFFIXES, key=len, reverse=True) if name.lower().endswith(each)), "")
    return name[: len(name) - len(suffix)]


@isolated_stack
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
        Resample a tilted gantry, mixed slice distances or a sheared grid to a straight, regular grid instead of refusing
        them.

    Returns
    -------
    Volume
        In RAS mm; DICOM as float32. Its ``metadata`` says in sentences what is doubtful in the file (``notice``) and what
        was done where it was resampled (``resampled``).

    Raises
    ------
    InputError
        A missing, damaged, empty, constant or NaN image; a picture, colours or a 4D file; an impossible grid; no volume, or
        several of them (they are listed); a missing slice.
    """
    if isinstance(path, str | Path):
        path = Path(path).expanduser()
        if not path.exists():
            raise InputError(f"{path} does not exist. Check the path.")
        if is_image_file(path):
            if series is not None:
                raise InputError(
                    f"{path.name} is a single image without DICOM series to choose from. Open it without naming a "
                    "series."
                )
            return read_image(path, resample=resample).checked()
    from oncotrack.images import dicom

    return dicom.open_series(path, series, modality=modality, resample=resample)[0].checked()


@isolated
def read_image(path: Path, *, resample: bool = False, keep_shear: bool = False) -> Volume:
    """Read a NIfTI, NRRD or MetaImage file without judging its intensities; a label map may be empty.

    Parameters
    ----------
    path : Path
        The file.
    resample : bool
        Resample a sheared image to a straight grid instead of refusing it.
    keep_shear : bool
        Return it as it is instead, for label maps.

    Raises
    ------
    InputError
        A missing or damaged file, a picture, several volumes, several values per voxel, an impossible or sheared grid.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist. Check the path.")
    if not is_image_file(path):
        raise InputError(
            f"{path.name} is not an image that OncoTrack can read. "
            f"Choose a DICOM folder, or a file ending in {', '.join(SUFFIXES)}."
        )
    name = path.name.lower()
    form = nifti if name.endswith((".nii", ".nii.gz")) else nrrd if name.endswith((".nrrd", ".nhdr")) else metaimage
    return form.read(path, resample=resample, keep_shear=keep_shear)


@isolated
def load_suv(
    path: str | Path | Study,
    series: int | str | None = None,
    *,
    resample: bool = False,
    kind: str = "BW",
    weight_kg: float | None = None,
    height_cm: float | None = None,
    sex: str | None = None,
) -> Volume:
    """Read a PET series as SUV, by body weight in g/ml unless another kind is named.

    Parameters
    ----------
    path : path or Study
        As in `load`, DICOM only.
    series : int or str, optional
        As in `load`.
    resample : bool
        As in `load`.
    kind, weight_kg, height_cm, sex
        As in `oncotrack.images.suv.to_suv`.

    Raises
    ------
    InputError
        As in `load`; the file is no DICOM; a tag that SUV needs is missing or impossible (it is named).
    """
    from oncotrack.images import dicom
    from oncotrack.images.suv import to_suv

    if isinstance(path, str | Path) and is_image_file(Path(path).expanduser()):
        raise InputError(
            f"{Path(path).name} states neither dose nor injection time, so SUV cannot be computed. Open the DICOM series "
            "of the PET."
        )
    with arrays.stacking():
        volume, chosen = dicom.open_series(path, series, modality="PT", resample=resample)
    header = dicom.header(chosen)
    return to_suv(volume, header, kind=kind, weight_kg=weight_kg, height_cm=height_cm, sex=sex).checked()


def is_image_file(path: Path) -> bool:
    """Return whether a path is a file of one image, NIfTI, NRRD or MetaImage by its name, and not DICOM.

    Parameters
    ----------
    path : Path
        The path.
    """
    return path.is_file() and path.name.lower().endswith(SUFFIXES)


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
        raise OutputError(f"{path.name} has no supported file extension; use one of {', '.join(_WRITABLE)}.")
    with replacing(path) as temporary:
        try:
            if path.name.lower().endswith((".nii", ".nii.gz")):
                nifti.write(volume, Path(temporary))
            else:
                sitk.WriteImage(to_sitk(volume), str(temporary), useCompression=True)
        except (OSError, RuntimeError) as error:
            raise OutputError(f"{path} could not be written. Check free disk space and permissions.") from error
    return path

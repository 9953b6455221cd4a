"""NIfTI-1 and NIfTI-2 files, read as the standard says: sform, else qform, else voxel sizes alone.

R. W. Cox et al., "A (sort of) new image data format standard: NIfTI-1", 2004; https://nifti.nimh.nih.gov. nibabel reads the
header; ITK prefers the qform, takes no sheared sform and replaces NaN by 0. nibabel is imported when a file is opened.
"""

from __future__ import annotations

import gzip
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from oncotrack.errors import InputError
from oncotrack.images.geometry import transform_points
from oncotrack.images.grid import check_sizes, place, shear_degrees
from oncotrack.images.volume import Volume
from oncotrack.images.voxel_data import damage_refused, opened, read_voxels, rescaled

_MM = {1: 1000.0, 2: 1.0, 3: 0.001}
_UNKNOWN_POSITION = (
    "The file states no position (sform_code and qform_code are 0): where it lies in the patient, and which side is left, "
    "is unknown."
)
_LARGEST_DISAGREEMENT = 0.1  # voxels
_COMPRESSION = 3


def read(path: Path, *, resample: bool = False, keep_shear: bool = False) -> Volume:
    """Read a NIfTI file.

    Parameters
    ----------
    path : Path
        ``.nii`` or ``.nii.gz``.
    resample : bool
        Resample a sheared image to a straight grid instead of refusing it.
    keep_shear : bool
        Return it as it is instead.

    Returns
    -------
    Volume
        ``metadata["notice"]`` says where sform, qform and voxel sizes disagree, or that the position is unknown.

    Raises
    ------
    InputError
        A damaged file, a picture, several volumes, colours or complex numbers, an impossible or sheared grid.
    """
    with damage_refused(path), opened(path) as file:
        header = _header(file, path)
        shape, dtype = _shape(header, path.name), _dtype(header, path.name)
        file.seek(max(int(header["vox_offset"]), header.sizeof_hdr + 4))
        array = read_voxels([file], dtype, shape[::-1], path.name)
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if np.isfinite([slope, intercept]).all() and slope != 0:
        array = rescaled(array, slope, intercept)
    matrix, notice = _ijk_to_ras(header, shape, path.name)
    metadata = {"path": str(path)} | ({"notice": notice} if notice else {})
    return place(array, matrix, path.name, metadata, resample=resample, keep_shear=keep_shear)


def _header(file: BinaryIO, path: Path) -> Any:
    """Return the header as nibabel reads it, in the byte order of the file."""
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    content = file.read(Nifti2Header.sizeof_hdr)
    for kind, magic in ((Nifti1Header, b"n+1"), (Nifti2Header, b"n+2")):
        for order in ("little", "big"):
            if int.from_bytes(content[:4], order) == kind.sizeof_hdr <= len(content):
                header = kind(content[: kind.sizeof_hdr], order, check=False)
                if header["magic"].tobytes().startswith(magic):
                    return header
                raise InputError(
                    f"{path.name} is an Analyze file or half of a pair (.hdr and .img), which does not say which side is "
                    "left. Convert it to one NIfTI file from the original scan."
                )
    raise InputError(f"{path} is damaged or is not a NIfTI file, despite its name. Copy or export it again.")


def _dtype(header: Any, name: str) -> np.dtype:
    """Return the type of the voxels, in the byte order of the file."""
    code = int(header["datatype"])
    try:
        dtype = header.get_data_dtype()
    except KeyError:
        dtype = np.dtype(np.void)
    if dtype.kind in "iuf":
        return dtype
    held = (
        "colours" if dtype.names else "complex numbers" if dtype.kind == "c" else f"numbers of an unknown type ({code})"
    )
    raise InputError(f"{name} holds {held}. Open the original greyscale scan instead.")


def _shape(header: Any, name: str) -> tuple[int, int, int]:
    """Return the voxels along i, j, k of the one volume of the file."""
    dim = header["dim"].astype(int)
    if not 1 <= dim[0] <= 7 or (dim[1 : dim[0] + 1] < 1).any():
        raise InputError(f"{name} is damaged: its header states dimensions {dim[1:].tolist()}. Export it again.")
    i, j, k, *more = (int(n) for n in dim[1 : dim[0] + 1]) if dim[0] >= 3 else (1, 1, 1)
    if dim[0] < 3:
        raise InputError(f"{name} has {dim[0]} dimensions: it contains a single picture. Open the whole series.")
    if (count := int(np.prod(more, dtype=np.int64))) > 1:
        raise InputError(
            f"{name} has {dim[0]} dimensions: it contains {count} volumes (time points, phases or b-values). "
            "OncoTrack reads one three-dimensional scan; split the file first."
        )
    return i, j, k


def _ijk_to_ras(header: Any, shape: tuple[int, int, int], name: str) -> tuple[np.ndarray, str]:
    """Return the matrix that the standard prefers, and a sentence about what is doubtful in it."""
    sizes, notice = header["pixdim"][1:4].astype(float), ""
    if header["sform_code"] > 0:
        matrix = header.get_sform()
        notice = _disagreement(matrix, header, sizes, shape)
    elif header["qform_code"] > 0:
        if not (sizes > 0).all():
            raise InputError(
                f"{name} states voxel sizes of {' x '.join(f'{s:g}' for s in sizes)} mm, but its only position "
                "is its qform, which needs positive voxel sizes. Correct its header or export it again."
            )
        if np.sum(_quaternion(header) ** 2) > 1.001:
            raise InputError(f"{name}: the quaternion of its qform is not a rotation. Export it again.")
        matrix = _qform(header, sizes)
    else:
        check_sizes(sizes, name)
        matrix, notice = header.get_base_affine(), _UNKNOWN_POSITION
    matrix[:3] *= _MM.get(int(header["xyzt_units"]) & 7, 1.0)
    return matrix, notice


def _disagreement(sform: np.ndarray, header: Any, sizes: np.ndarray, shape: tuple[int, int, int]) -> str:
    """Return a sentence where the qform or the voxel sizes contradict the sform."""
    if header["qform_code"] > 0 and (sizes > 0).all():
        corners = np.stack(np.meshgrid(*[(0, n - 1) for n in shape], indexing="ij"), -1).reshape(8, 3)
        apart = transform_points(sform, corners) - transform_points(_qform(header, sizes), corners)
        voxels = float(np.linalg.norm(apart, axis=1).max() / sizes.min())
        if voxels > _LARGEST_DISAGREEMENT:
            return f"The sform and the qform of the file disagree by up to {voxels:.3g} voxels; the sform is used."
        return ""
    scales = np.linalg.norm(sform[:3, :3], axis=0)
    if (np.abs(scales - sizes) > 0.01 * scales).any():
        used, other = (" x ".join(f"{size:.4g}" for size in each) for each in (scales, sizes))
        return f"The voxel sizes in the file disagree: {used} in its sform, which is used, and {other} in pixdim."
    return ""


def _qform(header: Any, sizes: np.ndarray) -> np.ndarray:
    """Return the matrix of the quaternion (nifti1.h, method 2), whose length rounding may have made more than 1."""
    from nibabel.quaternions import quat2mat

    vector = _quaternion(header)
    rest = 1.0 - vector @ vector
    first = 0.0 if rest < 1e-7 else np.sqrt(rest)  # a half turn, but for the rounding; as the reference implementation
    matrix = np.eye(4)
    matrix[:3, :3] = quat2mat([first, *vector]) * sizes * [1, 1, -1 if header["pixdim"][0] < 0 else 1]
    matrix[:3, 3] = [header[f"qoffset_{axis}"] for axis in "xyz"]
    return matrix


def _quaternion(header: Any) -> np.ndarray:
    """Return b, c and d."""
    return np.array([header[f"quatern_{part}"] for part in "bcd"], float)


def write(volume: Volume, path: Path) -> None:
    """Write a NIfTI-1 file whose sform is the exact grid; a qform stands beside it where the axes are at right angles.

    Parameters
    ----------
    volume : Volume
        The image.
    path : Path
        ``.nii``, or compressed ``.nii.gz``.
    """
    from nibabel.nifti1 import Nifti1Image

    array, grid = volume.array, volume.geometry
    if array.dtype.kind in "bf":
        array = array.astype(
            "u1" if array.dtype.kind == "b" else "f8" if array.dtype.itemsize > 4 else "f4", copy=False
        )
    image = Nifti1Image(array.T, grid.ijk_to_ras, dtype=array.dtype)
    image.set_sform(grid.ijk_to_ras, 1)
    image.set_qform(grid.ijk_to_ras, 1 if shear_degrees(grid) < 0.01 else 0)
    image.header.set_xyzt_units("mm")
    is_packed = path.name.lower().endswith(".gz")
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", _COMPRESSION, file, mtime=0) if is_packed else nullcontext(file) as stream,
    ):
        image.to_stream(stream)

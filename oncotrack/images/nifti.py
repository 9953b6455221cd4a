"""NIfTI-1 and NIfTI-2 files, read as the standard says: sform, else qform, else voxel sizes alone.

R. W. Cox et al., "A (sort of) new image data format standard: NIfTI-1", 2004; https://nifti.nimh.nih.gov. The header is read
here because ITK prefers the qform, takes no sheared sform and replaces NaN by 0, and nibabel takes longer to be imported
than the file to be read.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np

from oncotrack.errors import InputError
from oncotrack.images.geometry import transform_points
from oncotrack.images.grid import place, shear_degrees
from oncotrack.images.volume import Volume
from oncotrack.images.voxel_data import damage_refused, opened, read_voxels, rescaled

_NIFTI1 = np.dtype(
    [
        ("sizeof_hdr", "i4"), ("unused1", "S35"), ("dim_info", "u1"), ("dim", "i2", 8), ("intent_p", "f4", 3),
        ("intent_code", "i2"), ("datatype", "i2"), ("bitpix", "i2"), ("slice_start", "i2"), ("pixdim", "f4", 8),
        ("vox_offset", "f4"), ("scl_slope", "f4"), ("scl_inter", "f4"), ("slice_end", "i2"), ("slice_code", "u1"),
        ("xyzt_units", "u1"), ("unused2", "f4", 4), ("unused3", "i4", 2), ("descrip", "S80"), ("aux_file", "S24"),
        ("qform_code", "i2"), ("sform_code", "i2"), ("quatern", "f4", 3), ("qoffset", "f4", 3), ("srow", "f4", (3, 4)),
        ("intent_name", "S16"), ("magic", "S4"),
    ]
)  # fmt: skip
_NIFTI2 = np.dtype(
    [
        ("sizeof_hdr", "i4"), ("magic", "S8"), ("datatype", "i2"), ("bitpix", "i2"), ("dim", "i8", 8),
        ("intent_p", "f8", 3), ("pixdim", "f8", 8), ("vox_offset", "i8"), ("scl_slope", "f8"), ("scl_inter", "f8"),
        ("unused1", "f8", 4), ("slice", "i8", 2), ("descrip", "S80"), ("aux_file", "S24"), ("qform_code", "i4"),
        ("sform_code", "i4"), ("quatern", "f8", 3), ("qoffset", "f8", 3), ("srow", "f8", (3, 4)), ("slice_code", "i4"),
        ("xyzt_units", "i4"), ("intent_code", "i4"), ("intent_name", "S16"), ("dim_info", "u1"), ("unused2", "S15"),
    ]
)  # fmt: skip
_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
_OTHER_TYPES = {1: "single bits", 32: "complex numbers", 128: "colours", 1792: "complex numbers", 2304: "colours"}
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
        shape = _shape(header, path.name)
        code = int(header["datatype"])
        if code not in _TYPES:
            held = _OTHER_TYPES.get(code, f"numbers of an unknown type ({code})")
            raise InputError(f"{path.name} holds {held}. Open the original greyscale scan instead.")
        file.read(max(int(header["vox_offset"]), header.dtype.itemsize + 4) - header.dtype.itemsize)
        dtype = np.dtype(_TYPES[code]).newbyteorder(header.dtype["dim"].base.byteorder)
        array = read_voxels([file], dtype, shape[::-1], path.name)
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if np.isfinite([slope, intercept]).all() and slope != 0:
        array = rescaled(array, slope, intercept)
    matrix, notice = _ijk_to_ras(header, shape, path.name)
    metadata = {"path": str(path)} | ({"notice": notice} if notice else {})
    return place(array, matrix, path.name, metadata, resample=resample, keep_shear=keep_shear)


def _header(file: Any, path: Path) -> Any:
    """Return the header in the byte order of the file."""
    start = file.read(4)
    for layout, magic in ((_NIFTI1, b"n+1"), (_NIFTI2, b"n+2")):
        for typed in (layout.newbyteorder("<"), layout.newbyteorder(">")):
            if np.frombuffer(start.ljust(4, b"\0"), typed["sizeof_hdr"])[0] == layout.itemsize:
                header = np.frombuffer(start + file.read(layout.itemsize - 4), typed)[0]
                if header["magic"].startswith(magic):
                    return header
                raise InputError(
                    f"{path.name} is an Analyze file or half of a pair (.hdr and .img), which does not say which side is "
                    "left. Convert it to one NIfTI file from the original scan."
                )
    raise InputError(f"{path} is damaged or is not a NIfTI file, despite its name. Copy or export it again.")


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
        matrix = np.vstack([header["srow"].astype(float), (0, 0, 0, 1)])
        notice = _disagreement(matrix, header, sizes, shape)
    elif header["qform_code"] > 0:
        if not (sizes > 0).all():
            raise InputError(
                f"{name} states voxel sizes of {' x '.join(f'{s:g}' for s in sizes)} mm, but its only position "
                "is its qform, which needs positive voxel sizes. Correct its header or export it again."
            )
        if np.sum(header["quatern"].astype(float) ** 2) > 1.001:
            raise InputError(f"{name}: the quaternion of its qform is not a rotation. Export it again.")
        matrix = _qform(header, sizes)
    else:  # as nibabel: radiological storage, centred
        matrix = np.diag([*(sizes * [-1, 1, 1]), 1.0])
        matrix[:3, 3] = -matrix[:3, :3] @ (np.array(shape) - 1) / 2
        notice = _UNKNOWN_POSITION
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
    """Return the matrix of the quaternion (nifti1.h, method 2)."""
    b, c, d = vector = header["quatern"].astype(float)
    rest = 1.0 - vector @ vector
    if rest < 1e-7:  # a half turn, but for the rounding of the file; as the reference implementation
        b, c, d = vector / np.sqrt(vector @ vector)
        rest = 0.0
    a = np.sqrt(rest)
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * sizes * [1, 1, -1 if header["pixdim"][0] < 0 else 1]
    matrix[:3, 3] = header["qoffset"]
    return matrix


def write(volume: Volume, path: Path) -> None:
    """Write a NIfTI-1 file whose sform is the exact grid; a qform stands beside it where the axes are at right angles.

    Parameters
    ----------
    volume : Volume
        The image.
    path : Path
        ``.nii``, or compressed ``.nii.gz``.
    """
    kind = {"b": "u1", "f": "f8" if volume.array.dtype.itemsize > 4 else "f4"}.get(volume.array.dtype.kind)
    array = volume.array.astype(kind or volume.array.dtype.newbyteorder("<"), copy=False)
    grid = volume.geometry
    header: Any = np.zeros((), _NIFTI1.newbyteorder("<"))
    header["sizeof_hdr"], header["magic"], header["vox_offset"] = _NIFTI1.itemsize, b"n+1", _NIFTI1.itemsize + 4
    header["dim"] = [3, *grid.size, 1, 1, 1, 1]
    header["datatype"] = next(code for code, name in _TYPES.items() if np.dtype(name) == array.dtype)
    header["bitpix"], header["xyzt_units"], header["scl_slope"] = 8 * array.dtype.itemsize, 2, 1
    header["pixdim"] = [1, *grid.spacing, 0, 0, 0, 0]
    header["sform_code"], header["srow"] = 1, grid.ijk_to_ras[:3]
    if shear_degrees(grid) < 0.01:
        from scipy.spatial.transform import Rotation

        rotation = np.asarray(grid.direction)
        if np.linalg.det(rotation) < 0:
            header["pixdim"][0], rotation = -1, rotation * [1, 1, -1]
        x, y, z, w = Rotation.from_matrix(rotation).as_quat()
        header["qform_code"], header["qoffset"] = 1, grid.origin
        header["quatern"] = np.array([x, y, z]) * (1 if w >= 0 else -1)
    content = header.tobytes() + bytes(4), np.ascontiguousarray(array).data
    with path.open("wb") as file:
        if path.name.lower().endswith(".gz"):
            with gzip.GzipFile("", "wb", _COMPRESSION, file, mtime=0) as packed:
                for part in content:
                    packed.write(part)
        else:
            for part in content:
                file.write(part)

"""MetaImage files: .mha, or .mhd headers with detached data (https://itk.org/Wiki/MetaIO/Documentation).

The files are read here because ITK returns damaged compressed data as an image with undefined voxels, takes positions that
are no numbers for 0, and overlooks units, intensity scales, missing voxel sizes and data files outside the header's folder.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np

from oncotrack.errors import InputError
from oncotrack.images.grid import check_sizes, place
from oncotrack.images.volume import Volume, lps_to_ras
from oncotrack.images.voxel_data import damage_refused, data_files, decompressed, read_voxels, rescaled

_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}  # fmt: skip
_MM = {"mm": 1.0, "cm": 10.0, "um": 1e-3, "?": 1.0, "": 1.0}
_LONGEST_LINE = 2**20


def read(path: Path, *, resample: bool = False, keep_shear: bool = False) -> Volume:
    """Read a MetaImage file.

    Parameters
    ----------
    path : Path
        ``.mha``, or ``.mhd`` with data files in the same folder.
    resample : bool
        Resample a sheared image to a straight grid instead of refusing it.
    keep_shear : bool
        Return it as it is instead.

    Raises
    ------
    InputError
        A damaged file, a picture, several volumes, several values per voxel, an impossible or sheared grid, data files
        in another folder.
    """
    name = path.name
    with damage_refused(path), path.open("rb") as file, ExitStack() as stack:
        fields = _fields(file, path)
        sizes = [int(n) for n in fields["dimsize"].split()]
        if min(sizes, default=0) < 1:
            raise InputError(f"{name} is damaged: its header states sizes {sizes}. Export it again.")
        if (channels := int(fields.get("elementnumberofchannels", 1))) != 1:
            raise InputError(
                f"{name} has {channels} values per voxel (colour or vectors). Open the original greyscale scan instead."
            )
        if len(sizes) < 3:
            raise InputError(
                f"{name} has {len(sizes)} dimensions: it contains a single picture. Open the whole series."
            )
        if (count := int(np.prod(sizes[3:], dtype=np.int64))) > 1:
            raise InputError(
                f"{name} has {len(sizes)} dimensions: it contains {count} volumes (time points, phases or b-values). "
                "OncoTrack reads one three-dimensional scan; split the file first."
            )
        array = _voxels(fields, file, path, sizes[:3], stack)
        matrix = _ijk_to_ras(fields, len(sizes), name)
        scale = [
            float(fields.get(f"elementtointensityfunction{part}", default))
            for part, default in (("slope", 1), ("offset", 0))
        ]
    return place(rescaled(array, *scale), matrix, name, {"path": str(path)}, resample=resample, keep_shear=keep_shear)


def _fields(file: BinaryIO, path: Path) -> dict[str, str]:
    """Return the fields of the header, names in lower case; the file then stands at its first byte of data."""
    fields: dict[str, str] = {}
    while line := file.readline(_LONGEST_LINE).decode("latin-1"):
        key, sign, value = line.partition("=")
        if not sign:
            raise InputError(
                f"{path} is damaged or is not a MetaImage file, despite its name. Copy or export it again."
            )
        fields[key.strip().lower()] = value.strip()
        if key.strip().lower() == "elementdatafile":
            break
    for needed in ("DimSize", "ElementType", "ElementDataFile"):
        if needed.lower() not in fields:
            raise InputError(f'{path} is damaged: its header lacks "{needed}". Copy or export it again.')
    return fields


def _voxels(fields: dict[str, str], file: BinaryIO, path: Path, sizes: list[int], stack: ExitStack) -> np.ndarray:
    """Return the array of the file."""

    def is_true(key: str) -> bool:
        return fields.get(key, "").lower() in ("true", "1")

    kind = _TYPES.get(fields["elementtype"].upper())
    if kind is None:
        raise InputError(
            f"{path.name} holds numbers of the type {fields['elementtype']}, which OncoTrack does not support. "
            "Export it with another type."
        )
    files, where = [file], fields["elementdatafile"]
    if where.upper() != "LOCAL":
        if where.startswith("LIST"):
            where += "\n" + file.read(_LONGEST_LINE).decode("latin-1")
        files = [stack.enter_context(each.open("rb")) for each in data_files(path, where)]
    shape = sizes[::-1]
    if fields.get("binarydata", "").lower() == "false":
        numbers = np.array(files[0].read().split()[: int(np.prod(sizes))], np.float64)
        return numbers.astype(kind if kind[0] in "iu" else np.float32).reshape(shape)
    big = is_true("binarydatabyteordermsb") or is_true("elementbyteordermsb")
    dtype = np.dtype(kind).newbyteorder(">" if big else "<")
    compressed, skip = is_true("compresseddata"), int(fields.get("headersize", 0))
    for each in files:
        if skip == -1 and not compressed:
            each.seek(-int(np.prod(sizes)) * dtype.itemsize // len(files), 2)
        elif skip > 0:
            each.seek(skip)
    streams = [decompressed(each, "zlib" if compressed else "raw") for each in files]
    return read_voxels(streams, dtype, shape, path.name)


def _ijk_to_ras(fields: dict[str, str], dimensions: int, name: str) -> np.ndarray:
    """Return the matrix of the header, which is in LPS."""

    def numbers(*keys: str) -> np.ndarray | None:
        text = next((fields[key] for key in keys if key in fields), None)
        return None if text is None else np.array([float(word) for word in text.split()])

    spacing = numbers("elementspacing", "elementsize")
    if spacing is None:
        raise InputError(f"{name} states no voxel size. Export it again from the original scan.")
    check_sizes(spacing[:3], name)
    unit = fields.get("distanceunits", "").lower()
    if unit not in _MM:
        raise InputError(f'{name} states positions in "{unit}"; only cm, mm and um are supported.')
    axes, origin = numbers("transformmatrix", "rotation", "orientation"), numbers("offset", "position", "origin")
    axes = np.eye(dimensions) if axes is None else axes.reshape(dimensions, dimensions)
    origin = np.zeros(dimensions) if origin is None else origin
    matrix = np.eye(4)
    matrix[:3, :3] = lps_to_ras(axes[:3, :3] * spacing[:3, None] * _MM[unit]).T
    matrix[:3, 3] = lps_to_ras(origin[:3] * _MM[unit])
    return matrix

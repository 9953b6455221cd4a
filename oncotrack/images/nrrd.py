"""NRRD files and NHDR headers with detached data (https://teem.sourceforge.net/nrrd/format.html).

The files are read here because pynrrd drops all characters but ASCII ("µm" becomes "m"), takes key/value pairs for fields and
reads no data in several files, and ITK overlooks units, checksums and data files outside the header's folder.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np

from oncotrack.errors import InputError
from oncotrack.images.grid import check_sizes, place
from oncotrack.images.volume import Volume
from oncotrack.images.voxel_data import damage_refused, data_files, decompressed, read_voxels

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_ENCODINGS = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"} | dict.fromkeys(
    ("txt", "text", "ascii"), "text"
)
_SPACES = {
    "right-anterior-superior": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1),
}
_SHORT = {"ras": "right-anterior-superior", "las": "left-anterior-superior", "lps": "left-posterior-superior"}
_MM = {
    "": 1.0,
    "mm": 1.0,
    "millimeter": 1.0,
    "cm": 10.0,
    "m": 1000.0,
    "um": 1e-3,
    "µm": 1e-3,
    "micron": 1e-3,
    "microns": 1e-3,
}
_LONGEST_LINE = 2**22


def read(path: Path, *, resample: bool = False, keep_shear: bool = False) -> Volume:
    """Read a NRRD file.

    Parameters
    ----------
    path : Path
        ``.nrrd``, or ``.nhdr`` with data files in the same folder.
    resample : bool
        Resample a sheared image to a straight grid instead of refusing it.
    keep_shear : bool
        Return it as it is instead.

    Returns
    -------
    Volume
        ``metadata["notice"]`` says where the file does not state its position in the patient.

    Raises
    ------
    InputError
        A damaged file, a picture, several volumes, several values per voxel, an impossible or sheared grid, data files
        in another folder.
    """
    (volume,), _pairs = _read(path, has_layers=False, resample=resample, keep_shear=keep_shear)
    return volume


def read_layers(path: Path) -> tuple[list[Volume], dict[str, str]]:
    """Read a file with one label map for each value of a voxel, as Slicer writes segments that overlap.

    Parameters
    ----------
    path : Path
        ``.nrrd`` or ``.nhdr``.

    Returns
    -------
    list of Volume, dict of str to str
        The layers, on a sheared grid too, and the key/value pairs of the header.

    Raises
    ------
    InputError
        A damaged file, a picture, an impossible grid, data files in another folder.
    """
    return _read(path, has_layers=True, keep_shear=True)


def _read(
    path: Path, *, has_layers: bool, resample: bool = False, keep_shear: bool = False
) -> tuple[list[Volume], dict[str, str]]:
    """Return the volumes of a file, which is one where layers are not expected, and the pairs of its header."""
    name = path.name
    with damage_refused(path), path.open("rb") as file, ExitStack() as stack:
        fields, pairs = read_fields(file, path)
        sizes = [int(n) for n in fields["sizes"].split()]
        if min(sizes, default=0) < 1:
            raise InputError(f"{name} is damaged: its header states sizes {sizes}. Export it again.")
        axes = _domain_axes(fields, sizes, name)
        others = [axis for axis in range(len(sizes)) if axis not in axes]
        if not has_layers:
            _check_one_volume([sizes[axis] for axis in others], len(sizes), 0 in others, name)
        array = _voxels(fields, file, path, sizes, stack).reshape(sizes[::-1])
        array = array.transpose([len(sizes) - 1 - axis for axis in (*others, *axes[::-1])])
        layers = array.reshape(-1, *array.shape[len(others) :])
        matrix, notice = _ijk_to_ras(fields, axes, name)
    metadata = {"path": str(path)} | ({"notice": notice} if notice else {})
    placed = [place(layer, matrix, name, metadata, resample=resample, keep_shear=keep_shear) for layer in layers]
    return placed, pairs


def check_voxels(path: Path) -> None:
    """Read all numbers of a file of any dimension, for the checksums; other programs take a file that is cut short for whole.

    Parameters
    ----------
    path : Path
        ``.nrrd`` or ``.nhdr``.

    Raises
    ------
    InputError
        The file is damaged, or an encoding or a type that is not supported.
    """
    with damage_refused(path), path.open("rb") as file, ExitStack() as stack:
        fields, _pairs = read_fields(file, path)
        _voxels(fields, file, path, [int(n) for n in fields["sizes"].split()], stack)


def read_fields(file: BinaryIO, path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the fields (names in lower case) and the key/value pairs of a header; the voxels follow in the file.

    Parameters
    ----------
    file : binary file
        At its beginning.
    path : Path
        Its path, for messages.

    Raises
    ------
    InputError
        It is no NRRD file, or its header is incomplete.
    """
    if not file.readline(64).startswith(b"NRRD000"):
        raise InputError(f"{path} is damaged or is not an NRRD file, despite its name. Copy or export it again.")
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    while line := file.readline(_LONGEST_LINE).decode("utf-8", "replace").strip():
        key, _, value = line.partition(":")
        if value.startswith("="):
            pairs[key] = value[1:]
        elif not line.startswith("#"):
            key = key.strip().lower()
            fields[{"datafile": "data file", "byteskip": "byte skip", "lineskip": "line skip"}.get(key, key)] = (
                value.strip()
            )
            if fields.get("data file", "").startswith("LIST"):
                fields["data file"] += "\n" + file.read(_LONGEST_LINE).decode("utf-8", "replace")
                break
    for needed in ("sizes", "type", "encoding"):
        if needed not in fields:
            raise InputError(f'{path} is damaged: its header lacks "{needed}". Copy or export it again.')
    return fields, pairs


def _domain_axes(fields: dict[str, str], sizes: list[int], name: str) -> list[int]:
    """Return the three axes of the file that are directions in space, fastest first."""
    directions, kinds = _vectors(fields.get("space directions", "")), fields.get("kinds", "").lower().split()
    if len(directions) not in (0, len(sizes)) or len(kinds) not in (0, len(sizes)):
        raise InputError(
            f"{name} is damaged: its header states {len(sizes)} sizes, but a different number of axes. Copy or export "
            "it again."
        )
    if directions:
        axes = [axis for axis, vector in enumerate(directions) if vector is not None]
    elif kinds:
        axes = [axis for axis, kind in enumerate(kinds) if kind in ("domain", "space", "???", "none")]
    else:
        axes = list(range(len(sizes)))
    while len(axes) > 3 and sizes[axes[-1]] == 1:
        axes.pop()
    if len(axes) < 3:
        raise InputError(
            f"{name} has {len(axes)} dimensions in space: it contains a single picture. Open the whole series."
        )
    return axes[:3]


def _check_one_volume(others: list[int], dimensions: int, is_first: bool, name: str) -> None:
    """Raise InputError where the sizes of the axes outside space make several volumes; `is_first`: values of a voxel."""
    if (count := int(np.prod(others, dtype=np.int64))) > 1:
        if is_first and others[0] > 1:
            raise InputError(
                f"{name} has {count} values per voxel (colour or vectors). Open the original greyscale scan instead."
            )
        raise InputError(
            f"{name} has {dimensions} dimensions: it contains {count} volumes (time points, phases or b-values). "
            "OncoTrack reads one three-dimensional scan; split the file first."
        )


def _voxels(fields: dict[str, str], file: BinaryIO, path: Path, sizes: list[int], stack: ExitStack) -> np.ndarray:
    """Return all numbers of the file, in its order."""
    encoding = _ENCODINGS.get(fields["encoding"].lower())
    kind = next((kind for kind, names in _TYPES.items() if fields["type"].lower() in names), None)
    if encoding is None or kind is None:
        field = "encoding" if encoding is None else "type"
        raise InputError(
            f'{path.name} has the {field} "{fields[field]}", which OncoTrack does not support. Export it with another.'
        )
    files = [file]
    if "data file" in fields:
        files = [stack.enter_context(each.open("rb")) for each in data_files(path, fields["data file"])]
    lines, skip = int(fields.get("line skip", 0)), int(fields.get("byte skip", 0))
    count = int(np.prod(sizes, dtype=np.int64))
    for each in files:
        for _ in range(lines):
            each.readline()
    if encoding == "text":
        array = np.array(files[0].read().split()[:count], np.float64)
        if len(array) < count:
            raise EOFError
        return array.astype(kind if kind[0] in "iu" else np.float32)
    dtype = np.dtype(kind)
    if dtype.itemsize > 1:
        endian = fields.get("endian", "").lower()
        if endian not in ("little", "big"):
            raise InputError(f'{path} is damaged: its header lacks "endian". Copy or export it again.')
        dtype = dtype.newbyteorder("<" if endian == "little" else ">")
    streams = []
    for each in files:
        stream = decompressed(each, encoding)
        if skip == -1 and encoding == "raw":
            stream.seek(-(count // len(files)) * dtype.itemsize, 2)
        else:
            stream.read(skip)
        streams.append(stream)
    return read_voxels(streams, dtype, [count], path.name)


def _ijk_to_ras(fields: dict[str, str], axes: list[int], name: str) -> tuple[np.ndarray, str]:
    """Return the matrix of the header, and a sentence where it does not state the position in the patient."""
    space = fields.get("space", "").strip('"').lower()
    signs, notice = _SPACES.get(_SHORT.get(space, space)), ""
    if signs is None:
        said = f'only states the space "{space}"' if space else "states no anatomical space"
        notice = (
            f"The file {said}: where it lies in the patient, and which side is left, is unknown; it is shown as if its "
            "axes were left-posterior-superior (LPS)."
        )
    directions = _vectors(fields.get("space directions", ""))
    matrix = np.eye(4)
    if directions:
        units = re.findall(r'"([^"]*)"', fields.get("space units", "")) or [""] * 3
        matrix[:3, :3] = np.array([_three(directions[axis], name) for axis in axes]).T
        matrix[:3, 3] = _three((_vectors(fields.get("space origin", "")) or [[0.0] * 3])[0], name)
        if "space origin" not in fields:
            notice = notice or "The file states no position (space origin): where it lies in the patient is unknown."
    else:
        units = re.findall(r'"([^"]*)"', fields.get("units", "")) or [""] * (max(axes) + 1)
        units = [units[axis] for axis in axes]
        spacings = [float(word) for word in fields.get("spacings", "").split()]
        if len(spacings) <= max(axes):
            raise InputError(f"{name} states no voxel size. Export it again from the original scan.")
        sizes = np.array([spacings[axis] for axis in axes])
        check_sizes(sizes, name)
        matrix[:3, :3] = np.diag(sizes)
    if any(unit.strip().lower() not in _MM for unit in units):
        raise InputError(f"{name} states positions in {', '.join(units)}; only m, cm, mm and µm are supported.")
    scale = np.array([_MM[unit.strip().lower()] for unit in units])
    if directions:
        matrix[:3] *= scale[:, None]
    else:
        matrix[:3, :3] *= scale
    return np.diag([*(signs or (-1, -1, 1)), 1]) @ matrix, notice


def _vectors(text: str) -> list[list[float] | None]:
    """Return the vectors of a field like ``none (1,0,0) (0,1,0) (0,0,1)``; None for an axis outside space."""
    found = [
        None if word == "none" else [float(number) for number in word[1:-1].split(",")]
        for word in re.findall(r"none|\([^)]*\)", text)
    ]
    return [None if vector is not None and np.isnan(vector).all() else vector for vector in found]


def _three(vector: list[float] | None, name: str) -> list[float]:
    if vector is None or len(vector) != 3:
        raise InputError(
            f"{name} is damaged: its header states a position that is not in three dimensions. Copy or export it again."
        )
    return vector

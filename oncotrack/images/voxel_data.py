"""Voxels of image files, read once and completely: too few bytes or a wrong checksum raise InputError."""

from __future__ import annotations

import bz2
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from oncotrack.background.isolation import too_large
from oncotrack.errors import InputError

_BLOCK = 2**22
_PADDING = 512
"""Bytes that may follow the voxels; some programs fill up their last block."""
_GZIP = b"\x1f\x8b"


@contextmanager
def damage_refused(path: Path) -> Iterator[None]:
    """Raise InputError for what the reading of a damaged file raises inside the block.

    Parameters
    ----------
    path : Path
        The file, for the message.

    Raises
    ------
    InputError
        The file is cut short, not compressed as its header says, or its checksum is wrong.
    """
    try:
        with np.errstate(invalid="ignore", over="ignore"):  # of odd headers, which are refused
            yield
    except MemoryError as error:
        raise InputError(too_large(str(path))) from error
    except (EOFError, OSError, ValueError, OverflowError, zlib.error) as error:
        raise InputError(
            f"{path} could not be read: it is damaged, incomplete or not what its name says. Copy or export it again."
        ) from error


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, decompressed where its content is gzip, whatever its name says.

    Parameters
    ----------
    path : Path
        The file.
    """
    with path.open("rb") as file:
        is_gzip = file.read(2) == _GZIP
        file.seek(0)
        yield decompressed(file, "gzip" if is_gzip else "raw")


def decompressed(file: BinaryIO, encoding: str) -> BinaryIO:
    """Return a stream of the bytes that follow in a file.

    Parameters
    ----------
    file : binary file
        At the first byte of the voxels.
    encoding : str
        "raw", "gzip", "zlib" or "bzip2".
    """
    if encoding == "gzip":
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if encoding == "zlib":
        return cast(BinaryIO, io.BufferedReader(_Zlib(file), _BLOCK))
    return cast(BinaryIO, bz2.BZ2File(file)) if encoding == "bzip2" else file


def data_files(header: Path, listed: str) -> list[Path]:
    """Return the data files that a header names; they must lie in its folder or below.

    Parameters
    ----------
    header : Path
        The header.
    listed : str
        A file name; ``LIST`` with a name on each further line; or a C format with first number, last number and step.

    Raises
    ------
    InputError
        A file that is missing or lies elsewhere.
    """
    first, *rest = listed.splitlines() or [""]
    if first.startswith("LIST"):
        names = [line.strip() for line in rest if line.strip()]
    elif (words := first.split()) and "%" in words[0] and len(words) >= 4:
        start, stop, step = map(int, words[1:4])
        names = [words[0] % n for n in range(start, stop + (1 if step > 0 else -1), step)]
    else:
        names = [first]
    folder = header.parent.resolve()
    found = [(folder / name).resolve() for name in names]
    for name, path in zip(names, found, strict=True):
        if folder not in path.parents:
            raise InputError(
                f"{header.name} names a data file outside its own folder ({name}). Put both into one folder."
            )
        if not path.is_file():
            raise InputError(
                f"{header.name} names the data file {name}, which is not there. Copy it into the same folder."
            )
    return found


def read_voxels(streams: Sequence[BinaryIO], dtype: np.dtype, shape: Sequence[int], name: str) -> np.ndarray:
    """Read an array from one stream, or from several that follow each other; to their ends, where checksums are.

    Parameters
    ----------
    streams : sequence of binary files
        At the first byte of their voxels.
    dtype : dtype
        Type and byte order in the file.
    shape : sequence of int
        Shape of the array.
    name : str
        Name in messages.

    Returns
    -------
    ndarray
        In the byte order of this computer; float64 becomes float32.

    Raises
    ------
    InputError
        The file holds fewer or more voxels than its header says.
    """
    array = np.empty([int(np.prod(shape, dtype=object))], dtype)
    content = array.view(np.uint8).data
    share = len(content) // len(streams)  # of each file
    filled = beyond = 0
    for number, stream in enumerate(streams, 1):
        end = number * share if number < len(streams) else len(content)
        while filled < end and (count := stream.readinto(content[filled : min(filled + _BLOCK, end)])):  # type: ignore
            filled += count
        if filled < end:
            raise InputError(
                f"{name} is damaged or incomplete: its header states {len(array)} voxels, but only "
                f"{filled // dtype.itemsize} could be read. Copy or export it again."
            )
        while beyond <= _PADDING and (rest := stream.read(_BLOCK)):  # to the end, where checksums are
            beyond += len(rest)
    if beyond > _PADDING:
        raise InputError(
            f"{name} is damaged: its header states {len(array)} voxels, but it holds more. Copy or export it again."
        )
    return native(array).reshape(shape)


def native(array: np.ndarray) -> np.ndarray:
    """Return an array in the byte order of this computer; float64 as float32.

    Parameters
    ----------
    array : ndarray
        Numbers of any type.
    """
    with np.errstate(over="ignore"):  # a number beyond float32 becomes infinite, which is refused
        dtype = np.dtype(np.float32) if array.dtype.kind == "f" else array.dtype.newbyteorder("=")
        return array.astype(dtype, copy=False)


def rescaled(array: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Return ``slope * array + intercept`` as float32; the array itself where that changes nothing.

    Parameters
    ----------
    array : ndarray
        Stored numbers.
    slope, intercept : float
        The scale of the file.
    """
    if slope == 1 and intercept == 0:
        return array
    exact = array.dtype.itemsize > 2 and array.dtype.kind in "iu"
    scaled = array.astype(np.float64 if exact else np.float32)
    with np.errstate(invalid="ignore", over="ignore"):  # numbers that are not finite are refused
        scaled *= slope
        scaled += intercept
    return native(scaled)


class _Zlib(io.RawIOBase):
    """The bytes of a zlib stream; EOFError where it is cut short."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._inflate = file, zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._file.read(2**18)
            data = self._inflate.decompress(packed, len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)
            if not packed:
                raise EOFError
        return 0

"""Values of one image: decoding, and the slope and intercept of that very image."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import UID, CTImageStorage

from oncotrack.background.arrays import Stored
from oncotrack.errors import InputError
from oncotrack.images.dicom.elements import Short, skip_items
from oncotrack.images.dicom.frames import Frame
from oncotrack.images.dicom.headers import BIG_ENDIAN, BIG_ENDIAN_PIXELS, DEFLATED, integer, numbers
from oncotrack.images.volume import itk_warnings_off

_COPIED = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"


class _Damaged(Exception):
    """The pixels of an image cannot be decoded; the message says why."""


class PixelReader:
    """Reads images one after another; what they share is prepared once."""

    def __init__(self) -> None:
        self._parsed: tuple[Path, bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="oncotrack-")

    def read(self, frame: Frame, room: np.ndarray) -> Stored:
        """Return an image as it is stored, with its own slope and intercept.

        Parameters
        ----------
        frame : Frame
            The image.
        room : (N,) uint8 ndarray
            Where the stored values may lie, from its beginning; at least 4 bytes for each pixel.

        Raises
        ------
        InputError
            The pixels are damaged; the slice is named.
        """
        try:
            return Stored(self._stored(frame, room), *rescale(frame))
        except Exception as error:  # a decoder raises whatever it likes on damaged bytes
            why = str(error) if isinstance(error, _Damaged) else "it cannot be decoded"
            raise InputError(
                f"{frame.file.path.parent}: the slice {frame.name} is damaged or incomplete ({why}). Fetch the series "
                "again."
            ) from error

    def _stored(self, frame: Frame, room: np.ndarray) -> np.ndarray:
        """Return the stored values, (H, W) integers."""
        file = frame.file
        allocated = integer(frame.header, "BitsAllocated", 16)
        whole_bytes = allocated in (8, 16, 32)
        if file.damage:
            raise _Damaged(file.damage)
        if file.offset >= 0 and file.length >= 0 and whole_bytes:
            return _plain(frame, allocated, room)
        if file.offset >= 0 and file.length < 0 and frame.index < 0:
            with file.path.open("rb") as opened:
                opened.seek(file.offset)
                items = opened.read()
            try:
                end = skip_items(items, 0, True)
            except Short:
                raise _Damaged("its end is missing") from None
            return self._decoded(frame, items[:end])  # GDCM takes memory for whatever follows
        pixels = self._pixels(file.path)
        if file.syntax in (BIG_ENDIAN, DEFLATED) and whole_bytes:
            return _integers(frame, _part(frame, pixels), allocated, ">" if file.syntax == BIG_ENDIAN else "<")
        if not UID(file.syntax).is_encapsulated:
            return self._decoded(frame, _part(frame, pixels))
        image = get_frame(pixels, max(frame.index, 0), number_of_frames=_count(frame))
        return self._decoded(frame, encapsulate([image]) + _SEQUENCE_END)

    def _pixels(self, path: Path) -> bytes:
        """Return the pixel data of a file that only pydicom can parse; the last one is kept for its other frames."""
        if self._parsed is None or self._parsed[0] != path:
            self._parsed = path, dcmread(path, force=True).PixelData
        return self._parsed[1]

    def _decoded(self, frame: Frame, pixels: bytes) -> np.ndarray:
        """Decode values with GDCM, from a file without slope, intercept and inversion."""
        about = [integer(frame.header, keyword) for keyword in _COPIED]
        path = Path(self._folder.name) / "image.dcm"
        path.write_bytes(_start(frame.file.syntax, *about, _size(frame)) + pixels)
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(path))
        with itk_warnings_off():
            values = sitk.GetArrayFromImage(reader.Execute())
        if values.size != frame.size[0] * frame.size[1]:
            raise _Damaged("its pixel data is too short")
        return values.reshape(frame.size)


@lru_cache(maxsize=16)
def _start(syntax: str, *about: int) -> bytes:
    """Return the bytes of a file of one greyscale image, up to its pixels; `about` are its sizes and bits."""
    plain = Dataset()
    plain.file_meta = FileMetaDataset()
    plain.file_meta.TransferSyntaxUID = UID(syntax)
    plain.SOPClassUID = plain.file_meta.MediaStorageSOPClassUID = CTImageStorage
    plain.SOPInstanceUID = plain.file_meta.MediaStorageSOPInstanceUID = UID("2.25.1")
    for keyword, value in zip(_COPIED, about[:-1], strict=True):
        setattr(plain, keyword, value)
    plain.SamplesPerPixel, plain.PhotometricInterpretation = 1, "MONOCHROME2"
    plain.RescaleIntercept, plain.RescaleSlope = "0", "1"
    buffer = BytesIO()
    plain.save_as(buffer, enforce_file_format=True)
    if plain.file_meta.TransferSyntaxUID.is_encapsulated:
        return buffer.getvalue() + b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
    return buffer.getvalue() + b"\xe0\x7f\x10\x00OW\0\0" + about[-1].to_bytes(4, "little")


def _count(frame: Frame) -> int:
    return max(integer(frame.file.header, "NumberOfFrames", 1), 1)


def _size(frame: Frame) -> int:
    """Return the bytes of an uncompressed image."""
    return frame.size[0] * frame.size[1] * integer(frame.header, "BitsAllocated", 16) // 8


def _part(frame: Frame, pixels: bytes) -> bytes:
    """Return the bytes of one frame of uncompressed pixels."""
    start = max(frame.index, 0) * _size(frame)
    return pixels[start : start + _size(frame)]


def rescale(frame: Frame) -> tuple[float, float]:
    """Return slope and intercept; 1 and 0 where they are missing, 1 for a slope of 0, which has no meaning.

    Parameters
    ----------
    frame : Frame
        The image.
    """
    slope, intercept = numbers(frame.header, "RescaleSlope"), numbers(frame.header, "RescaleIntercept")
    return (slope[0] if slope and slope[0] else 1.0), (intercept[0] if intercept else 0.0)


def _plain(frame: Frame, allocated: int, room: np.ndarray) -> np.ndarray:
    """Read uncompressed values from their place in the file into `room`."""
    start = max(frame.index, 0) * _size(frame)
    if start + _size(frame) > frame.file.length:
        raise _Damaged("its pixel data is too short")
    with frame.file.path.open("rb", buffering=0) as file:
        file.seek(frame.file.offset + start)
        order = ">" if frame.file.syntax == BIG_ENDIAN_PIXELS else "<"
        count = file.readinto(room[: _size(frame)].data) or 0
        return _integers(frame, room[:count], allocated, order)


def _integers(frame: Frame, raw: bytes | np.ndarray, allocated: int, order: str) -> np.ndarray:
    """Return the values of bytes; bits beyond those that are stored (overlays) are cut off."""
    rows, columns = frame.size
    if len(raw) < rows * columns * allocated // 8:
        raise _Damaged("its end is missing")
    signed = integer(frame.header, "PixelRepresentation") == 1
    values = np.frombuffer(raw, f"{order}{'i' if signed else 'u'}{allocated // 8}").reshape(rows, columns)
    stored = integer(frame.header, "BitsStored", allocated)
    high = integer(frame.header, "HighBit", stored - 1)
    if 0 < stored < allocated and stored - 1 <= high < allocated:
        # shifting up and down again also extends the sign of signed values
        values = (values << (allocated - 1 - high)) >> (allocated - stored)
    return values

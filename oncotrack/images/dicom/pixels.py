"""Values of one image: decoding, and the slope and intercept of that very image."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from oncotrack.errors import InputError
from oncotrack.images.dicom.frames import Frame
from oncotrack.images.dicom.headers import BIG_ENDIAN, DEFLATED, integer, numbers
from oncotrack.images.volume import itk_warnings_off

if TYPE_CHECKING:
    import pydicom

_COPIED = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
_CT = "1.2.840.10008.5.1.4.1.1.2"


class _Damaged(Exception):
    """The pixels of an image cannot be decoded; the message says why."""


class PixelReader:
    """Reads images one after another; a compressed multi-frame file is parsed once for all its frames."""

    def __init__(self) -> None:
        self._parsed: tuple[Path, pydicom.Dataset] | None = None

    def read_into(self, frame: Frame, out: np.ndarray) -> None:
        """Write the values of an image, rescaled by its own slope and intercept, into an array.

        Parameters
        ----------
        frame : Frame
            The image.
        out : (H, W) float32 ndarray
            Where to write them.

        Raises
        ------
        InputError
            The pixels are damaged; the slice is named.
        """
        try:
            stored = self._stored(frame)
        except Exception as error:  # a decoder raises whatever it likes on damaged bytes
            why = str(error) if isinstance(error, _Damaged) else "it cannot be decoded"
            raise InputError(
                f"{frame.file.path.parent}: the slice {frame.name} is damaged or incomplete ({why}). Fetch the series "
                "again."
            ) from error
        slope, intercept = rescale(frame)
        if slope == 1 and intercept.is_integer():
            np.add(stored, np.float32(intercept), out=out, casting="unsafe", dtype=np.float32)
        else:
            np.add(np.multiply(stored, slope, dtype=np.float64), intercept, out=out, casting="unsafe")

    def _stored(self, frame: Frame) -> np.ndarray:
        """Return the stored values, (H, W) integers."""
        file = frame.file
        allocated = integer(frame.header, "BitsAllocated", 16)
        if file.damage:
            raise _Damaged(file.damage)
        if file.offset >= 0 and file.length >= 0 and allocated in (8, 16, 32):
            return _plain(frame, allocated)
        if self._parsed is None or self._parsed[0] != file.path:
            import pydicom

            self._parsed = file.path, pydicom.dcmread(file.path, force=True)
        pixels = self._parsed[1].PixelData
        if file.syntax in (BIG_ENDIAN, DEFLATED) and allocated in (8, 16, 32):
            count = frame.size[0] * frame.size[1] * allocated // 8
            start = max(frame.index, 0) * count
            return _integers(frame, pixels[start : start + count], allocated, ">" if file.syntax == BIG_ENDIAN else "<")
        return _decoded(frame, pixels)


def rescale(frame: Frame) -> tuple[float, float]:
    """Return slope and intercept; 1 and 0 where they are missing, 1 for a slope of 0, which has no meaning.

    Parameters
    ----------
    frame : Frame
        The image.
    """
    slope, intercept = numbers(frame.header, "RescaleSlope"), numbers(frame.header, "RescaleIntercept")
    return (slope[0] if slope and slope[0] else 1.0), (intercept[0] if intercept else 0.0)


def _plain(frame: Frame, allocated: int) -> np.ndarray:
    """Read uncompressed values from their place in the file."""
    count = frame.size[0] * frame.size[1] * allocated // 8
    start = max(frame.index, 0) * count
    if start + count > frame.file.length:
        raise _Damaged("it has too few pixels")
    with frame.file.path.open("rb", buffering=0) as file:
        file.seek(frame.file.offset + start)
        return _integers(frame, file.read(count) or b"", allocated, "<")


def _integers(frame: Frame, raw: bytes, allocated: int, order: str) -> np.ndarray:
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


def _decoded(frame: Frame, pixels: bytes) -> np.ndarray:
    """Decode compressed values with GDCM, from a file without slope, intercept and inversion."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate, get_frame
    from pydicom.uid import UID

    plain = Dataset()
    plain.file_meta = FileMetaDataset()
    plain.file_meta.TransferSyntaxUID = UID(frame.file.syntax)
    plain.SOPClassUID = plain.file_meta.MediaStorageSOPClassUID = UID(_CT)
    plain.SOPInstanceUID = plain.file_meta.MediaStorageSOPInstanceUID = UID("2.25.1")
    for keyword in _COPIED:
        setattr(plain, keyword, integer(frame.header, keyword))
    plain.SamplesPerPixel, plain.PhotometricInterpretation = 1, "MONOCHROME2"
    plain.RescaleIntercept, plain.RescaleSlope = "0", "1"
    count = integer(frame.file.header, "NumberOfFrames", 1)
    if plain.file_meta.TransferSyntaxUID.is_encapsulated:
        plain.PixelData = encapsulate([get_frame(pixels, max(frame.index, 0), number_of_frames=count)])
        plain["PixelData"].is_undefined_length = True
    else:
        size = len(pixels) // count
        start = max(frame.index, 0) * size
        plain.PixelData = pixels[start : start + size]
    plain["PixelData"].VR = "OW"
    with tempfile.TemporaryDirectory(prefix="oncotrack-") as folder, itk_warnings_off():
        path = Path(folder) / "image.dcm"
        plain.save_as(path, enforce_file_format=True)
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(path))
        values = sitk.GetArrayFromImage(reader.Execute()).reshape(-1)
    if values.size != frame.size[0] * frame.size[1]:
        raise _Damaged("it has too few pixels")
    return values.reshape(frame.size)

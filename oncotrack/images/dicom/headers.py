"""Headers of DICOM files: the few elements that sorting and reading need, and where the pixels lie.

A study folder has thousands of files. The usual encodings (little endian, implicit or explicit) are walked here element
by element without decoding; every other file, and every file that looks odd, is parsed by pydicom.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from pydicom.datadict import tag_for_keyword

from oncotrack.images.dicom.elements import REPRESENTATIONS, Odd, Short, walk

Header = dict[str, bytes]
"""Values by keyword, as the text that the file has; numbers are text too."""

_KEYWORDS = (
    *("SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "StudyDate", "SeriesDate"),
    *("AcquisitionDate", "ContentDate", "AcquisitionDateTime", "StudyTime", "SeriesTime", "AcquisitionTime"),
    *("ContentTime", "Modality", "SeriesDescription", "PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("ContrastBolusAgent", "SequenceName", "SliceThickness", "KVP", "SpacingBetweenSlices", "EchoTime"),
    *("EchoNumbers", "TriggerTime", "ConvolutionKernel", "DiffusionBValue"),
    *("StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "AcquisitionNumber", "InstanceNumber"),
    *("ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID", "TemporalPositionIdentifier"),
    *("SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "PixelSpacing"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "RescaleIntercept", "RescaleSlope"),
    *("RescaleType", "Units", "GantryDetectorTilt", "NumberOfSlices"),
    *("ModalityLUTSequence", "FrameReferenceTime", "ActualFrameDuration", "SharedFunctionalGroupsSequence"),
)
_WANTED: dict[int, str] = {tag: keyword for keyword in _KEYWORDS if (tag := tag_for_keyword(keyword)) is not None}
_SHORT, _DOUBLE = struct.Struct("<H"), struct.Struct("<d")
_BINARY = {
    **dict.fromkeys(("SamplesPerPixel", "Rows", "Columns", "PixelRepresentation"), _SHORT),
    **dict.fromkeys(("BitsAllocated", "BitsStored", "HighBit", "NumberOfSlices"), _SHORT),
    "DiffusionBValue": _DOUBLE,
}
_FIRST_ELEMENTS = (b"\x00\x00", b"\x05\x00", b"\x08\x00", b"\x16\x00", b"\x18\x00")
_META = {0x00020002: "SOPClassUID", 0x00020010: "TransferSyntaxUID"}
_SUFFIXES = (".dcm", ".dicom", ".ima")
_FIRST_READ = 32768
_IMPLICIT_SYNTAX, _EXPLICIT_SYNTAX = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
BIG_ENDIAN_PIXELS = "1.2.840.113619.5.2"  # private of GE: everything but the pixels is little endian
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"


@dataclass(frozen=True, slots=True, eq=False)
class DicomFile:
    """A file with its header.

    Parameters
    ----------
    path : Path
        The file.
    header : Header
        Its elements.
    syntax : str
        UID of the transfer syntax.
    offset, length : int
        Where the pixel data lies in the file; offset -1 where only pydicom finds it, length -1 for compressed pixels.
    damage : str
        What is wrong with the file ("it is empty"), or "".
    """

    path: Path
    header: Header
    syntax: str = ""
    offset: int = -1
    length: int = 0
    damage: str = ""


def read_header(path: Path, memo: dict[bytes, bytes]) -> DicomFile | None:
    """Read the header of a file; None when it is no DICOM.

    Parameters
    ----------
    path : Path
        The file.
    memo : dict
        Shares equal values between the headers of a study.
    """
    try:
        with path.open("rb", buffering=0) as file:
            data = file.read(_FIRST_READ) or b""
            size = file.seek(0, 2)
            if not data:
                return DicomFile(path, {}, damage="it is empty (0 bytes)")
            marked = data[128:132] == b"DICM"
            if not marked and not _may_lack_preamble(data):
                return _stranger(path, data)
            start = 132 if marked else 0
            try:
                found = _walk_file(path, data, start)
                if found.damage and size > len(data):
                    file.seek(0)
                    found = _walk_file(path, file.read(), start)
            except Odd:
                return _parse(path, marked)
    except OSError as error:
        return DicomFile(path, {}, damage=f"it cannot be read ({error.strerror or error})")
    if not found.header.keys() & {"SOPClassUID", "Modality"}:
        return DicomFile(path, {}, damage=found.damage or _INCOMPLETE) if marked else None
    for keyword, value in found.header.items():
        if keyword in _BINARY:
            value = str(_BINARY[keyword].unpack_from(value.ljust(8, b"\0"))[0]).encode()
        found.header[keyword] = memo.setdefault(value, value)
    damage = found.damage or _pixel_damage(found, size)
    return replace(found, damage=damage) if damage else found


_CUT, _INCOMPLETE = "it is cut short", "its header is incomplete"


def _stranger(path: Path, data: bytes) -> DicomFile | None:
    """Return a file that should be DICOM by its name or size, as damaged; None for any other one."""
    if not any(data):
        return DicomFile(path, {}, damage="it holds nothing but zeros")
    return DicomFile(path, {}, damage="it is not a DICOM file") if path.suffix.lower() in _SUFFIXES else None


def _pixel_damage(file: DicomFile, size: int) -> str:
    """Return what is wrong with the pixels of an image, as far as their length tells; "" when nothing is."""
    header = file.header
    if "Rows" not in header:
        return ""
    if file.offset + file.length > size:
        return _CUT
    if not file.length:
        return "it has no pixel data"
    pixels = integer(header, "Rows") * integer(header, "Columns") * max(integer(header, "NumberOfFrames", 1), 1)
    bits = pixels * integer(header, "SamplesPerPixel", 1) * integer(header, "BitsAllocated")
    sampled = b"YBR" in header.get("PhotometricInterpretation", b"")
    return "its pixel data is too short" if 0 < file.length < bits // 8 and not sampled else ""


def _may_lack_preamble(data: bytes) -> bool:
    """Return whether a file without signature may start with an element of group 2 or 8."""
    explicit = data[:2] in (b"\x02\x00", b"\x08\x00", b"\x00\x08") and data[4:6].isalpha()
    return explicit or (data[:2] == b"\x08\x00" and data[2:4] in _FIRST_ELEMENTS)


def _walk_file(path: Path, data: bytes, start: int) -> DicomFile:
    """Walk the file meta information and the data set; what was found before a premature end is kept."""
    meta: Header = {}
    header: Header = {}
    offset = length = 0
    explicit, damage = True, ""
    try:
        if data[start : start + 2] == b"\x02\x00":
            start, _ = walk(data, start, True, _META, meta, 0x0002FFFF)
        if data[start : start + 2] == b"\x00\x08" or text(meta, "TransferSyntaxUID") in (BIG_ENDIAN, DEFLATED):
            raise Odd
        explicit = data[start + 4 : start + 6] in REPRESENTATIONS
        offset, length = walk(data, start, explicit, _WANTED, header)
    except Short:
        damage = _CUT
    if "SOPClassUID" in meta:
        header.setdefault("SOPClassUID", meta["SOPClassUID"])
    syntax = text(meta, "TransferSyntaxUID") or (_EXPLICIT_SYNTAX if explicit else _IMPLICIT_SYNTAX)
    return DicomFile(path, header, syntax, offset, length, damage)


def _parse(path: Path, marked: bool) -> DicomFile | None:
    """Read a header with pydicom, which decodes every legal file; None when it is no DICOM after all."""
    import pydicom

    try:
        data = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(_WANTED))
        header = {keyword: _encoded(data, tag, keyword) for tag, keyword in _WANTED.items() if tag in data}
        sop_class = data.file_meta.get("MediaStorageSOPClassUID")
        if sop_class:
            header.setdefault("SOPClassUID", str(sop_class).encode())
        implicit, little = data.original_encoding
        unnamed = BIG_ENDIAN if little is False else _IMPLICIT_SYNTAX if implicit else _EXPLICIT_SYNTAX
        syntax = str(data.file_meta.get("TransferSyntaxUID") or unnamed)
    except Exception:
        return DicomFile(path, {}, damage=_INCOMPLETE) if marked else None
    if header.keys() & {"SOPClassUID", "Modality"}:
        return DicomFile(path, header, syntax)
    return DicomFile(path, {}, damage=_INCOMPLETE) if marked else None


def _encoded(data, tag: int, keyword: str) -> bytes:
    """Return a value as text."""
    if keyword.endswith("Sequence"):
        return b"present"
    if keyword in _BINARY:
        return str(data[tag].value).encode()
    raw = data.get_item(tag).value
    if isinstance(raw, bytes):
        return raw
    return "\\".join(map(str, raw if isinstance(raw, (list, tuple)) else [raw])).encode()


def text(header: Header, keyword: str) -> str:
    """Return a value as text, "" when it is missing.

    Parameters
    ----------
    header : Header
        The header.
    keyword : str
        DICOM keyword.
    """
    return _decode(header.get(keyword, b""), header.get("SpecificCharacterSet", b""))


def numbers(header: Header, keyword: str) -> tuple[float, ...]:
    """Return the numbers of a value; none when it is missing or no number.

    Parameters
    ----------
    header : Header
        The header.
    keyword : str
        DICOM keyword.
    """
    return _numbers(header.get(keyword, b""))


def integer(header: Header, keyword: str, default: int = 0) -> int:
    """Return a whole number.

    Parameters
    ----------
    header : Header
        The header.
    keyword : str
        DICOM keyword.
    default : int
        Returned when the value is missing or no number.
    """
    values = numbers(header, keyword)
    return int(values[0]) if values else default


@lru_cache(maxsize=65536)
def _numbers(raw: bytes) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in raw.decode("ascii").strip("\0 ").split("\\"))
    except ValueError:
        return ()
    return values if all(abs(value) < float("inf") for value in values) else ()


@lru_cache(maxsize=4096)
def _decode(raw: bytes, charset: bytes) -> str:
    if not raw:
        return ""
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii").strip("\0 ")
    from pydicom.charset import convert_encodings, decode_bytes

    try:
        encodings = convert_encodings(charset.decode("ascii", "replace").strip("\0 ").split("\\"))
        return decode_bytes(raw, encodings, {0x5C, 0x0D, 0x0A, 0x09, 0x0C, 0x3D, 0x5E}).strip("\0 ")
    except Exception:
        return raw.decode("latin-1").strip("\0 ")

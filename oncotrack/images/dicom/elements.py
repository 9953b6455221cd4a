"""The elements of a DICOM data set in its usual encodings, little endian, without decoding their values."""

from __future__ import annotations

import struct

PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG_FORM = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_SHORT_FORM = {
    *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT"),
    *(b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
}
_IMPLICIT, _LENGTH = struct.Struct("<HHL"), struct.Struct("<L")
REPRESENTATIONS = _SHORT_FORM | _LONG_FORM
"""Codes of the value representations."""


class Odd(Exception):
    """The bytes are not what the short way of reading expects."""


class Short(Exception):
    """The bytes end inside an element."""


def walk(
    data: bytes, position: int, explicit: bool, wanted: dict[int, str], header: dict[str, bytes], last: int = PIXELS[-1]
) -> tuple[int, int]:
    """Collect wanted elements; return the start of the pixels and their length, or of the first element after `last`.

    Parameters
    ----------
    data : bytes
        The bytes of a file, or its beginning.
    position : int
        Where the data set starts.
    explicit : bool
        Whether the elements give their value representation.
    wanted : dict of int to str
        Keywords by tag.
    header : dict of str to bytes
        Receives the values by keyword.
    last : int
        The last tag to look at.

    Returns
    -------
    (int, int)
        Position and length in bytes; the length is -1 for compressed pixels.

    Raises
    ------
    Odd
        The elements are not in order, or a value representation is unknown.
    Short
        The bytes end inside an element.
    """
    end, before, kind = len(data), 0, b""
    while position < end:
        if position + 8 > end:
            raise Short
        group, element, length = _IMPLICIT.unpack_from(data, position)
        tag = group << 16 | element
        if tag > last:
            return position, 0
        if tag <= before:
            raise Odd
        position += 8
        if explicit:
            kind = data[position - 4 : position - 2]
            if kind in _LONG_FORM:
                if position + 4 > end:
                    raise Short
                (length,) = _LENGTH.unpack_from(data, position)
                position += 4
            elif kind in _SHORT_FORM:
                length >>= 16
            else:
                raise Odd
        before = tag
        if tag in PIXELS:
            if tag != PIXELS[-1]:
                header["FloatPixelData"] = b"present"
            return position, -1 if length == _UNDEFINED else length
        keyword = wanted.get(tag)
        if length == _UNDEFINED:
            position = skip_items(data, position, explicit and kind != b"UN")
            if keyword:
                header[keyword] = b"present"
            continue
        position += length
        if position > end:
            raise Short
        if keyword:
            header[keyword] = data[position - length : position]
    return end, 0


def skip_items(data: bytes, position: int, explicit: bool) -> int:
    """Return the position after a sequence, or compressed pixels, of undefined length.

    Parameters
    ----------
    data : bytes
        The bytes of a file.
    position : int
        Where the first item starts.
    explicit : bool
        Whether the items give the value representation of their elements.

    Raises
    ------
    Short
        The bytes end inside.
    """
    while True:
        if position + 8 > len(data):
            raise Short
        group, element, length = _IMPLICIT.unpack_from(data, position)
        tag = group << 16 | element
        position += 8
        if tag == _SEQUENCE_END:
            return position
        if tag != _ITEM:
            raise Odd
        position = position + length if length != _UNDEFINED else _skip_item(data, position, explicit)


def _skip_item(data: bytes, position: int, explicit: bool) -> int:
    """Return the position after an item of undefined length."""
    while True:
        if position + 8 > len(data):
            raise Short
        group, element, length = _IMPLICIT.unpack_from(data, position)
        if group << 16 | element == _ITEM_END:
            return position + 8
        kind = data[position + 4 : position + 6]
        if explicit:
            if kind in _LONG_FORM:
                if position + 12 > len(data):
                    raise Short
                (length,) = _LENGTH.unpack_from(data, position + 8)
                position += 4
            elif kind in _SHORT_FORM:
                length = int.from_bytes(data[position + 6 : position + 8], "little")
            else:
                raise Odd
        position += 8
        if length == _UNDEFINED:
            position = skip_items(data, position, explicit and kind != b"UN")
        else:
            position += length

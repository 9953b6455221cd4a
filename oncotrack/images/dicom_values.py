"""Numbers, times and private tags of DICOM headers; a header is a pydicom data set, or anything with its ``get``."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from oncotrack.errors import InputError

_FULL_TIME = re.compile(r"(\d{10,14})(\.\d*)?([+-]\d{4})?")


def number(header: Any, tag: str) -> float | None:
    """Return the number of a tag; None where it is missing, empty or no number.

    Parameters
    ----------
    header : pydicom data set
        The header.
    tag : str
        Its keyword.
    """
    try:
        return float(header.get(tag))
    except (TypeError, ValueError):
        return None


def moment(date: object, time: object) -> datetime:
    """Return the time of a DICOM date (DA) and time (TM).

    Parameters
    ----------
    date : str
        YYYYMMDD, or YYYY.MM.DD of old files.
    time : str
        HHMMSS.FFFFFF, or only its beginning (HHMM, HH), or HH:MM:SS of old files.

    Raises
    ------
    InputError
        They are no date and time.
    """
    day = str(date).strip().replace(".", "")
    clock, _, fraction = str(time).strip().replace(":", "").partition(".")
    try:
        if len(clock) not in (2, 4, 6):
            raise ValueError
        start = datetime.strptime(day + clock.ljust(6, "0"), "%Y%m%d%H%M%S")
        return start + timedelta(seconds=float(f"0.{fraction or 0}"))
    except ValueError as error:
        raise InputError(
            f'"{date}" and "{time}" are not a valid DICOM date and time. Correct the header or export the series again.'
        ) from error


def full_time(text: str, header: Any) -> datetime:
    """Return a DICOM date and time (DT) in the time zone of a header's other times.

    Parameters
    ----------
    text : str
        YYYYMMDDHHMMSS.FFFFFF+ZZZZ, or only its beginning, to the hour at least.
    header : pydicom data set
        Its TimezoneOffsetFromUTC is that of its other times; where it states none, they are in that of `text`.

    Raises
    ------
    InputError
        The text is no such time.
    """
    found = _FULL_TIME.fullmatch(str(text).strip())
    if not found:
        raise InputError(f'"{text}" is not a valid DICOM date and time. Correct the header or export the series again.')
    digits, fraction, zone = found.groups()
    stated = moment(digits[:8], digits[8:] + (fraction or ""))
    local = str(header.get("TimezoneOffsetFromUTC") or "").strip()
    return stated - _offset(zone) + _offset(local) if zone and re.fullmatch(r"[+-]\d{4}", local) else stated


def _offset(zone: str) -> timedelta:
    size = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5]))
    return -size if zone[0] == "-" else size


def private_text(header: Any, group: int, creator: str, element: int) -> str:
    """Return the text of a private tag, or "".

    Parameters
    ----------
    header : pydicom data set
        The header.
    group : int
        The tag's group.
    creator : str
        Who reserved the block of tags; where no creator is stated at all the first block is read.
    element : int
        The tag's number within the block.
    """
    creators = {block: _text(header.get((group, block))) for block in range(0x10, 0x100)}
    block = next((block for block, text in creators.items() if text.lower() == creator.lower()), None)
    if block is None and not any(creators.values()):
        block = 0x10
    return "" if block is None else _text(header.get((group, block << 8 | element)))


def _text(element: Any) -> str:
    value = getattr(element, "value", element)
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    return "" if value is None else str(value).strip(" \0")

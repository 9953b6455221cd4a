"""Dates of scans as DICOM writes them (YYYYMMDD): read, shown, and never trusted."""

from __future__ import annotations

from datetime import date, datetime


def parse_day(text: str) -> date | None:
    """Return the date of a scan; None when it is missing or no day of the calendar.

    Parameters
    ----------
    text : str
        YYYYMMDD; dots and hyphens between its parts are accepted.
    """
    digits = text.strip().replace(".", "").replace("-", "")
    try:
        return datetime.strptime(digits, "%Y%m%d").date() if len(digits) == 8 else None
    except ValueError:
        return None


def day_text(text: str) -> str:
    """Return a date as the reader sees it: "2025-03-01", "invalid date 20251341", or "" when it is missing.

    Parameters
    ----------
    text : str
        See `parse_day`.
    """
    day = parse_day(text)
    return day.isoformat() if day else f"invalid date {text.strip()}" if text.strip() else ""


def days_between(earlier: str, later: str) -> int | None:
    """Return the days from one scan to another; None where a date is missing or no day of the calendar.

    Parameters
    ----------
    earlier, later : str
        See `parse_day`.
    """
    start, end = parse_day(earlier), parse_day(later)
    return (end - start).days if start and end else None

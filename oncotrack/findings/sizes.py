"""Sizes as text: the length of an axis, and the size class of a lymph node in RECIST 1.1 (E. Eisenhauer et al., 2009)."""

from __future__ import annotations

from oncotrack.findings.finding import Axis

ENLARGED_MM, MEASURABLE_MM = 10.0, 15.0


def size_word(short_mm: float) -> str:
    """Return the size class of a lymph node: "measurable" (15 mm or more), "enlarged" (10 mm or more) or "".

    Parameters
    ----------
    short_mm : float
        Length of its short axis.
    """
    return "measurable" if short_mm >= MEASURABLE_MM else "enlarged" if short_mm >= ENLARGED_MM else ""


def length_text(axis: Axis | None) -> str:
    """Return an axis' length in mm with one decimal; "" without an axis.

    Parameters
    ----------
    axis : Axis, optional
        A diameter.
    """
    return f"{axis.length_mm:.1f}" if axis else ""

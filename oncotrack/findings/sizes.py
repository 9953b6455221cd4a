"""Sizes of findings in words: long x short axis, change, and the size class of a lymph node in RECIST 1.1 (E. Eisenhauer et al., 2009)."""

from __future__ import annotations

from oncotrack.findings.finding import Axis, Observation

ENLARGED_MM, MEASURABLE_MM = 10.0, 15.0
NOT_MEASURED = "not measured"
"""Size class of a node of which only slice boxes are known."""


def size_word(short_mm: float) -> str:
    """Return the size class of a lymph node: "measurable" (15 mm or more), "enlarged" (10 mm or more) or "".

    Parameters
    ----------
    short_mm : float
        Length of its measured short axis.
    """
    return "measurable" if short_mm >= MEASURABLE_MM else "enlarged" if short_mm >= ENLARGED_MM else ""


def size_class(observation: Observation) -> str:
    """Return `size_word` of a node's short axis, or `NOT_MEASURED` where the axes are the sides of a box or missing.

    Parameters
    ----------
    observation : Observation
        The node at one time point.
    """
    if not observation.is_measured or observation.short_axis is None:
        return NOT_MEASURED
    return size_word(observation.short_axis.length_mm)


def mm_text(*lengths_mm: float) -> str:
    """Return lengths as they are written everywhere: "12.0 mm", "12.0 mm x 8.1 mm".

    Parameters
    ----------
    *lengths_mm : float
        One length, or long and short axis.
    """
    return " x ".join(f"{length:.1f} mm" for length in lengths_mm)


def signed_text(value: float, unit: str) -> str:
    """Return a change as it is written everywhere: always with its sign, one decimal and the unit, "-3.2 mm", "+12.5 %".

    Parameters
    ----------
    value : float
        The change.
    unit : str
        "mm", "%" and so on; "" for a number alone, as in tables whose heading names the unit.
    """
    return f"{round(value, 1) + 0.0:+.1f} {unit}".rstrip()


def length_text(axis: Axis | None) -> str:
    """Return an axis' length in mm with one decimal; "" without an axis.

    Parameters
    ----------
    axis : Axis, optional
        A diameter.
    """
    return f"{axis.length_mm:.1f}" if axis else ""


def axes_text(observation: Observation) -> str:
    """Return long x short axis, "14.6 mm x 8.2 mm"; "box 14.6 mm x 8.2 mm" for the sides of a box; "" without axes.

    Parameters
    ----------
    observation : Observation
        The finding at one time point.
    """
    lengths = [axis.length_mm for axis in (observation.long_axis, observation.short_axis) if axis]
    return f"{'box ' * observation.has_box_axes}{mm_text(*lengths)}" if lengths else ""


def volume_text(observation: Observation) -> str:
    """Return the volume of the mask, "2.3 ml"; "" without one.

    Parameters
    ----------
    observation : Observation
        The finding at one time point.
    """
    volume = observation.volume_mm3
    return "" if volume is None else f"{volume / 1000:.{1 if volume >= 1000 else 2}f} ml"


def change_text(before: Observation | None, after: Observation | None, days: int | None = None) -> str:
    """Return the change of the measured sizes: "long -3.2 mm (-21.9 %), volume -1.20 ml (-40.0 %)".

    Parameters
    ----------
    before, after : Observation or None
        The finding at an earlier and at a later time point.
    days : int, optional
        Between the two; added as "in 56 days".

    Returns
    -------
    str
        Without what was not measured at both, or, of volumes, in 3D at one of them only; "" where nothing was, or the finding is absent at one of them.
    """
    if before is None or after is None or not (before.is_there and after.is_there):
        return ""
    changes = []
    if not (before.has_box_axes or after.has_box_axes):
        pairs = (before.long_axis, after.long_axis), (before.short_axis, after.short_axis)
        for name, (old, new) in zip(("long", "short"), pairs, strict=True):
            if old and new and old.length_mm > 0:
                by = new.length_mm - old.length_mm
                changes.append(f"{name} {signed_text(by, 'mm')} ({signed_text(100 * by / old.length_mm, '%')})")
    if before.mask and after.mask and before.mask.is_in_one_slice is not after.mask.is_in_one_slice:
        changes.append("volumes are not compared: one mask is in a single slice")
    elif before.volume_mm3 and after.volume_mm3:
        by = after.volume_mm3 - before.volume_mm3
        millilitres = f"{by / 1000:+.{1 if abs(by) >= 1000 else 2}f} ml"
        changes.append(f"volume {millilitres} ({signed_text(100 * by / before.volume_mm3, '%')})")
    return ", ".join(changes) + (f" in {days} days" if changes and days is not None else "")

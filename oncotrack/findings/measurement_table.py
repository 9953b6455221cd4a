"""The table of measurements: one row each, for files and reports."""

from __future__ import annotations

from collections.abc import Sequence

from oncotrack.findings.csv_text import csv_text
from oncotrack.findings.finding import TimePoint
from oncotrack.findings.measurement import Measurement, Tool

HEADING = ("Label", "Tool", "Scan", "length or long diameter (mm)", "short diameter (mm)", "angle (degrees)", "area (mm2)",
           "mean", "SD", "minimum", "maximum", "unit", "voxels", "points (R A S, mm)")  # fmt: skip


def rows(measurements: Sequence[Measurement], time_points: Sequence[TimePoint]) -> list[list[str]]:
    """Return one row of text per measurement, in the order of `HEADING`; "" where something is not measured.

    Parameters
    ----------
    measurements : sequence of Measurement
        The measurements.
    time_points : sequence of TimePoint
        The scans, which give their labels.
    """
    labels = {time_point.id: time_point.label for time_point in time_points}
    return [_row(each, labels.get(each.time_point, "")) for each in measurements]


def to_csv(measurements: Sequence[Measurement], time_points: Sequence[TimePoint]) -> str:
    """Return heading and rows as comma-separated text (RFC 4180).

    Parameters
    ----------
    measurements, time_points
        As for `rows`.
    """
    return csv_text([HEADING, *rows(measurements, time_points)])


def _row(measurement: Measurement, scan: str) -> list[str]:
    lengths = measurement.lengths_mm
    if measurement.tool in (Tool.BIDIRECTIONAL, Tool.ELLIPSE):
        lengths = tuple(axis.length_mm for axis in measurement.axes)
    seen = measurement.statistics
    values = (
        (f"{seen.mean:.4g}", f"{seen.sd:.4g}", f"{seen.lowest:.6g}", f"{seen.highest:.6g}", seen.unit, str(seen.voxels))
        if seen
        else ("",) * 6
    )
    return [
        measurement.label,
        measurement.tool.value,
        scan,
        *(f"{length:.1f}" for length in lengths),
        *("" for _ in range(2 - len(lengths))),
        _number(measurement.angle_degrees),
        _number(measurement.area_mm2),
        *values,
        "; ".join(" ".join(f"{value:.1f}" for value in each) for each in measurement.points_ras),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"

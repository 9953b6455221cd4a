"""Pictures of a lesion at every visit, at one scale, with its diameters drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oncotrack.findings.finding import Axis, Finding, Observation, State, TimePoint
from oncotrack.findings.visit_table import cell, headings
from oncotrack.images.volume import Volume
from oncotrack.report.page import BACKGROUND, choose_window, draw_slice

LONG, SHORT = "#ffd24d", "#6cc7ff"
"""Colours of the long and of the short axis."""
_LEAST_HALF_MM, _AROUND = 25.0, 1.6
_ACROSS = 5


def picture_of(finding: Finding, time_points: Sequence[TimePoint], volumes: Sequence[Volume]) -> Any:
    """Draw a lesion at every visit where it was looked for; None where there is none.

    Parameters
    ----------
    finding : Finding
        The lesion.
    time_points : sequence of TimePoint
        The visits.
    volumes : sequence of Volume
        Their scans.

    Returns
    -------
    matplotlib Figure or None
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heads = headings(time_points)
    shown = [
        (head, volume, seen)
        for head, point, volume in zip(heads, time_points, volumes, strict=True)
        if (seen := finding.at(point.id)) is not None and volume.geometry.contains(seen.centre)
    ]
    if not shown:
        return None
    half = max(_LEAST_HALF_MM, *(_AROUND * _longest(seen) for _head, _volume, seen in shown))
    across = min(len(shown), _ACROSS)
    down = -(-len(shown) // across)
    figure = Figure(figsize=(2.8 * across, 3.1 * down), facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    grid = figure.subplots(down, across, squeeze=False).ravel()
    for axes, (head, volume, seen) in zip(grid, shown, strict=False):
        centre = _middle(seen)
        draw_slice(axes, volume, centre, choose_window(volume, centre), _title(head, seen), half)
        if seen.state not in (State.ABSENT, State.REJECTED, State.NOT_FOUND):
            for axis, colour in ((seen.long_axis, LONG), (seen.short_axis, SHORT)):
                if axis is not None:
                    _draw_axis(axes, axis, centre, colour)
    for axes in grid[len(shown) :]:
        axes.axis("off")
    figure.subplots_adjust(0.01, 0.01, 0.99, 1 - 0.7 / (3.1 * down), wspace=0.03, hspace=0.3)
    return figure


def origin_text(finding: Finding, time_points: Sequence[TimePoint]) -> str:
    """Return who or what measured a lesion at each visit, in which window, and when: its provenance.

    Parameters
    ----------
    finding : Finding
        The lesion.
    time_points : sequence of TimePoint
        The visits.
    """
    parts = []
    for point in time_points:
        if (seen := finding.at(point.id)) is None:
            continue
        by = ", ".join(filter(None, (seen.provenance.method, seen.provenance.reader)))
        edited = " (edited by hand)" if seen.state is State.EDITED else ""
        window = ", W {:.0f} L {:.0f}".format(*seen.provenance.window) if seen.provenance.window else ""
        parts.append(f"{point.label}: {by or 'unknown'}{edited}{window}, {seen.provenance.when[:10]}")
    return "; ".join(parts)


def _title(head: str, seen: Observation) -> str:
    """Return visit, sizes and state, one line each, so that neighbours do not touch."""
    return "\n".join((head, *cell(seen).rsplit(", ", 1)))


def _middle(seen: Observation) -> tuple[float, float, float]:
    if seen.long_axis is None:
        return seen.centre
    r, a, s = (np.add(seen.long_axis.start, seen.long_axis.end) / 2).tolist()
    return r, a, s


def _longest(seen: Observation) -> float:
    return seen.long_axis.length_mm / 2 if seen.long_axis else seen.radius_mm or 0.0


def _draw_axis(axes: Any, axis: Axis, centre: Sequence[float], colour: str) -> None:
    """Draw a diameter as it is seen from the feet; one that leaves the slice is dashed."""
    ends = np.array([axis.start, axis.end]) - np.asarray(centre)
    style = "-" if np.ptp(ends[:, 2]) < 1.0 else "--"
    axes.plot(ends[:, 0], ends[:, 1], style, color="black", linewidth=2.6)
    axes.plot(ends[:, 0], ends[:, 1], style, color=colour, linewidth=1.3)

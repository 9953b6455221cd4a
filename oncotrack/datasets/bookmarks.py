"""Simulated bookmarks of a reader: two diameters on each slice that shows a node well (MR, sec. 1 and 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oncotrack.images.volume import Volume
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.recist import measure_masks


@dataclass(frozen=True)
class Bookmark:
    """The RECIST axes of node `number` on slice `index` (k) of the scan."""

    index: int
    number: int
    axes: RecistAxes


def bookmarks(labels: Volume, least_mm: float) -> list[Bookmark]:
    """Return the axes that a careful reader would draw, on every slice where the short axis reaches `least_mm`.

    Parameters
    ----------
    labels : Volume of int
        Node numbers, 0 elsewhere; axes are measured slice by slice, along k.
    least_mm : float
        Least short axis.
    """
    columns, rows, _ = labels.geometry.size
    found = []
    for k in np.flatnonzero(labels.array.any(axis=(1, 2))).tolist():
        for number, measurement in measure_masks(labels.cropped((0, 0, k), (columns, rows, k + 1))).items():
            if measurement.short_axis.length_mm >= least_mm:
                found.append(Bookmark(k, number, RecistAxes.of(measurement.long_axis, measurement.short_axis)))
    return found

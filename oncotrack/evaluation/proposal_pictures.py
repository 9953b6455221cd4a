"""One picture of the best proposals in real scans: three planes through each, for a reader who judges what they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oncotrack.atomic import replacing
from oncotrack.background.jobs import Progress, silent
from oncotrack.detection.detector import NodeDetector
from oncotrack.detection.shown import SHOWN_AT_MOST
from oncotrack.errors import MissingPackageError
from oncotrack.findings.finding import Box, Finding
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

_HALF_MM, _STEP_MM = 35.0, 0.7
_WINDOW_HU = -160.0, 240.0
_PLANES = (("axial", 0, 1), ("coronal", 0, 2), ("sagittal", 1, 2))


def draw_proposals(
    file: Path, detector: NodeDetector, scans: Sequence[Volume], progress: Progress = silent
) -> dict[str, Any]:
    """Draw the best proposals of each scan, in three planes side by side, with their boxes.

    Parameters
    ----------
    file : Path
        The picture, PNG.
    detector : NodeDetector
        Whose proposals are drawn.
    scans : sequence of Volume
        CTs as they are.
    progress : callable
        Receives the completed fraction (0 to 1) and a message.

    Returns
    -------
    dict
        ``proposals``: number of proposals of each scan; ``drawn``: label, position and probability or score of each that
        is drawn, by scan.

    Raises
    ------
    MissingPackageError
        Matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPackageError("Pictures need matplotlib. Install oncotrack[cli].") from error
    found = {}
    for n, scan in enumerate(scans):
        found[scan.name] = detector.detect(scan, lambda f, text, n=n: progress((n + f) / len(scans), text))
    columns = 3 * len(scans)
    figure = Figure(figsize=(1.5 * columns, 1.6 * SHOWN_AT_MOST))
    axes = figure.subplots(SHOWN_AT_MOST, columns, squeeze=False)
    for each in axes.flat:
        each.axis("off")
    for n, scan in enumerate(scans):
        for row, finding in enumerate(found[scan.name][:SHOWN_AT_MOST]):
            _draw(axes[row, 3 * n : 3 * n + 3], scan, finding)
    figure.tight_layout(pad=0.3)
    with replacing(file) as part:
        figure.savefig(part, dpi=80, format="png", facecolor="white")
    return {
        "proposals": {name: len(each) for name, each in found.items()},
        "drawn": {name: [_entry(finding) for finding in each[:SHOWN_AT_MOST]] for name, each in found.items()},
    }


def _draw(axes: np.ndarray, scan: Volume, finding: Finding) -> None:
    (seen,) = finding.observations.values()
    box = seen.box or Box(seen.centre, seen.centre)
    count = round(2 * _HALF_MM / _STEP_MM) + 1
    for axis, (_plane, across, up) in zip(axes, _PLANES, strict=True):
        size, low = [1, 1, 1], np.array(seen.centre)
        size[across] = size[up] = count
        low[[across, up]] -= _HALF_MM
        grid = Geometry.from_values(size, (_STEP_MM,) * 3, low)
        picture = scan.resampled(grid, fill=-1000.0).array.squeeze()  # ascending: up the picture, and to R or A
        extent = (low[across], low[across] + 2 * _HALF_MM, low[up], low[up] + 2 * _HALF_MM)
        axis.imshow(picture, cmap="gray", vmin=_WINDOW_HU[0], vmax=_WINDOW_HU[1], origin="lower", extent=extent)
        x, y = ([box.low[each], box.high[each]] for each in (across, up))
        axis.plot([x[0], x[1], x[1], x[0], x[0]], [y[0], y[0], y[1], y[1], y[0]], color="yellow", linewidth=0.7)
        if across == 0:
            axis.invert_xaxis()  # the patient's right on the left
    axes[0].set_title(
        f"{finding.label} {seen.confidence or 0:.2f} {finding.region_text}", fontsize=7, loc="left", pad=1
    )


def _entry(finding: Finding) -> dict[str, Any]:
    (seen,) = finding.observations.values()
    return {
        "label": finding.label,
        "position_ras": list(seen.centre),
        "confidence": seen.confidence,
        "region": finding.region_text,
    }

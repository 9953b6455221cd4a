"""A sheet of ten matches of a tracker: the best, the median and the worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oncotrack.atomic import replacing
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.images.windows import LUNG, SOFT_TISSUE
from oncotrack.report.page import labels_as_written

_HALF_MM = 45.0
_STEP_MM = 0.75
_LUNG_BELOW_HU = -600.0


@dataclass(frozen=True, eq=False)
class MatchPicture:
    """Axial images (HU) around the clicked position and around the match.

    `truth_mm` and `estimate_mm` are the offsets of the true position and of the registration estimate from the match,
    along R, A, S. `radii_mm` are the lesion's radii at both visits, None where it is absent. `distance` is the matching
    error, mm.
    """

    title: str
    before: np.ndarray
    after: np.ndarray
    truth_mm: np.ndarray
    estimate_mm: np.ndarray
    radii_mm: tuple[float | None, float | None]
    distance: float


def axial_image(scan: Volume, centre: Sequence[float]) -> np.ndarray:
    """Return the axial image of 9 cm around a RAS position, (N, N) HU; rows run to anterior, columns to the left."""
    steps = round(_HALF_MM / _STEP_MM)
    origin = tuple(np.add(centre, (_HALF_MM, -_HALF_MM, 0.0)).tolist())
    grid = Geometry((2 * steps + 1, 2 * steps + 1, 1), (_STEP_MM, _STEP_MM, 1.0), origin,
                    ((-1, 0, 0), (0, 1, 0), (0, 0, 1)))  # fmt: skip
    return scan.resampled(grid, fill=-1024.0).array[0].astype(np.float32)


def choose(pictures: Sequence[MatchPicture]) -> list[MatchPicture]:
    """Return the three best, the four median and the three worst matches; all if there are at most ten."""
    ranked = sorted(pictures, key=lambda picture: picture.distance)
    if len(ranked) <= 10:
        return ranked
    median = len(ranked) // 2
    return [*ranked[:3], *ranked[median - 2 : median + 2], *ranked[-3:]]


@labels_as_written()
def write_sheet(pictures: Sequence[MatchPicture], path: Path) -> Path:
    """Draw the matches that `choose` returns.

    Above the click; below the match (cross), the truth (ring) and the registration estimate (dot).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = choose(pictures)
    figure = Figure(figsize=(1.7 * len(shown), 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    for column, picture in enumerate(shown):
        low, high = (LUNG if np.median(picture.before) < _LUNG_BELOW_HU else SOFT_TISSUE).range
        for row, image in enumerate((picture.before, picture.after)):
            axes = figure.add_subplot(2, len(shown), row * len(shown) + column + 1)
            extent = (_HALF_MM, -_HALF_MM, -_HALF_MM, _HALF_MM)
            axes.imshow(image, cmap="gray", vmin=low, vmax=high, origin="lower", extent=extent)
            (_mark_click if row == 0 else _mark_match)(axes, picture)
            axes.set_axis_off()
        figure.axes[2 * column].set_title(f"{picture.title}\n{picture.distance:.1f} mm", fontsize=7)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    return path


def _mark_click(axes, picture: MatchPicture) -> None:
    """Draw the lesion's ring around the click."""
    _ring(axes, (0.0, 0.0), picture.radii_mm[0] or 0.0, "-")


def _mark_match(axes, picture: MatchPicture) -> None:
    """Draw match, truth and registration estimate; the ring is dotted where the true centre is beyond the slice."""
    right, anterior, superior = picture.truth_mm.tolist()
    radius = picture.radii_mm[1] or 0.0
    _ring(axes, (right, anterior), radius, ":" if abs(superior) > radius else "-")
    axes.plot(0, 0, "+", color="#ffcc00", markersize=9)
    axes.plot(*picture.estimate_mm[:2], ".", color="#66aaff", markersize=4)


def _ring(axes, centre: tuple[float, float], radius: float, style: str) -> None:
    """Draw a green circle; mm."""
    from matplotlib.patches import Circle

    axes.add_patch(Circle(centre, radius, fill=False, color="#44dd66", linewidth=0.9, linestyle=style))

"""Ten matches of a tracker to look at: the best, those in the middle, the worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oncotrack.atomic import replacing
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

_HALF_MM = 45.0
_STEP_MM = 0.75
_WINDOWS = {"lung": (-1100.0, 300.0), "soft tissue": (-160.0, 240.0)}


@dataclass(frozen=True, eq=False)
class Sight:
    """Axial planes (HU) through the clicked place and through the match, and where in them things lie.

    `truth_mm` and `expected_mm` are offsets from the match along R, A, S.
    """

    title: str
    before: np.ndarray
    after: np.ndarray
    truth_mm: np.ndarray
    expected_mm: np.ndarray
    radii_mm: tuple[float, float]
    distance: float


def plane(scan: Volume, place: Sequence[float]) -> np.ndarray:
    """(N, N) HU of an axial plane of 9 cm about a RAS place; rows run to the front, columns to the left."""
    steps = round(_HALF_MM / _STEP_MM)
    origin = np.add(place, (_HALF_MM, -_HALF_MM, 0.0))
    grid = Geometry((2 * steps + 1, 2 * steps + 1, 1), (_STEP_MM, _STEP_MM, 1.0), tuple(origin),
                    ((-1, 0, 0), (0, 1, 0), (0, 0, 1)))  # fmt: skip
    return scan.resampled(grid, fill=-1024.0).array[0].astype(np.float32)


def chosen(sights: Sequence[Sight]) -> list[Sight]:
    """Three best, four in the middle, three worst by distance; all when they are ten or fewer."""
    ranked = sorted(sights, key=lambda sight: sight.distance)
    if len(ranked) <= 10:
        return ranked
    middle = len(ranked) // 2
    return [*ranked[:3], *ranked[middle - 2 : middle + 2], *ranked[-3:]]


def write_sheet(sights: Sequence[Sight], path: Path) -> Path:
    """Draw `chosen` matches: the click above, the match (cross), the truth (ring) and the expected place (dot) below."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = chosen(sights)
    figure = Figure(figsize=(1.7 * len(shown), 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    for column, sight in enumerate(shown):
        window = _WINDOWS["lung" if np.median(sight.before) < -600 else "soft tissue"]
        for row, (image, radius) in enumerate(zip((sight.before, sight.after), sight.radii_mm, strict=True)):
            axes = figure.add_subplot(2, len(shown), row * len(shown) + column + 1)
            extent = (_HALF_MM, -_HALF_MM, -_HALF_MM, _HALF_MM)
            axes.imshow(image, cmap="gray", vmin=window[0], vmax=window[1], origin="lower", extent=extent)
            _mark(axes, sight, row, radius)
            axes.set_axis_off()
        figure.axes[2 * column].set_title(f"{sight.title}\n{sight.distance:.1f} mm", fontsize=7)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    return path


def _mark(axes, sight: Sight, row: int, radius: float) -> None:
    from matplotlib.patches import Circle

    if row == 0:
        axes.add_patch(Circle((0, 0), radius, fill=False, color="#44dd66", linewidth=0.9))
        return
    away = abs(sight.truth_mm[2]) > radius
    axes.add_patch(
        Circle(sight.truth_mm[:2], radius, fill=False, color="#44dd66", linewidth=0.9, linestyle=":" if away else "-")
    )
    axes.plot(0, 0, "+", color="#ffcc00", markersize=9)
    axes.plot(*sight.expected_mm[:2], ".", color="#66aaff", markersize=4)

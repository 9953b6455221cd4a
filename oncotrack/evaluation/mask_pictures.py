"""A sheet of pictures to look at: every lesion with its axes and the outline of its mask."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from oncotrack.atomic import replacing
from oncotrack.masks.batch import MaskResult
from oncotrack.masks.diameters import outlines
from oncotrack.masks.plane import Region

_COLUMNS = 6
_INCHES = 2.4


def write_sheet(path: str | Path, made: Sequence[MaskResult]) -> Path:
    """Draw every mask that was made over its image: axes dashed, outline whole; CT from -160 to 240 HU.

    Lesions darker than -300 HU round about (lung) are shown from -1150 to 350 HU, those brighter than 250 HU inside
    (bone) from -300 to 1300 HU.
    """
    from matplotlib.figure import Figure

    shown = [each for each in made if each.image is not None]
    rows = -(-len(shown) // _COLUMNS)
    figure = Figure((_COLUMNS * _INCHES, max(rows, 1) * (_INCHES + 0.25)), layout="constrained")
    for n, each in enumerate(shown, 1):
        axis = figure.add_subplot(rows, _COLUMNS, n)
        axis.set_axis_off()
        _draw(axis, each)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)
    return Path(path)


def _draw(axis, made: MaskResult) -> None:
    region = Region.of(made.axes, made.image.geometry)
    values = region.sample(made.image)
    low, high = np.percentile(values, [1, 99])
    mask = made.mask.resampled(region.grid, fill=0, nearest=True).array[0] > 0
    if made.image.is_ct:
        low, high = (-1150, 350) if np.percentile(values, 25) < -300 else (-160, 240)
        low, high = (-300, 1300) if np.median(values[mask]) > 250 else (low, high)
    axis.imshow(values, cmap="gray", vmin=low, vmax=high, interpolation="bilinear")
    for line in outlines(mask):
        axis.plot(*line.T, color="#ffd21f", linewidth=1.2)
    for ends in np.split(region.to_pixels(made.axes.ends), 2):
        axis.plot(*ends.T, color="#35c9ff", linewidth=0.8, linestyle="--")
    lengths = f"{made.axes.long.length_mm:.0f} x {made.axes.short.length_mm:.0f} mm"
    axis.set_title(f"{made.label}\n{lengths}", fontsize=6)

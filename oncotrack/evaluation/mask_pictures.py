"""A sheet of pictures, each showing a lesion with its axes and the outline of its mask."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from oncotrack.atomic import replacing
from oncotrack.images.windows import BONE, LUNG, SOFT_TISSUE
from oncotrack.masks.batch import MaskResult
from oncotrack.masks.diameters import outlines
from oncotrack.masks.plane import Region
from oncotrack.report.page import labels_as_written

_COLUMNS = 6
_INCHES = 2.4
_LUNG_BELOW_HU, _BONE_ABOVE_HU = -300.0, 250.0


@labels_as_written()
def write_sheet(path: str | Path, results: Sequence[MaskResult]) -> Path:
    """Draw every mask over its image: dashed axes, solid outline.

    CT is shown in the soft-tissue window, lesions surrounded by lung (-300 HU and below) in the lung window, lesions
    with a median above 250 HU in the bone window; other images from their 1st to their 99th percentile.
    """
    from matplotlib.figure import Figure

    shown = [each for each in results if each.image is not None]
    rows = -(-len(shown) // _COLUMNS)
    figure = Figure((_COLUMNS * _INCHES, max(rows, 1) * (_INCHES + 0.25)), layout="constrained")
    for n, each in enumerate(shown, 1):
        plot = figure.add_subplot(rows, _COLUMNS, n)
        plot.set_axis_off()
        _draw(plot, each)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110)
    return Path(path)


def _draw(plot, result: MaskResult) -> None:
    """Draw one mask into a matplotlib plot; a result without a mask is left out."""
    image, axes, mask = result.image, result.axes, result.mask
    if image is None or axes is None or mask is None:
        return
    region = Region.of(axes, image.geometry)
    values = region.sample(image)
    low, high = np.percentile(values, [1, 99])
    inside = mask.resampled(region.grid, fill=0, nearest=True).array[0] > 0
    if image.is_ct:
        low, high = (LUNG if np.percentile(values, 25) < _LUNG_BELOW_HU else SOFT_TISSUE).range
        low, high = BONE.range if np.median(values[inside]) > _BONE_ABOVE_HU else (low, high)
    plot.imshow(values, cmap="gray", vmin=low, vmax=high, interpolation="bilinear")
    for line in outlines(inside):
        plot.plot(*line.T, color="#ffd21f", linewidth=1.2)
    for ends in np.split(region.to_pixels(axes.ends), 2):
        plot.plot(*ends.T, color="#35c9ff", linewidth=0.8, linestyle="--")
    lengths = f"{axes.long.length_mm:.0f} x {axes.short.length_mm:.0f} mm"
    plot.set_title(f"{result.label}\n{lengths}", fontsize=6)

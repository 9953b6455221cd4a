"""``oncotrack mask``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from oncotrack.cli.output import give, say


def run(image: Path, axes: Path, out: Path | None, json: str | None) -> None:
    """A mask from two diameters, in their slice."""
    from oncotrack.masks.axes_files import read_axes
    from oncotrack.masks.pseudo_mask import pseudo_mask
    from oncotrack.volume import load, save

    drawn, volume = read_axes(axes), load(image)
    mask = pseudo_mask(volume, drawn)
    for sentence in drawn.warnings():
        say(sentence)
    if out is not None:
        whole = mask.resampled(volume.geometry, fill=0, nearest=True)
        say(f"Written: {save(whole, out)}")
    voxels = int(np.count_nonzero(mask.array))
    inside = np.argwhere(mask.array)[:, ::-1]
    box = mask.cropped(inside.min(0), inside.max(0) + 1).geometry.bounds.tolist() if voxels else None
    result = {
        "voxels": voxels,
        "volume_mm3": voxels * float(np.prod(mask.spacing)),
        "box_ras": box,
        "long_axis_mm": drawn.long.length_mm,
        "short_axis_mm": drawn.short.length_mm,
        "warnings": drawn.warnings(),
    }
    lines = {
        "Axes": f"{drawn.long.length_mm:.1f} x {drawn.short.length_mm:.1f} mm",
        "Mask": f"{voxels} voxels, {result['volume_mm3']:.0f} mm3, in the slice of the axes",
    }
    give(result, json, lines)

"""Rasterisation in torch: implicit shapes and tubes painted over one another with partial volume.

Large shapes are smooth, so their signed distances are evaluated on coarse nodes (about 4 mm), in template
coordinates pulled back through the visit's motion, and interpolated to the fine voxels, where the edge is drawn.
Thin objects (vessels, ribs, nodes) are `Beads`: small ellipsoids or slices of cylinders, drawn voxel by voxel.
Slices thicker than `FINEST_MM` and than two pixels are drawn in thinner sub-slices and averaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from oncotrack.networks.threads import map_in_threads, seeds
from oncotrack.phantom.canvas import Canvas
from oncotrack.phantom.layers import Paint, Step
from oncotrack.phantom.placed import Placed, in_visit
from oncotrack.phantom.slab import Slab, plane_voxels

_SLAB_VOXELS = 3_000_000
"""Fine voxels that one thread paints at a time on the CPU."""


def paint_image(
    canvas: Canvas,
    steps: Iterable[Step],
    values: Mapping[str, tuple[float, float]],
    background: float,
    mottle: Tensor,
    *,
    speckle: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Paint all steps in order.

    Parameters
    ----------
    canvas : Canvas
        The grid to paint on.
    steps : iterable of Step
        What to paint; later steps cover earlier ones.
    values : mapping from tissue to (mean, grain)
        Grain is the amplitude of `mottle` in that tissue.
    background : float
        Value where nothing is painted.
    mottle : (d, h, w) Tensor
        A smooth field on the coarse nodes (unit variance).
    speckle : torch.Generator, optional
        Adds voxel-sized texture of the same amplitude.

    Returns
    -------
    image : (D, H, W) float Tensor
    labels : (D, H, W) int16 Tensor
        The label that covers at least half of a voxel's depth; the last step that does so wins.
    """
    image = torch.empty(canvas.geometry.shape, device=canvas.device)
    labels = torch.empty(canvas.geometry.shape, dtype=torch.int16, device=canvas.device)
    runs = _runs(in_visit(steps, canvas))
    slabs = _slabs(canvas)
    noises = seeds(speckle, len(slabs), canvas.device) if speckle is not None else [None] * len(slabs)

    def paint(job: tuple[range, torch.Generator | None]) -> None:
        slices, noise = job
        slab = Slab(canvas, slices, values)
        slab.fill(background, mottle, noise)
        slab.paint(runs)
        slab.write(image, labels)

    map_in_threads(paint, zip(slabs, noises, strict=True), canvas.device)
    return image, labels


def paint_labels(canvas: Canvas, steps: Iterable[Step]) -> Tensor:
    """Return the labels of `paint_image`, (D, H, W) int16, without computing an image."""
    labels = torch.empty(canvas.geometry.shape, dtype=torch.int16, device=canvas.device)
    runs = _runs(in_visit([step for step in steps if step.label], canvas))

    def paint(slices: range) -> None:
        slab = Slab(canvas, slices)
        slab.paint(runs)
        slab.write(None, labels)

    map_in_threads(paint, _slabs(canvas), canvas.device)
    return labels


def _slabs(canvas: Canvas) -> list[range]:
    """Return the fine slices of each slab: whole coarse cells and whole image slices."""
    depth, cell = int(canvas.fine_size[2]), int(canvas.factor[2])
    unit = int(np.lcm(cell, canvas.sub))
    thick = max(unit, _SLAB_VOXELS // plane_voxels(canvas) // unit * unit)
    if canvas.device.type != "cpu":
        thick = -(-depth // unit) * unit
    last = -(-depth // cell) * cell
    return [range(first, min(first + thick, last)) for first in range(0, depth, thick)]


def _runs(steps: Sequence[Placed]) -> list[list[Placed]]:
    """Group consecutive steps of the same kind."""
    runs: list[list[Placed]] = []
    for step in steps:
        if runs and isinstance(runs[-1][0], Paint) == isinstance(step, Paint):
            runs[-1].append(step)
        else:
            runs.append([step])
    return runs

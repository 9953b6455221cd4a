"""The rasteriser: implicit shapes and tubes painted over one another with partial volume, in torch.

Large shapes are smooth, so their signed distances are evaluated on coarse nodes (about 4 mm), in template
coordinates pulled back through the visit's motion, and interpolated to the fine voxels, where the edge is drawn.
Thin things (vessels, ribs, nodes) are `Beads`: small ellipsoids or slices of cylinders, drawn voxel by voxel.
Slices thicker than `FINEST_MM` and than two pixels are drawn in thinner sub-slices and averaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from oncotrack.networks.threads import seeds, side_by_side
from oncotrack.phantom.canvas import Canvas
from oncotrack.phantom.layers import Beads, Lump, Paint, Step


def paint_image(
    canvas: Canvas,
    steps: Iterable[Step],
    values: Mapping[str, tuple[float, float]],
    background: float,
    mottle: Tensor,
    *,
    speckle: torch.Generator | None = None,
    voxels_at_once: int = 3_000_000,
) -> tuple[Tensor, Tensor]:
    """Paint all steps in order.

    Parameters
    ----------
    values : mapping from tissue to (mean, grain)
        Grain is the amplitude of `mottle`, a smooth field on the coarse nodes (unit variance), in that tissue.
    background : value of what nothing paints.
    speckle : adds voxel-sized texture of the same amplitude when given.

    Returns
    -------
    image : (D, H, W) float Tensor
    labels : (D, H, W) int16 Tensor; the label that covers at least half of a voxel's depth, last painter wins.
    """
    steps = list(steps)
    fz, fy, fx = (int(f) for f in canvas.factor[::-1])
    depth, height, width = (int(n) for n in canvas.fine_size[::-1])
    rows = (canvas.place.shape[2] - 1) * fy, (canvas.place.shape[3] - 1) * fx
    device = canvas.device
    sub = canvas.sub
    unit = int(np.lcm(fz, sub))
    slab = max(unit, int(voxels_at_once // (rows[0] * rows[1])) // unit * unit)
    if device.type != "cpu":
        slab = -(-depth // unit) * unit
    inner = max(1, 1_200_000 // (rows[0] * rows[1] * fz)) if device.type == "cpu" else 10**6
    image = torch.empty(canvas.geometry.shape, device=device)
    labels = torch.empty(canvas.geometry.shape, dtype=torch.int16, device=device)
    places = iter(_lump_places([step for step in steps if isinstance(step, Lump)], canvas))
    prepared = [
        _in_visit(step, canvas) if isinstance(step, Beads) else (step, next(places)) if isinstance(step, Lump) else step
        for step in steps
    ]
    edge = float(np.mean(canvas.fine_spacing))
    starts = list(range(0, depth, slab))
    noises = seeds(speckle, len(starts), device) if speckle is not None else [None] * len(starts)

    def paint(job: tuple[int, torch.Generator | None]) -> None:
        z0, noise = job
        z1 = min(z0 + slab, -(-depth // fz) * fz)
        block = torch.full((z1 - z0, *rows), float(background), device=device)
        mask = torch.zeros(((z1 - z0) // sub, *rows), dtype=torch.int16, device=device)
        scratch = torch.zeros(block.shape, device=device)
        grain = scratch.new_empty(block.shape)
        for c0 in range(z0 // fz, -(-z1 // fz), inner):
            c1 = min(c0 + inner, -(-z1 // fz))
            part = _upsampled(mottle[c0 : c1 + 1], canvas.factor)
            if noise is not None:
                part += torch.randn(part.shape, generator=noise, device=device)
            grain[c0 * fz - z0 : c1 * fz - z0] = part
        for run in _runs(prepared):
            if isinstance(run[0], Paint):
                group = -(-inner // (unit // fz)) * (unit // fz)
                for c0 in range(z0 // fz, -(-z1 // fz), group):
                    c1 = min(c0 + group, -(-z1 // fz))
                    for step in run:
                        _paint_layer(block, mask, grain, step, canvas, values, edge, z0, c0, c1)
            else:
                for step in run:
                    if isinstance(step[0], Lump):
                        _paint_lump(block, mask, grain, *step, canvas, values, edge, z0)
                        continue
                    _paint_beads(block, mask, scratch, grain, step, canvas, values, edge, z0)
        n = min(z1, depth) - z0
        image[z0 // sub : (z0 + n) // sub] = block[:n, :height, :width].reshape(n // sub, sub, height, width).mean(1)
        labels[z0 // sub : (z0 + n) // sub] = mask[: n // sub, :height, :width]

    side_by_side(paint, zip(starts, noises, strict=True), device)
    return image, labels


def _runs(steps: list) -> list[list]:
    """Consecutive steps of the same kind."""
    runs: list[list] = []
    for step in steps:
        if runs and isinstance(runs[-1][0], Paint) == isinstance(step, Paint):
            runs[-1].append(step)
        else:
            runs.append([step])
    return runs


def _upsampled(coarse: Tensor, factor: np.ndarray) -> Tensor:
    """Trilinear values between (d, h, w) nodes: ((d-1) fz, (h-1) fy, (w-1) fx)."""
    fx, fy, fz = (int(f) for f in factor)
    a = coarse.new_empty(*coarse.shape[:2], coarse.shape[2] - 1, fx)
    for n in range(fx):
        torch.lerp(coarse[..., :-1], coarse[..., 1:], n / fx, out=a[..., n])
    a = a.flatten(2)
    w = torch.arange(fy, device=coarse.device, dtype=coarse.dtype)[:, None] / fy
    a = torch.lerp(a[:, :-1, None], a[:, 1:, None], w).flatten(1, 2)
    w = torch.arange(fz, device=coarse.device, dtype=coarse.dtype)[:, None, None] / fz
    return torch.lerp(a[:-1, None], a[1:, None], w).flatten(0, 1)


def _paint_layer(
    block, mask, grain, step: Paint, canvas: Canvas, values, edge: float, z0: int, c0: int, c1: int
) -> None:
    az, ay, ax = step.at
    lo, hi = max(c0, az.start), min(c1, az.stop - 1)
    if hi <= lo:
        return
    fz, fy, fx = (int(f) for f in canvas.factor[::-1])
    width = edge + step.soft
    nodes = step.sdf[lo - az.start : hi + 1 - az.start]
    box = (slice(None), slice(0, nodes.shape[1]), slice(0, nodes.shape[2]))
    if canvas.device.type == "cpu":
        box = _touched(nodes, width)
        if box is None:
            return
        ay = slice(ay.start + box[1].start, ay.start + box[1].stop)
        ax = slice(ax.start + box[2].start, ax.start + box[2].stop)
    alpha = _upsampled(nodes[box], canvas.factor)
    if step.sheet is not None:
        sheet = step.sheet[lo - az.start : hi + 1 - az.start][box]
        sheet = _upsampled(sheet, canvas.factor).abs_().sub_(step.thickness / 2)
        alpha = torch.maximum(alpha, sheet, out=alpha)
        width = max(edge, step.thickness)
    alpha.mul_(-1 / width).add_(0.5).clamp_(0, 1)
    here = (
        slice(lo * fz - z0, hi * fz - z0),
        slice(ay.start * fy, (ay.stop - 1) * fy),
        slice(ax.start * fx, (ax.stop - 1) * fx),
    )
    mean, amplitude = values[step.tissue]
    view = block[here]
    if amplitude:
        view.lerp_((grain[here] * amplitude).add_(mean), alpha)
    else:
        view.lerp_(view.new_full((), mean).expand_as(view), alpha)
    if step.label:
        sub = canvas.sub
        start, stop = -(-here[0].start // sub), here[0].stop // sub
        if sub > 1:
            alpha = alpha[start * sub - here[0].start : stop * sub - here[0].start]
            alpha = alpha.view(stop - start, sub, *alpha.shape[1:]).mean(1)
        mask[start:stop, here[1], here[2]].masked_fill_(alpha > 0.5, step.label)


def _touched(nodes: Tensor, width: float) -> tuple[slice, slice, slice] | None:
    """The rows and columns of nodes whose cells the shape may reach; None when it reaches none."""
    flat = nodes.amin(0) < width / 2
    if not flat.any():
        return None
    ranges = []
    for axis in (1, 0):
        found = flat.any(axis).nonzero()
        size = flat.shape[1 - axis]
        start, stop = max(int(found[0]) - 1, 0), min(int(found[-1]) + 2, size)
        ranges.append(slice(min(start, size - 2), max(stop, start + 2)))
    return slice(None), *ranges


def _in_visit(beads: Beads, canvas: Canvas) -> tuple[Beads, Tensor, Tensor, Tensor]:
    """Centres (fine voxel indices), metric matrices (N, 3, 3) index -> radii, half extents (N, 3) in voxels."""
    centres = torch.as_tensor(beads.centres.T, dtype=torch.float32, device=canvas.device)
    moved = canvas.mapping.forward(centres)
    to_index = torch.as_tensor(canvas.fine_geometry.ras_to_ijk, dtype=torch.float32, device=canvas.device)
    index = (to_index[:3, :3] @ moved + to_index[:3, 3:]).T
    frames = torch.as_tensor(beads.frames, dtype=torch.float32, device=canvas.device)
    radii = torch.as_tensor(beads.radii, dtype=torch.float32, device=canvas.device)
    to_ras = torch.as_tensor(canvas.fine_geometry.ijk_to_ras[:3, :3], dtype=torch.float32, device=canvas.device)
    metric = (frames / radii[:, :, None]) @ to_ras
    edge = float(np.mean(canvas.fine_spacing))
    grown = radii + edge / 2
    if beads.cylinder:
        reach = (frames.abs() * grown[:, :, None]).sum(1)
        reach = torch.minimum(reach, grown.square().sum(1, keepdim=True).sqrt())
    else:
        reach = (frames.square() * grown.square()[:, :, None]).sum(1).sqrt()
    half = reach @ to_index[:3, :3].abs().T
    return replace(beads, frames=None), index, metric, half


def _lump_places(lumps: list[Lump], canvas: Canvas) -> np.ndarray:
    """(N, 3) RAS mm of the lumps' centres at this visit."""
    if not lumps:
        return np.zeros((0, 3))
    centres = torch.as_tensor(np.stack([lump.centre for lump in lumps], 1), dtype=torch.float32, device=canvas.device)
    return canvas.mapping.forward(centres).T.cpu().numpy().astype(float)


def _paint_lump(block, mask, grain, lump: Lump, here: np.ndarray, canvas: Canvas, values, edge: float, z0: int) -> None:
    grid = canvas.fine_geometry
    middle = grid.to_ijk(here) - (0, 0, z0)
    half = np.abs(grid.ras_to_ijk[:3, :3]) @ (lump.half_extent + edge)
    low = np.maximum(np.ceil(middle - half), 0).astype(int)
    high = np.minimum(np.floor(middle + half) + 1, block.shape[::-1]).astype(int)
    if (high <= low).any():
        return
    axes = [torch.arange(int(a), int(b), device=canvas.device, dtype=torch.float32) - float(m)
            for a, b, m in zip(low, high, middle, strict=True)]  # fmt: skip
    k, j, i = torch.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    matrix = torch.as_tensor(grid.ijk_to_ras[:3, :3], dtype=torch.float32, device=canvas.device)
    offset = torch.stack([i, j, k], -1) @ matrix.T
    level = lump.level(offset)
    scale = lump.radius / edge
    where = tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True))
    alpha = (0.5 - (level - 1) * scale).clamp_(0, 1)
    mean, amplitude = values[lump.tissue]
    block[where].lerp_(grain[where] * amplitude + mean, alpha)
    if lump.core is not None:
        tissue, size, shift = lump.core
        to_core = offset @ torch.as_tensor(lump.metric.T, dtype=offset.dtype, device=offset.device)
        to_core = to_core - torch.as_tensor(shift, dtype=offset.dtype, device=offset.device)
        inner = (0.5 - (to_core.square().sum(-1).sqrt() - size) * scale * 0.7).clamp_(0, 1).mul_(alpha)
        mean, amplitude = values[tissue]
        block[where].lerp_(grain[where] * amplitude + mean, inner)
    if lump.label:
        depth = torch.arange(where[0].start, where[0].stop, device=canvas.device)
        chosen = depth % canvas.sub == canvas.sub // 2
        if chosen.any():
            part = mask[depth[chosen][0] // canvas.sub : depth[chosen][-1] // canvas.sub + 1, where[1], where[2]]
            part.masked_fill_(alpha[chosen] > 0.5, lump.label)


def _paint_beads(block, mask, scratch, grain, prepared, canvas: Canvas, values, edge: float, z0: int) -> None:
    beads, index, metric, half = prepared
    depth, height, width = block.shape
    size = torch.tensor([width, height, depth], device=canvas.device)
    index = index - torch.tensor([0.0, 0.0, float(z0)], device=canvas.device)
    low = torch.ceil(index - half).long().clamp_min(0)
    high = torch.minimum(torch.floor(index + half).long(), size - 1)
    seen = (high >= low).all(1).nonzero()[:, 0]
    if not len(seen):
        return
    smallest = torch.as_tensor(beads.radii[:, :2].min(1), dtype=torch.float32, device=canvas.device)
    low, high, index, metric, smallest = low[seen], high[seen], index[seen], metric[seen], smallest[seen]
    span = high - low + 1
    order = span.prod(1).argsort()
    spans = span[order].cpu().numpy()
    flat, scattered = scratch.view(-1), []
    start = 0
    while start < len(order):
        stop = int(np.searchsorted(spans.prod(1), 1.6 * spans[start].prod() + 8, side="right"))
        stop = min(max(stop, start + 1), start + 200_000)
        box = spans[start:stop].max(0)
        stop = min(stop, start + max(1, int(3_000_000 // box.prod())))
        box = spans[start:stop].max(0)
        which = order[start:stop]
        off = torch.cartesian_prod(*(torch.arange(int(n), device=canvas.device) for n in box))
        base = torch.einsum("nij,nj->ni", metric[which], low[which] - index[which])
        q = torch.einsum("nij,kj->nki", metric[which], off.float()) + base[:, None]
        r = smallest[which][:, None]
        if beads.cylinder:
            d = torch.maximum(q[..., 0].square().add_(q[..., 1].square()).sqrt_(), (q[..., 2].abs() > 1) * 9.0)
        else:
            d = q.square().sum(-1).sqrt_()
        alpha = (0.5 - (d - 1) * (r / edge)).clamp_(0, 1).mul_((2.2 * r / edge).clamp_max(1))
        inside = (alpha > 0) & (off[None] < span[which][:, None]).all(-1)
        lin = (low[which][:, 2] * height + low[which][:, 1]) * width + low[which][:, 0]
        lin = lin[:, None] + (off[:, 2] * height + off[:, 1]) * width + off[:, 0]
        lin, alpha = lin[inside], alpha[inside]
        flat.scatter_reduce_(0, lin, alpha, "amax")
        scattered.append(lin)
        start = stop
    lin = torch.cat(scattered)
    alpha = flat[lin]
    mean, amplitude = values[beads.tissue]
    target = block.view(-1)
    now = target[lin]
    target[lin] = torch.lerp(now, grain.view(-1)[lin] * amplitude + mean, alpha)
    if beads.label:
        plane = height * width
        middle = (lin // plane) % canvas.sub == canvas.sub // 2
        chosen = lin[middle & (alpha > 0.5)]
        mask.view(-1)[(chosen // plane // canvas.sub) * plane + chosen % plane] = beads.label
    flat[lin] = 0

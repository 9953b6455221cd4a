"""A slab of fine slices while layers, lumps and beads are painted over one another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from oncotrack.phantom.canvas import Canvas
from oncotrack.phantom.layers import Block, Lump, Paint
from oncotrack.phantom.placed import Placed, PlacedBeads, PlacedLump

_CACHED_VOXELS = 1_200_000
"""Fine voxels of a slab that are interpolated together on the CPU."""
_BEAD_VOXELS = 3_000_000
"""Voxels of beads that are drawn together."""


class Slab:
    """Some fine slices of the canvas while they are painted; without `values` their labels only."""

    def __init__(self, canvas: Canvas, slices: range, values: Mapping[str, tuple[float, float]] | None = None) -> None:
        rows = _plane_size(canvas)
        self.canvas, self.slices, self.values = canvas, slices, values
        self.edge = float(np.mean(canvas.fine_spacing))
        self.labels = torch.zeros(len(slices) // canvas.sub, *rows, dtype=torch.int16, device=canvas.device)
        self.scratch = torch.zeros(len(slices), *rows, device=canvas.device)
        self.image = self.grain = self.scratch
        cell = int(canvas.factor[2])
        self.cells = range(slices.start // cell, -(-slices.stop // cell))
        on_cpu = canvas.device.type == "cpu"
        self.cells_at_once = max(1, _CACHED_VOXELS // (plane_voxels(canvas) * cell)) if on_cpu else 10**6

    def fill(self, background: float, mottle: Tensor, noise: torch.Generator | None) -> None:
        """Start an image: the background, and the grain that tissues multiply by their amplitude."""
        self.image = torch.full_like(self.scratch, float(background))
        self.grain = torch.empty_like(self.scratch)
        cell, first = int(self.canvas.factor[2]), self.slices.start
        for start, stop in _groups(self.cells, self.cells_at_once):
            grain = _upsample(mottle[start : stop + 1], self.canvas.factor)
            if noise is not None:
                grain += torch.randn(grain.shape, generator=noise, device=grain.device)
            self.grain[start * cell - first : stop * cell - first] = grain

    def paint(self, runs: Sequence[Sequence[Placed]]) -> None:
        """Paint all steps in order; consecutive layers together, one group of cells at a time."""
        cells_a_unit = int(np.lcm(int(self.canvas.factor[2]), self.canvas.sub)) // int(self.canvas.factor[2])
        together = -(-self.cells_at_once // cells_a_unit) * cells_a_unit
        for run in runs:
            groups = _groups(self.cells, together) if isinstance(run[0], Paint) else [(0, 0)]
            for start, stop in groups:
                for step in run:
                    if isinstance(step, Paint):
                        self._paint_layer(step, start, stop)
                    elif isinstance(step, PlacedLump):
                        self._paint_lump(step.lump, step.centre)
                    else:
                        self._paint_beads(step)

    def write(self, image: Tensor | None, labels: Tensor) -> None:
        """Write the slab, sub-slices averaged, to its part of the whole image and of its labels."""
        sub, first = self.canvas.sub, self.slices.start
        width, height, depth = (int(n) for n in self.canvas.fine_size)
        n = min(self.slices.stop, depth) - first
        here = slice(first // sub, (first + n) // sub)
        if image is not None:
            image[here] = self.image[:n, :height, :width].reshape(n // sub, sub, height, width).mean(1)
        labels[here] = self.labels[: n // sub, :height, :width]

    def _blend(self, where: Block, tissue: str, alpha: Tensor) -> None:
        """Mix a tissue into a block of the image with the fraction `alpha`."""
        if self.values is None:
            return
        mean, amplitude = self.values[tissue]
        view = self.image[where]
        if amplitude:
            view.lerp_((self.grain[where] * amplitude).add_(mean), alpha)
        else:
            view.lerp_(view.new_full((), mean).expand_as(view), alpha)

    def _paint_layer(self, step: Paint, start: int, stop: int) -> None:
        """Paint a layer in the coarse cells `start` to `stop` along k."""
        az, ay, ax = step.at
        low, high = max(start, az.start), min(stop, az.stop - 1)
        if high <= low:
            return
        width = self.edge + step.soft
        nodes = step.sdf[low - az.start : high + 1 - az.start]
        box: Block = (slice(None), slice(0, nodes.shape[1]), slice(0, nodes.shape[2]))
        if self.canvas.device.type == "cpu":
            touched = _touched_block(nodes, width)
            if touched is None:
                return
            box = touched
            ay = slice(ay.start + box[1].start, ay.start + box[1].stop)
            ax = slice(ax.start + box[2].start, ax.start + box[2].stop)
        alpha = _upsample(nodes[box], self.canvas.factor)
        if step.sheet is not None:
            sheet = step.sheet[low - az.start : high + 1 - az.start][box]
            sheet = _upsample(sheet, self.canvas.factor).abs_().sub_(step.thickness / 2)
            alpha = torch.maximum(alpha, sheet, out=alpha)
            width = max(self.edge, step.thickness)
        alpha.mul_(-1 / width).add_(0.5).clamp_(0, 1)
        fx, fy, fz = (int(f) for f in self.canvas.factor)
        first = self.slices.start
        where = (
            slice(low * fz - first, high * fz - first),
            slice(ay.start * fy, (ay.stop - 1) * fy),
            slice(ax.start * fx, (ax.stop - 1) * fx),
        )
        self._blend(where, step.tissue, alpha)
        if step.label:
            self._label_layer(where, alpha, step.label)

    def _label_layer(self, where: Block, alpha: Tensor, label: int) -> None:
        """Label the image slices of which `alpha` covers more than half."""
        sub = self.canvas.sub
        start, stop = -(-where[0].start // sub), where[0].stop // sub
        if sub > 1:
            alpha = alpha[start * sub - where[0].start : stop * sub - where[0].start]
            alpha = alpha.view(stop - start, sub, *alpha.shape[1:]).mean(1)
        self.labels[start:stop, where[1], where[2]].masked_fill_(alpha > 0.5, label)

    def _paint_lump(self, lump: Lump, centre: np.ndarray) -> None:
        """Paint a lump at its centre (RAS mm) of this visit, with its core."""
        found = self._around(lump, centre)
        if found is None:
            return
        where, offset = found
        scale = lump.radius / self.edge
        alpha = (0.5 - (lump.level(offset) - 1) * scale).clamp_(0, 1)
        if self.values is not None:
            mean, amplitude = self.values[lump.tissue]
            self.image[where].lerp_(self.grain[where] * amplitude + mean, alpha)
            if lump.core is not None:
                tissue, size, shift = lump.core
                to_core = offset @ torch.as_tensor(lump.metric.T, dtype=offset.dtype, device=offset.device)
                to_core = to_core - torch.as_tensor(shift, dtype=offset.dtype, device=offset.device)
                inner = (0.5 - (to_core.square().sum(-1).sqrt() - size) * scale * 0.7).clamp_(0, 1).mul_(alpha)
                mean, amplitude = self.values[tissue]
                self.image[where].lerp_(self.grain[where] * amplitude + mean, inner)
        if lump.label:
            sub = self.canvas.sub
            depth = torch.arange(where[0].start, where[0].stop, device=self.canvas.device)
            middle = depth % sub == sub // 2
            if middle.any():
                slices = slice(int(depth[middle][0]) // sub, int(depth[middle][-1]) // sub + 1)
                self.labels[slices, where[1], where[2]].masked_fill_(alpha[middle] > 0.5, lump.label)

    def _around(self, lump: Lump, centre: np.ndarray) -> tuple[Block, Tensor] | None:
        """Return the block of voxels that a lump may reach and their (d, h, w, 3) offsets (mm) from its centre."""
        grid, device = self.canvas.fine_geometry, self.canvas.device
        middle = grid.to_ijk(centre) - (0, 0, self.slices.start)
        half = np.abs(grid.ras_to_ijk[:3, :3]) @ (lump.half_extent + self.edge)
        low = np.maximum(np.ceil(middle - half), 0).astype(int)
        high = np.minimum(np.floor(middle + half) + 1, self.scratch.shape[::-1]).astype(int)
        if (high <= low).any():
            return None
        axes = [torch.arange(int(a), int(b), device=device, dtype=torch.float32) - float(m)
                for a, b, m in zip(low, high, middle, strict=True)]  # fmt: skip
        k, j, i = torch.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
        matrix = torch.as_tensor(grid.ijk_to_ras[:3, :3], dtype=torch.float32, device=device)
        offset = torch.stack([i, j, k], -1) @ matrix.T
        where = (slice(int(low[2]), int(high[2])), slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0])))
        return where, offset

    def _paint_beads(self, placed: PlacedBeads) -> None:
        """Paint all beads of a set as one object: where they overlap, the one that covers a voxel most counts."""
        covered = self._cover(placed)
        if covered is None:
            return
        beads, flat = placed.beads, self.scratch.view(-1)
        alpha = flat[covered]
        if self.values is not None:
            mean, amplitude = self.values[beads.tissue]
            target = self.image.view(-1)
            grain = self.grain.view(-1)[covered]
            target[covered] = torch.lerp(target[covered], grain * amplitude + mean, alpha)
        if beads.label:
            sub, plane = self.canvas.sub, self.scratch[0].numel()
            middle = (covered // plane) % sub == sub // 2
            chosen = covered[middle & (alpha > 0.5)]
            self.labels.view(-1)[(chosen // plane // sub) * plane + chosen % plane] = beads.label
        flat[covered] = 0

    def _cover(self, placed: PlacedBeads) -> Tensor | None:
        """Write the beads' cover (0 to 1) of every voxel to `scratch`; return the voxels' flat indices."""
        depth, height, width = self.scratch.shape
        device = self.canvas.device
        size = torch.tensor([width, height, depth], device=device)
        index = placed.index - torch.tensor([0.0, 0.0, float(self.slices.start)], device=device)
        low = torch.ceil(index - placed.half).long().clamp_min(0)
        high = torch.minimum(torch.floor(index + placed.half).long(), size - 1)
        in_slab = (high >= low).all(1).nonzero()[:, 0]
        if not len(in_slab):
            return None
        low, high, index = low[in_slab], high[in_slab], index[in_slab]
        metric, thinnest = placed.metric[in_slab], placed.thinnest[in_slab]
        span = high - low + 1
        order = span.prod(1).argsort()
        spans = span[order].cpu().numpy()
        flat, covered = self.scratch.view(-1), []
        for start, stop in _similar_batches(spans):
            box = spans[start:stop].max(0)
            which = order[start:stop]
            off = torch.cartesian_prod(*(torch.arange(int(n), device=device) for n in box))
            alpha = self._bead_cover(
                metric[which], low[which] - index[which], off, thinnest[which], placed.beads.cylinder
            )
            inside = (alpha > 0) & (off[None] < span[which][:, None]).all(-1)
            linear = (low[which][:, 2] * height + low[which][:, 1]) * width + low[which][:, 0]
            linear = linear[:, None] + (off[:, 2] * height + off[:, 1]) * width + off[:, 0]
            linear, alpha = linear[inside], alpha[inside]
            flat.scatter_reduce_(0, linear, alpha, "amax")
            covered.append(linear)
        return torch.cat(covered)

    def _bead_cover(self, metric: Tensor, corner: Tensor, off: Tensor, thinnest: Tensor, cylinder: bool) -> Tensor:
        """Return how much of each voxel every bead covers, (N, K), 0 to 1.

        Parameters
        ----------
        metric : (N, 3, 3) Tensor
            From voxels to a ball of radius 1.
        corner : (N, 3) Tensor
            First voxel of each bead's box, relative to its centre.
        off : (K, 3) Tensor
            Voxels relative to that corner.
        thinnest : (N,) Tensor
            Smallest cross-section radius, mm; beads thinner than a voxel cover it in part only.
        """
        base = torch.einsum("nij,nj->ni", metric, corner)
        q = torch.einsum("nij,kj->nki", metric, off.float()) + base[:, None]
        r = thinnest[:, None]
        if cylinder:
            d = torch.maximum(q[..., 0].square().add_(q[..., 1].square()).sqrt_(), (q[..., 2].abs() > 1) * 9.0)
        else:
            d = q.square().sum(-1).sqrt_()
        return (0.5 - (d - 1) * (r / self.edge)).clamp_(0, 1).mul_((2.2 * r / self.edge).clamp_max(1))


def _groups(cells: range, count: int) -> list[tuple[int, int]]:
    """Return first and last (excluded) cell of groups of `count` cells."""
    return [(start, min(start + count, cells.stop)) for start in range(cells.start, cells.stop, count)]


def _similar_batches(spans: np.ndarray) -> Iterable[tuple[int, int]]:
    """Split (N, 3) box sizes, sorted by their volume, into batches of similar volume that fit into memory."""
    start, volumes = 0, spans.prod(1)
    while start < len(spans):
        stop = int(np.searchsorted(volumes, 1.6 * volumes[start] + 8, side="right"))
        stop = min(max(stop, start + 1), start + 200_000)
        stop = min(stop, start + max(1, int(_BEAD_VOXELS // spans[start:stop].max(0).prod())))
        yield start, stop
        start = stop


def _upsample(coarse: Tensor, factor: np.ndarray) -> Tensor:
    """Return trilinear values between (d, h, w) nodes: ((d-1) fz, (h-1) fy, (w-1) fx)."""
    fx, fy, fz = (int(f) for f in factor)
    if fx == fy == fz == 1:
        return coarse[:-1, :-1, :-1].clone()
    a = coarse.new_empty(*coarse.shape[:2], coarse.shape[2] - 1, fx)
    for n in range(fx):
        torch.lerp(coarse[..., :-1], coarse[..., 1:], n / fx, out=a[..., n])
    a = a.flatten(2)
    w = torch.arange(fy, device=coarse.device, dtype=coarse.dtype)[:, None] / fy
    a = torch.lerp(a[:, :-1, None], a[:, 1:, None], w).flatten(1, 2)
    w = torch.arange(fz, device=coarse.device, dtype=coarse.dtype)[:, None, None] / fz
    return torch.lerp(a[:-1, None], a[1:, None], w).flatten(0, 1)


def _touched_block(nodes: Tensor, width: float) -> Block | None:
    """Return the rows and columns of nodes whose cells the shape may reach; None when it reaches none."""
    flat = nodes.amin(0) < width / 2
    if not flat.any():
        return None
    ranges = []
    for axis in (1, 0):
        found = flat.any(axis).nonzero()
        size = flat.shape[1 - axis]
        start, stop = max(int(found[0]) - 1, 0), min(int(found[-1]) + 2, size)
        ranges.append(slice(min(start, size - 2), max(stop, start + 2)))
    return slice(None), ranges[0], ranges[1]


def _plane_size(canvas: Canvas) -> tuple[int, int]:
    """Return rows and columns of a fine slice, up to the end of the last coarse cell."""
    rows, columns = canvas.template_points.shape[2:]
    return (rows - 1) * int(canvas.factor[1]), (columns - 1) * int(canvas.factor[0])


def plane_voxels(canvas: Canvas) -> int:
    rows, columns = _plane_size(canvas)
    return rows * columns

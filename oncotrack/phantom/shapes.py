"""Smooth implicit shapes: signed distances in mm (negative inside), evaluated on tensors of points.

A point tensor `p` has shape (3, ...): R, A, S in mm of the template patient. Every function returns (...).
The formulas are Inigo Quilez's distance bounds (iquilezles.org/articles/distfunctions), chosen because they are exact
enough near the surface and cost a handful of multiplications.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

_BLOCK = 40_000
"""Points that are evaluated together on the CPU, so that intermediate results stay in the processor's cache."""


def ellipsoid(p: Tensor, centre: ArrayLike, radii: ArrayLike, turn: np.ndarray | None = None) -> Tensor:
    """Return the signed distance of an ellipsoid of (3,) `radii`; the rows of `turn` (3, 3) are its axes."""
    q = p - column(centre, p)
    if turn is not None:
        q = torch.einsum("ij,j...->i...", torch.as_tensor(turn, dtype=p.dtype, device=p.device), q)
    size = column(radii, p)
    q.div_(size)
    k0 = q.square().sum(0).sqrt_()
    k1 = q.div_(size).square_().sum(0).sqrt_()
    return (k0 - 1).mul_(k0).div_(k1.clamp_min_(1e-6))


def tube(p: Tensor, points: ArrayLike, radii: ArrayLike, *, flat: float = 1.0) -> Tensor:
    """Return the signed distance of a tube along (K, 3) `points`, K > 1, with (K,) `radii`; `flat` < 1 squeezes it in A."""
    points = np.asarray(points, float)
    radii = np.broadcast_to(np.asarray(radii, float), len(points))
    total = torch.empty_like(p[0], memory_format=torch.contiguous_format)
    rows = max(1, _BLOCK // max(1, total[:1].numel())) if total.device.type == "cpu" else max(1, len(total))
    for first in range(0, len(total), rows):
        _tube(p[:, first : first + rows], points, radii, 1.0 / flat, total[first : first + rows])
    return total


def _tube(p: Tensor, points: np.ndarray, radii: np.ndarray, stretch: float, out: Tensor) -> None:
    """Write the distance of the nearest segment to `out`; A is multiplied by `stretch`."""
    q = [torch.empty_like(out) for _ in range(3)]
    t, product = torch.empty_like(out), torch.empty_like(out)
    for n in range(len(points) - 1):
        start, change = points[n].tolist(), float(radii[n + 1] - radii[n])
        axis = (points[n + 1] - points[n]) * (1.0, stretch, 1.0)
        x, y, z = axis.tolist()
        for component, coordinate, offset in zip(q, p, start, strict=True):
            torch.sub(coordinate, offset, out=component)
        if stretch != 1.0:
            q[1].mul_(stretch)
        torch.mul(q[0], x, out=t)
        t.add_(torch.mul(q[1], y, out=product))
        t.add_(torch.mul(q[2], z, out=product))
        t.div_(float(axis @ axis)).clamp_(0, 1)
        for component, along in zip(q, (x, y, z), strict=True):
            component.sub_(torch.mul(t, along, out=product)).square_()
        distance = q[0].add_(q[1]).add_(q[2]).sqrt_().sub_(t.mul_(change)).sub_(float(radii[n]))
        if n == 0:
            out.copy_(distance)
        else:
            torch.minimum(out, distance, out=out)


def plane(p: Tensor, point: ArrayLike, normal: ArrayLike) -> Tensor:
    """Return the signed distance of the half-space behind a plane; `normal` points out of it."""
    normal = np.asarray(normal, float) / np.linalg.norm(normal)
    x, y, z = normal.tolist()
    return (p[0] * x).add_(p[1] * y).add_(p[2] * z).sub_(float(np.dot(point, normal)))


def smooth_min(a: Tensor, b: Tensor, k: float) -> Tensor:
    """Return the union of two shapes, rounded over `k` mm."""
    return torch.minimum(a, b).sub_(_rounding(a, b, k))


def smooth_max(a: Tensor, b: Tensor, k: float) -> Tensor:
    """Return the intersection of two shapes, rounded over `k` mm."""
    return torch.maximum(a, b).add_(_rounding(a, b, k))


def _rounding(a: Tensor, b: Tensor, k: float) -> Tensor:
    """Return (max(k - |a - b|, 0))^2 / 4k, the depth of the rounding (mm)."""
    return (a - b).abs_().neg_().add_(k).clamp_min_(0).square_().div_(4 * k)


def column(values: ArrayLike, like: Tensor) -> Tensor:
    """Return (3,) values as a tensor that broadcasts over a point tensor."""
    return torch.as_tensor(np.asarray(values, float), dtype=like.dtype, device=like.device).view(
        3, *[1] * (like.ndim - 1)
    )


@dataclass(frozen=True)
class Waves:
    """A smooth random field: a sum of plane waves, zero mean and unit variance.

    Parameters
    ----------
    vectors : (M, 3) ndarray
        Wave vectors, radians per mm.
    phases : (M,) ndarray
    """

    vectors: np.ndarray
    phases: np.ndarray

    @classmethod
    def random(cls, rng: np.random.Generator, wavelength: ArrayLike, count: int = 6) -> Waves:
        """Draw waves of about `wavelength` mm (scalar or one per axis), in random directions."""
        direction = rng.normal(size=(count, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        scale = rng.uniform(0.7, 1.5, (count, 1))
        vectors = direction * scale * 2 * np.pi / np.broadcast_to(np.asarray(wavelength, float), 3)
        return cls(vectors, rng.uniform(0, 2 * np.pi, count))

    def __call__(self, p: Tensor) -> Tensor:
        """Return the field's value at points."""
        total = torch.zeros_like(p[0])
        for (kx, ky, kz), phase in zip(self.vectors, self.phases, strict=True):
            total += (p[0] * kx).add_(p[1], alpha=ky).add_(p[2], alpha=kz).add_(float(phase)).sin_()
        return total.mul_(float((2 / len(self.phases)) ** 0.5))


def smooth_path(points: ArrayLike, step_mm: float) -> np.ndarray:
    """Return (N, D) points every `step_mm` along the Catmull-Rom curve of (K, D >= 3) points.

    The first three columns are positions (mm); the others, radii for example, are interpolated with them.
    """
    points = np.asarray(points, float)
    ends = np.concatenate([points[:1] * 2 - points[1:2], points, points[-1:] * 2 - points[-2:-1]])
    t = np.linspace(0, 1, 9)[:-1, None]
    pieces = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False)
    ]
    dense = np.concatenate([*pieces, points[-1:]])
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(dense[:, :3], axis=0), axis=1))])
    positions = np.linspace(0, length[-1], max(int(np.ceil(length[-1] / step_mm)) + 1, 2))
    return np.stack([np.interp(positions, length, column) for column in dense.T], 1)

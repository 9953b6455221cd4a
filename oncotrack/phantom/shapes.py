"""Smooth implicit shapes: signed distances in mm (negative inside), evaluated on tensors of points.

A point tensor `p` has shape (3, ...): R, A, S in mm of the template patient. Every function returns (...).
The formulas are Inigo Quilez's distance bounds (iquilezles.org/articles/distfunctions), chosen because they are exact
enough near the surface and cost a handful of multiplications.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


def ellipsoid(p: Tensor, centre, radii, turn: np.ndarray | None = None) -> Tensor:
    """Ellipsoid of (3,) `radii`; the rows of `turn` (3, 3) are its axes."""
    q = p - column(centre, p)
    if turn is not None:
        q = torch.einsum("ij,j...->i...", torch.as_tensor(turn, dtype=p.dtype, device=p.device), q)
    scaled = q / column(radii, p)
    k0 = scaled.square().sum(0).sqrt()
    k1 = (scaled / column(radii, p)).square().sum(0).sqrt()
    return k0 * (k0 - 1) / k1.clamp_min(1e-6)


def tube(p: Tensor, points, radii, *, flat: float = 1.0) -> Tensor:
    """A tube along (K, 3) `points` with (K,) `radii`; `flat` < 1 squeezes it along A."""
    points, radii = np.asarray(points, float), np.broadcast_to(np.asarray(radii, float), len(points))
    stretch = (1.0, 1.0 / flat, 1.0)
    best = None
    for start, end, r0, r1 in zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True):
        axis = (end - start) * stretch
        q = [(p[i] - float(start[i])) * stretch[i] for i in range(3)]
        t = (q[0] * axis[0] + q[1] * axis[1] + q[2] * axis[2]).div_(float(axis @ axis)).clamp_(0, 1)
        d2 = (q[0] - t * axis[0]).square_()
        d2 += (q[1] - t * axis[1]).square_()
        d2 += (q[2] - t * axis[2]).square_()
        d = d2.sqrt_().sub_(t.mul_(float(r1 - r0))).sub_(float(r0))
        best = d if best is None else torch.minimum(best, d, out=best)
    return best


def plane(p: Tensor, point, normal) -> Tensor:
    """The half-space behind a plane; `normal` points out of it."""
    normal = np.asarray(normal, float) / np.linalg.norm(normal)
    return p[0] * normal[0] + p[1] * normal[1] + p[2] * normal[2] - float(np.dot(point, normal))


def smooth_min(a: Tensor, b: Tensor, k: float) -> Tensor:
    """Union of two shapes, rounded over `k` mm."""
    return torch.minimum(a, b) - (k - (a - b).abs()).clamp_min_(0).square_().div_(4 * k)


def smooth_max(a: Tensor, b: Tensor, k: float) -> Tensor:
    """Intersection of two shapes, rounded over `k` mm."""
    return torch.maximum(a, b) + (k - (a - b).abs()).clamp_min_(0).square_().div_(4 * k)


def column(values, like: Tensor) -> Tensor:
    """(3,) values shaped to broadcast over a point tensor."""
    return torch.as_tensor(np.asarray(values, float), dtype=like.dtype, device=like.device).view(
        3, *[1] * (like.ndim - 1)
    )


@dataclass(frozen=True)
class Waves:
    """A smooth random field: a sum of plane waves, zero mean and unit variance.

    Parameters
    ----------
    vectors : (M, 3) ndarray
        Wave vectors, radians a mm.
    phases : (M,) ndarray
    """

    vectors: np.ndarray
    phases: np.ndarray

    @classmethod
    def random(cls, rng: np.random.Generator, wavelength, count: int = 6) -> Waves:
        """Waves of about `wavelength` mm (scalar or one per axis), in random directions."""
        direction = rng.normal(size=(count, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        scale = rng.uniform(0.7, 1.5, (count, 1))
        vectors = direction * scale * 2 * np.pi / np.broadcast_to(np.asarray(wavelength, float), 3)
        return cls(vectors, rng.uniform(0, 2 * np.pi, count))

    def __call__(self, p: Tensor) -> Tensor:
        total = torch.zeros_like(p[0])
        for (kx, ky, kz), phase in zip(self.vectors, self.phases, strict=True):
            total += (p[0] * kx).add_(p[1], alpha=ky).add_(p[2], alpha=kz).add_(float(phase)).sin_()
        return total.mul_(float((2 / len(self.phases)) ** 0.5))


def smooth_path(points, step_mm: float) -> np.ndarray:
    """(N, D) points every `step_mm` along the Catmull-Rom curve of (K, D >= 3) points; extra columns ride along."""
    points = np.asarray(points, float)
    ends = np.concatenate([points[:1] * 2 - points[1:2], points, points[-1:] * 2 - points[-2:-1]])
    t = np.linspace(0, 1, 9)[:-1, None]
    pieces = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False)
    ]
    dense = np.concatenate([*pieces, points[-1:]])
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(dense[:, :3], axis=0), axis=1))])
    wanted = np.linspace(0, length[-1], max(int(np.ceil(length[-1] / step_mm)) + 1, 2))
    return np.stack([np.interp(wanted, length, column) for column in dense.T], 1)

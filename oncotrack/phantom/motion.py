"""Smooth, invertible motion: from the template to a patient, and of a patient between visits.

A motion is the flow of a stationary velocity field (Arsigny et al. 2006, "A log-Euclidean framework for statistics on
diffeomorphisms"), integrated by scaling and squaring; it is therefore a diffeomorphism. Points are tensors (3, ...)
of RAS mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor

from oncotrack.images.geometry import Geometry


class PointMap(Protocol):
    """A map of points with its inverse."""

    def forward(self, p: Tensor) -> Tensor:
        """Return the transformed points, (3, ...) RAS mm."""
        ...

    def inverse(self, p: Tensor) -> Tensor:
        """Return the points that are mapped to `p`, (3, ...) RAS mm."""
        ...


@dataclass(frozen=True)
class Identity:
    """The identity."""

    def forward(self, p: Tensor) -> Tensor:
        """Return the same points."""
        return p

    def inverse(self, p: Tensor) -> Tensor:
        """Return the same points."""
        return p


@dataclass(frozen=True)
class Chain:
    """Several maps, applied first to last."""

    maps: tuple[PointMap, ...]

    def forward(self, p: Tensor) -> Tensor:
        """Return the transformed points, (3, ...) RAS mm."""
        for each in self.maps:
            p = each.forward(p)
        return p

    def inverse(self, p: Tensor) -> Tensor:
        """Return the points that are mapped to `p`, (3, ...) RAS mm."""
        for each in reversed(self.maps):
            p = each.inverse(p)
        return p


@dataclass(frozen=True, eq=False)
class Flow:
    """A diffeomorphism held as displacements (mm) on a lattice, forward and backward.

    Parameters
    ----------
    lattice : Geometry
        RAS-aligned grid; beyond it the displacement of its border holds.
    there, back : (3, D, H, W) Tensor
        Displacement of the map, and of the backward flow that starts the inversion.
    """

    lattice: Geometry
    there: Tensor
    back: Tensor

    @classmethod
    def from_velocity(cls, lattice: Geometry, velocity: Tensor, steps: int = 6) -> Flow:
        """Integrate a (3, D, H, W) velocity (mm) over unit time by scaling and squaring."""
        return cls(lattice, _exponential(lattice, velocity, steps), _exponential(lattice, -velocity, steps))

    def to(self, device: str | torch.device) -> Flow:
        """Return the same motion on another device."""
        return Flow(self.lattice, self.there.to(device), self.back.to(device))

    def forward(self, p: Tensor) -> Tensor:
        """Return the transformed points, (3, ...) RAS mm."""
        return p + _sample(self.lattice, self.there, p)

    def inverse(self, p: Tensor, rounds: int = 4) -> Tensor:
        """Return the points that are mapped to `p`: fixed-point iterations of x = p - u(x) from the backward flow."""
        x = p + _sample(self.lattice, self.back, p)
        for _ in range(rounds):
            x = p - _sample(self.lattice, self.there, x)
        return x


@dataclass(frozen=True, eq=False)
class Push:
    """Displacement by growing lumps: tissue at distance d from a lump of radius R is pressed outwards.

    The inverse map is closed: d_before = d (1 - s exp(-(d / (1.3 R))^2)), which is increasing for s < 1; the forward
    map solves it by fixed-point iterations. Lumps act one after the other.

    Parameters
    ----------
    centres : (N, 3) ndarray, RAS mm
    radii : (N,) ndarray, mm
    strength : float
        s, in [0, 1).
    """

    centres: np.ndarray
    radii: np.ndarray
    strength: float = 0.65

    def inverse(self, p: Tensor) -> Tensor:
        """Return the points that are mapped to `p`, (3, ...) RAS mm."""
        p = p.clone()
        flat = p.view(3, -1)
        for centre, radius in zip(self.centres[::-1], self.radii[::-1], strict=True):
            self._apply(flat, centre, radius, forward=False)
        return p

    def forward(self, p: Tensor) -> Tensor:
        """Return the transformed points, (3, ...) RAS mm."""
        p = p.clone()
        flat = p.view(3, -1)
        for centre, radius in zip(self.centres, self.radii, strict=True):
            self._apply(flat, centre, radius, forward=True)
        return p

    def _apply(self, flat: Tensor, centre: np.ndarray, radius: float, forward: bool) -> None:
        """Move (3, N) points in place by one lump."""
        middle = torch.as_tensor(centre, dtype=flat.dtype, device=flat.device)
        near = _near_indices(flat, middle, 4.0 * radius)
        if not len(near):
            return
        q = flat[:, near] - middle[:, None]
        before = after = q.square().sum(0).sqrt().clamp_min(1e-6)
        if forward:
            low, high = before, before + radius
            for _ in range(22):
                after = (low + high) / 2
                over = self._distance_before(after, radius) > before
                low, high = torch.where(over, low, after), torch.where(over, after, high)
        else:
            after = self._distance_before(before, radius)
        flat[:, near] += q * (after / before - 1)

    def _distance_before(self, d: Tensor, radius: float) -> Tensor:
        """Return the distance before the push of points at distance `d` after it."""
        return d * (1 - self.strength * torch.exp(-((d / (1.3 * radius)) ** 2)))


def _near_indices(flat: Tensor, middle: Tensor, reach: float) -> Tensor:
    """Return the indices of those (3, N) points that lie less than `reach` mm from `middle` along every axis."""
    near = ((flat[2] - middle[2]).abs_() < reach).nonzero()[:, 0]
    for axis in (1, 0):
        near = near[(flat[axis, near] - middle[axis]).abs_() < reach]
    return near


def map_points(mapping: PointMap, points_ras: ArrayLike, inverse: bool = False) -> np.ndarray:
    """Transform (..., 3) RAS points with a map or its inverse; returns (..., 3) float64."""
    points = np.asarray(points_ras, float)
    p = torch.as_tensor(np.moveaxis(points, -1, 0).reshape(3, -1), dtype=torch.float64)
    moved = (mapping.inverse if inverse else mapping.forward)(p)
    return np.moveaxis(moved.numpy().reshape(3, *points.shape[:-1]), 0, -1)


def body_velocity(
    rng: np.random.Generator,
    lattice: Geometry,
    middle: Sequence[float],
    *,
    breath_mm: float = 0.0,
    posture_mm: float = 0.0,
    weight: float = 0.0,
    wobble_mm: float = 0.0,
) -> Tensor:
    """Draw a (3, D, H, W) velocity (mm) on a lattice.

    Parameters
    ----------
    rng : numpy.random.Generator
    lattice : Geometry
    middle : (3,) float
        RAS mm of the body's middle at the carina.
    breath_mm : float
        Motion of the diaphragm towards the feet; the belly comes forward by a third.
    posture_mm : float
        Size of shifts and turns of the whole body and of its bends along the spine.
    weight : float
        Relative gain of girth; fat gains most.
    wobble_mm : float
        Standard deviation of smooth random motion at wavelengths of 45 and 90 mm.
    """
    z, y, x = np.meshgrid(
        *[lattice.origin[a] + lattice.spacing[a] * np.arange(lattice.size[a]) for a in (2, 1, 0)], indexing="ij"
    )
    x, y, z = x - middle[0], y - middle[1], z - middle[2]
    v = np.zeros((3, *lattice.shape))
    inside = np.exp(-(((x / 125) ** 2 + ((y - 10) / 95) ** 2) ** 2))
    v[2] -= breath_mm * inside * np.exp(-(((z + 115) / 85) ** 2))
    v[1] += breath_mm / 3 * np.exp(-(((z + 170) / 90) ** 2)) * np.clip((y + 60) / 150, 0, 1)
    turn = rng.normal(size=3) * posture_mm / 150
    bend = rng.normal(size=2) * posture_mm / 2 * 0.8
    v[0] += rng.normal() * posture_mm / 2 - turn[2] * y + turn[1] * z / 2 + bend[0] * np.sin(z / 110)
    v[1] += rng.normal() * posture_mm / 2 + turn[2] * x - turn[0] * z / 2 + bend[1] * np.sin(z / 110 + 1)
    v[2] += rng.normal() * posture_mm / 2
    girth = np.clip(np.hypot(x / 165, y / 110), 0, 1.3) ** 3
    v[0] += weight * x * (0.25 + 0.75 * girth)
    v[1] += weight * y * (0.25 + 0.75 * girth)
    velocity = torch.as_tensor(v, dtype=torch.float32)
    if wobble_mm:
        for scale, share in ((90.0, 0.8), (45.0, 0.6)):
            knots = [
                max(int(np.ceil(n * s / scale)) + 3, 4)
                for n, s in zip(lattice.shape, lattice.spacing[::-1], strict=True)
            ]
            rough = torch.as_tensor(rng.normal(size=(1, 3, *knots)), dtype=torch.float32)
            smooth = F.interpolate(rough, size=lattice.shape, mode="trilinear", align_corners=True)
            smooth = F.avg_pool3d(F.pad(smooth, (2,) * 6, mode="replicate"), 5, 1)[0]
            velocity += wobble_mm * share * smooth / smooth.std()
    return velocity


def limit_speed(velocity: Tensor, most_mm: float) -> Tensor:
    """Return the velocity scaled down so that no point of the lattice moves faster than `most_mm`."""
    top = float(velocity.square().sum(0).sqrt().max())
    return velocity * min(1.0, most_mm / max(top, 1e-6))


def _exponential(lattice: Geometry, velocity: Tensor, steps: int) -> Tensor:
    """Return the displacement after unit time, (3, D, H, W) mm, by scaling and squaring."""
    u = velocity / 2**steps
    axes = [lattice.origin[a] + lattice.spacing[a] * torch.arange(lattice.size[a], device=u.device) for a in range(3)]
    z, y, x = torch.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    grid = torch.stack([x, y, z]).to(u.dtype)
    for _ in range(steps):
        u = u + _sample(lattice, u, grid + u)
    return u


def _sample(lattice: Geometry, field: Tensor, p: Tensor) -> Tensor:
    """Return trilinear (3, ...) values of a lattice field (3, D, H, W) at points (3, ...)."""
    field = field.to(p)
    size = torch.as_tensor(lattice.size, dtype=p.dtype, device=p.device).view(3, 1)
    origin = torch.as_tensor(lattice.origin, dtype=p.dtype, device=p.device).view(3, 1)
    spacing = torch.as_tensor(lattice.spacing, dtype=p.dtype, device=p.device).view(3, 1)
    flat = (p.reshape(3, -1) - origin) / spacing * (2 / (size - 1)) - 1
    grid = flat.T.reshape(1, 1, 1, -1, 3)
    out = F.grid_sample(field[None], grid, mode="bilinear", padding_mode="border", align_corners=True)
    return out.reshape(p.shape)

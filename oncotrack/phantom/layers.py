"""Objects that can be painted: large smooth shapes, strings of beads, and lumps (nodes and lesions)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

Block = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Paint:
    """One layer: `tissue` wherever `sdf` is negative.

    Parameters
    ----------
    tissue : str
        A key of `tissues.TISSUES`.
    sdf : (d, h, w) Tensor
        Signed distance (mm) on the coarse nodes `at`.
    at : Block
        Slices of the coarse nodes along k, j, i.
    sheet : (d, h, w) Tensor, optional
        A field whose zero level, `thickness` mm thick, is painted instead of the whole inside.
    label : int
        Organ label; 0 leaves the label map as it is.
    soft : float
        Extra width (mm) of the edge.
    """

    tissue: str
    sdf: Tensor
    at: Block
    label: int = 0
    soft: float = 0.0
    sheet: Tensor | None = None
    thickness: float = 1.0


@dataclass(frozen=True, eq=False)
class Beads:
    """Many small ellipsoids or cylinder slices of one tissue.

    Parameters
    ----------
    centres : (N, 3) ndarray, RAS mm, template coordinates
    frames : (N, 3, 3) ndarray
        Rows are the unit axes; the last one runs along the tube.
    radii : (N, 3) ndarray, mm
    cylinder : bool
        Whether a bead is a slice of a cylinder (third radius: its half length) rather than an ellipsoid.
    """

    tissue: str
    centres: np.ndarray
    frames: np.ndarray
    radii: np.ndarray
    label: int = 0
    cylinder: bool = False

    def shrink(self, tissue: str, by_mm: float, label: int | None = None) -> Beads:
        """Return the inside of a shell: cross-section radii reduced by `by_mm`, beads without extent dropped."""
        radii = self.radii.copy()
        radii[:, :2] -= by_mm
        if not self.cylinder:
            radii[:, 2] -= by_mm
        keep = radii.min(1) > 0.15
        label = self.label if label is None else label
        return Beads(tissue, self.centres[keep], self.frames[keep], radii[keep], label, self.cylinder)

    @staticmethod
    def join(parts: Iterable[Beads]) -> Beads:
        """Return one set made of several of the same tissue and kind."""
        parts = list(parts)
        centres, frames, radii = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("centres", "frames", "radii")
        )
        return Beads(parts[0].tissue, centres, frames, radii, parts[0].label, parts[0].cylinder)


@dataclass(frozen=True, eq=False)
class Lump:
    """One node or lesion: an ellipsoid, sheared along the body, with a bumpy surface and optionally a core.

    Parameters
    ----------
    centre : (3,) ndarray, RAS mm, template coordinates
    metric : (3, 3) ndarray
        Maps mm from the centre to a ball of radius 1.
    bumps : (M, 5) ndarray
        Rows (kx, ky, kz, phase, amplitude) of the relative change of radius with direction.
    core : (tissue, relative radius, (3,) offset in ball units), optional
        Tissue of the core, and its size and position.
    taper : float
        Exponent of the profile along the body: 2 for an ellipsoid, less for pointed ends.
    """

    tissue: str
    label: int
    centre: np.ndarray
    metric: np.ndarray
    bumps: np.ndarray
    core: tuple[str, float, np.ndarray] | None = None
    taper: float = 2.0

    @cached_property
    def radius(self) -> float:
        """Radius (mm) of the ball of the same volume."""
        return float(np.linalg.det(self.metric) ** (-1 / 3))

    def level(self, offset: Tensor) -> Tensor:
        """Return the distance in ball units, 1 on the surface, of (..., 3) mm from the centre."""
        q = offset @ torch.as_tensor(self.metric.T, dtype=offset.dtype, device=offset.device)
        across = q[..., :2].square().sum(-1).sqrt()
        d = (across**self.taper + q[..., 2].abs() ** self.taper) ** (1 / self.taper)
        unit = q / d.clamp_min(1e-3)[..., None]
        bumps = torch.as_tensor(self.bumps, dtype=offset.dtype, device=offset.device)
        factor = 1 + (torch.sin(unit @ bumps[:, :3].T + bumps[:, 3]) * bumps[:, 4]).sum(-1)
        return d / factor

    @property
    def half_extent(self) -> np.ndarray:
        """Largest extent from the centre along R, A, S, (3,) mm."""
        inverse = np.linalg.inv(self.metric)
        return np.sqrt((inverse**2).sum(1)) * (1 + np.abs(self.bumps[:, 4]).sum())


Step = Paint | Beads | Lump

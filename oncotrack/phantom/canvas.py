"""The fine grid of one visit, its coarse nodes, and where those nodes lie in the template."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from oncotrack.images.geometry import Geometry
from oncotrack.phantom.layers import Block
from oncotrack.phantom.motion import PointMap
from oncotrack.phantom.shapes import tube

COARSE_MM = 4.2
FINEST_MM = 2.1


class Canvas:
    """The fine grid of one visit, its coarse nodes, and where those nodes lie in the template.

    Parameters
    ----------
    geometry : Geometry
        The image's grid.
    mapping : PointMap
        From the template to the visit.
    device : str or torch.device
        Where fields are computed.
    """

    def __init__(self, geometry: Geometry, mapping: PointMap, device: str | torch.device = "cpu") -> None:
        self.geometry, self.mapping, self.device = geometry, mapping, torch.device(device)
        spacing = np.asarray(geometry.spacing)
        self.sub = max(1, int(np.ceil(spacing[2] / max(FINEST_MM, 2 * spacing[0]) - 1e-6)))
        fine = spacing / (1, 1, self.sub)
        self.fine_spacing = fine
        self.factor = np.maximum(1, np.round(COARSE_MM / fine).astype(int))
        self.fine_size = np.asarray(geometry.size) * (1, 1, self.sub)
        nodes = -(-self.fine_size // self.factor) + 1
        first = geometry.to_ras((0, 0, (1 / self.sub - 1) / 2))
        self.fine_geometry = Geometry(tuple(self.fine_size), tuple(fine), tuple(first), geometry.direction)
        coarse = Geometry(tuple(nodes), tuple(fine * self.factor), tuple(first), geometry.direction)
        matrix = torch.as_tensor(coarse.ijk_to_ras, dtype=torch.float32, device=self.device)
        axes = [torch.arange(n, dtype=torch.float32, device=self.device) for n in coarse.shape]
        k, j, i = torch.meshgrid(*axes, indexing="ij")
        ijk = torch.stack([i, j, k])
        here = torch.einsum("ab,b...->a...", matrix[:3, :3], ijk) + matrix[:3, 3].view(3, 1, 1, 1)
        self.template_points = mapping.inverse(here)
        self._node_mm = float((fine * self.factor).max())
        self._sparse = self.template_points[:, ::4, ::4, ::4].cpu()

    def within(self, low: ArrayLike, high: ArrayLike) -> Block | None:
        """Return the coarse nodes that may lie in a box of the template (RAS mm); None when there is none."""
        low, high = (torch.as_tensor(np.asarray(v, float), dtype=torch.float32).view(3, 1, 1, 1) for v in (low, high))
        reach = 2.5 * self._node_mm
        hit = ((self._sparse >= low - reach) & (self._sparse <= high + reach)).all(0)
        found = hit.nonzero()
        if not len(found):
            return None
        slices = []
        for first, last, size in zip(
            found.amin(0).tolist(), found.amax(0).tolist(), self.template_points.shape[1:], strict=True
        ):
            start, stop = max(4 * first - 4, 0), min(4 * last + 5, size)
            if stop - start < 2:
                start, stop = max(0, stop - 2), min(size, start + 2)
            slices.append(slice(start, stop))
        return slices[0], slices[1], slices[2]

    def tube(
        self, points: np.ndarray, radii: np.ndarray, flat: float = 1.0, reach: float = 18.0
    ) -> tuple[Block, Tensor] | None:
        """Return the nodes near a tube and its signed distance there, exact up to `reach` mm from it."""
        radii = np.broadcast_to(radii, len(points))
        far = reach + float(radii.max())
        at = self.within(points.min(0) - far, points.max(0) + far)
        if at is None:
            return None
        total = self.template_points.new_full([s.stop - s.start for s in at], reach)
        many = 4 if self.device.type == "cpu" else len(points)
        for n in range(0, len(points) - 1, many):
            part, r = points[n : n + many + 1], radii[n : n + many + 1]
            here = self.within(part.min(0) - reach - r.max(), part.max(0) + reach + r.max())
            if here is not None:
                inner = tuple(slice(h.start - a.start, h.stop - a.start) for h, a in zip(here, at, strict=True))
                distance = tube(self.template_points[(slice(None), *here)], part, r, flat=flat)
                total[inner] = torch.minimum(total[inner], distance)
        return at, total

    @property
    def everywhere(self) -> Block:
        """All coarse nodes."""
        depth, height, width = self.template_points.shape[1:]
        return slice(0, depth), slice(0, height), slice(0, width)

"""Beads and lumps moved from the template to a visit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from oncotrack.phantom.canvas import Canvas
from oncotrack.phantom.layers import Beads, Lump, Paint, Step


@dataclass(frozen=True, eq=False)
class PlacedBeads:
    """Beads moved to a visit: (N, 3) fine voxel indices, (N, 3, 3) index -> ball, (N, 3) half extents in voxels."""

    beads: Beads
    index: Tensor
    metric: Tensor
    half: Tensor
    thinnest: Tensor

    @property
    def label(self) -> int:
        """Organ label."""
        return self.beads.label


@dataclass(frozen=True, eq=False)
class PlacedLump:
    """A lump moved to a visit: its centre (3,) RAS mm."""

    lump: Lump
    centre: np.ndarray


Placed = Paint | PlacedBeads | PlacedLump


def in_visit(steps: Iterable[Step], canvas: Canvas) -> list[Placed]:
    """Move beads and lumps from the template to the visit; layers are on its nodes already."""
    steps = list(steps)
    centres = [np.reshape(step.centres if isinstance(step, Beads) else step.centre, (-1, 3))
               for step in steps if not isinstance(step, Paint)]  # fmt: skip
    if not centres:
        return [step for step in steps if isinstance(step, Paint)]
    together = torch.as_tensor(np.concatenate(centres).T, dtype=torch.float32, device=canvas.device)
    moved = iter(canvas.mapping.forward(together).split([len(each) for each in centres], dim=1))
    placed: list[Placed] = []
    for step in steps:
        if isinstance(step, Beads):
            placed.append(_place_beads(step, next(moved), canvas))
        elif isinstance(step, Lump):
            placed.append(PlacedLump(step, next(moved)[:, 0].cpu().numpy().astype(float)))
        else:
            placed.append(step)
    return placed


def _place_beads(beads: Beads, moved: Tensor, canvas: Canvas) -> PlacedBeads:
    """Return beads at their (3, N) centres (RAS mm) of the visit; their frames stay as they are."""
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
    thinnest = torch.as_tensor(beads.radii[:, :2].min(1), dtype=torch.float32, device=canvas.device)
    return PlacedBeads(beads, index, metric, half, thinnest)

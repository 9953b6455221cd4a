"""Contrastive query denoising: boxes are disturbed, and the decoder learns to restore the near and refuse the far.

Zhang et al., DINO, ICLR 2023, section 3.3. With one class a flipped label is the embedding of "no node".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from oncotrack.detection.lntracker.config import LNTrackerConfig


@dataclass
class Noise:
    """Disturbed queries of a batch; D of them an image, in groups that each hold every box twice.

    Attributes
    ----------
    labels : (B, D) long, 1 where the query says "node"
    boxes : (B, D, 4), centre and edges, 0 to 1 across the slice
    hidden : (1, D, D) bool, True between groups, which do not see each other
    truth : (B, D, 4), the undisturbed boxes
    near : (B, D) bool, to be restored
    real : (B, D) bool, False where an image has fewer boxes than the fullest of the batch
    """

    labels: torch.Tensor
    boxes: torch.Tensor
    hidden: torch.Tensor
    truth: torch.Tensor
    near: torch.Tensor
    real: torch.Tensor


def disturb(boxes: torch.Tensor, near: torch.Tensor, scale: float, generator: torch.Generator | None) -> torch.Tensor:
    """Move the corners: by up to ``scale`` of half the edges where near, else by one to two times that.

    (..., 4) centre and edges, (...) bool -> (..., 4) centre and edges.
    """
    half = boxes[..., 2:] / 2
    corners = torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], -1)
    step = torch.rand(boxes.shape, generator=generator, device=boxes.device) + (~near[..., None]).float()
    sign = torch.randint(0, 2, boxes.shape, generator=generator, device=boxes.device) * 2 - 1
    low, high = (corners + sign * step * scale * torch.cat([half, half], -1)).split(2, -1)
    return torch.cat([(low + high) / 2, (high - low).abs()], -1)


def disturbed(
    targets: list[torch.Tensor], config: LNTrackerConfig, generator: torch.Generator | None = None
) -> Noise | None:
    """Denoising queries for a batch: as many groups as ``denoising_queries`` allows, at least one.

    Parameters
    ----------
    targets : B tensors (n, 4), centre and edges, 0 to 1 across the slice
    generator : of random numbers; torch's own without one

    Returns
    -------
    None where no image has a box or the configuration wants no denoising.
    """
    most = max(len(boxes) for boxes in targets)
    if not most or not config.denoising_queries:
        return None
    groups = max(1, config.denoising_queries // most)
    device = targets[0].device
    truth = torch.stack([torch.cat([boxes, boxes.new_full((most - len(boxes), 4), 0.5)]) for boxes in targets])
    real = torch.stack([torch.arange(most, device=device) < len(boxes) for boxes in targets])
    truth, real = truth.repeat(1, 2 * groups, 1), real.repeat(1, 2 * groups)
    index = torch.arange(truth.shape[1], device=device)
    near = (index % (2 * most) < most).expand(len(targets), -1)
    flipped = torch.rand(near.shape, generator=generator, device=device) < config.label_flip
    group = index // (2 * most)
    return Noise(
        labels=(~flipped).long(),
        boxes=disturb(truth, near, config.box_noise, generator),
        hidden=(group[:, None] != group[None])[None],
        truth=truth,
        near=near & real,
        real=real,
    )

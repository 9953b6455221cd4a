"""Contrastive query denoising: disturbed boxes that the decoder learns to restore (near) or to reject (far).

Zhang et al., DINO, ICLR 2023, section 3.3. With one class, a flipped label is the embedding of "no node".
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from oncotrack.detection.lntracker.config import LNTrackerConfig


@dataclass
class Noise:
    """Disturbed queries of a batch; D per image, in groups that each contain every box twice.

    Attributes
    ----------
    labels : (B, D) long tensor
        1 for queries with the label "node".
    boxes : (B, D, 4) tensor
        Disturbed boxes: centre and edges, 0 to 1 across the slice.
    hidden : (1, D, D) bool tensor
        True between groups, which do not attend to each other.
    truth : (B, D, 4) tensor
        The undisturbed boxes.
    near : (B, D) bool tensor
        Queries to be restored.
    real : (B, D) bool tensor
        False for padding, in images with fewer boxes than the largest number in the batch.
    """

    labels: torch.Tensor
    boxes: torch.Tensor
    hidden: torch.Tensor
    truth: torch.Tensor
    near: torch.Tensor
    real: torch.Tensor


def disturb(boxes: torch.Tensor, near: torch.Tensor, scale: float, generator: torch.Generator | None) -> torch.Tensor:
    """Move the corners of boxes at random.

    Parameters
    ----------
    boxes : (..., 4) tensor
        Centre and edges.
    near : (...) bool tensor
        Where true, corners move by up to `scale` of half the edges; elsewhere by one to two times that.
    scale : float
        See `near`.
    generator : torch.Generator, optional
        Source of random numbers; torch's default if missing.

    Returns
    -------
    (..., 4) tensor
        Centre and edges.
    """
    half = boxes[..., 2:] / 2
    corners = torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], -1)
    step = torch.rand(boxes.shape, generator=generator, device=boxes.device) + (~near[..., None]).float()
    sign = torch.randint(0, 2, boxes.shape, generator=generator, device=boxes.device) * 2 - 1
    low, high = (corners + sign * step * scale * torch.cat([half, half], -1)).split(2, -1)
    return torch.cat([(low + high) / 2, (high - low).abs()], -1)


def denoising_queries(
    targets: list[torch.Tensor], config: LNTrackerConfig, generator: torch.Generator | None = None
) -> Noise | None:
    """Draw denoising queries for a batch: as many groups as ``denoising_queries`` allows, at least one.

    Parameters
    ----------
    targets : B tensors (n, 4)
        Centre and edges, 0 to 1 across the slice.
    config : LNTrackerConfig
        Number of queries and strength of the noise.
    generator : torch.Generator, optional
        Source of random numbers; torch's default if missing.

    Returns
    -------
    Noise or None
        None if no image has a box or the configuration has no denoising.
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

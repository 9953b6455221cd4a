"""Data of one slice: track queries, ground truth and the output of the network."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from oncotrack.detection.lntracker.denoising import Noise
from oncotrack.detection.lntracker.proposals import Proposals


@dataclass
class TrackQueries:
    """Queries passed from one slice to the next; padded with zeros in images of a batch that have fewer.

    Attributes
    ----------
    embedding : (B, T, C) tensor
        Features of the queries.
    boxes : (B, T, 4) tensor
        Centre and edges, 0 to 1 across the slice.
    present : (B, T) bool tensor
        False for padding.
    """

    embedding: torch.Tensor
    boxes: torch.Tensor
    present: torch.Tensor


@dataclass
class LNTargets:
    """Ground truth of one slice.

    Attributes
    ----------
    boxes : (n, 4) tensor
        Centre and edges, 0 to 1 across the slice.
    ids : (n,) long tensor
        Number of the node in the scan, the same on every slice.
    masks : (n, H, W) bool tensor, optional
        Masks of the nodes, needed for a mask branch.
    ignored : (H, W) bool tensor, optional
        What may be an unlabelled node, and is neither node nor background.
    """

    boxes: torch.Tensor
    ids: torch.Tensor
    masks: torch.Tensor | None = None
    ignored: torch.Tensor | None = None

    def to(self, device: torch.device) -> LNTargets:
        """Copy to a device.

        Parameters
        ----------
        device : torch.device
            Target device.

        Returns
        -------
        LNTargets
            The same targets.
        """
        masks, ignored = (None if each is None else each.to(device) for each in (self.masks, self.ignored))
        return LNTargets(self.boxes.to(device), self.ids.to(device), masks, ignored)


def in_ignored(boxes: torch.Tensor, targets: list[LNTargets]) -> torch.Tensor:
    """Return whether the centres of boxes lie on what may be an unlabelled node.

    Parameters
    ----------
    boxes : (..., B, N, 4) or (..., B, N, 2) tensor
        Centre, and edges or none, 0 to 1 across the slice.
    targets : list of LNTargets
        Ground truth of each of the B slices.

    Returns
    -------
    (..., B, N) bool tensor
        False on slices without ``ignored``.
    """
    inside = torch.zeros(boxes.shape[:-1], dtype=torch.bool, device=boxes.device)
    for n, target in enumerate(targets):
        if target.ignored is not None:
            height, width = target.ignored.shape
            x, y = boxes[..., n, :, :2].detach().unbind(-1)
            column, row = (x * width).long().clamp(0, width - 1), (y * height).long().clamp(0, height - 1)
            inside[..., n, :] = target.ignored[row, column]
    return inside


@dataclass
class Output:
    """Output of the network for a batch of slices; boxes are centre and edges, 0 to 1 across the slice.

    Attributes
    ----------
    size : (int, int)
        Width and height of the slice in pixels.
    logits : (L, B, N) tensor
        Of every decoder layer; the first ``n_tracks`` queries are the tracks.
    boxes : (L, B, N, 4) tensor
        Of every decoder layer.
    queries : (B, N, C) tensor
        Features of the last layer, before the heads.
    n_tracks : int
        T, number of track queries.
    present : (B, T) bool tensor
        False for padded tracks.
    similarity : (B, T, T) tensor or None
        Logits of equation 4, before by after; None without tracks or without the similarity loss.
    encoder_logits, encoder_boxes : (B, K) and (B, K, 4) tensors
        Of the proposals that became detection queries.
    masks : (B, N, h, w) tensor or None
        Logits of the last layer's masks at stride 4; None without a mask branch.
    dense : Proposals or None
        Every proposal, boxes in pixels; None unless the supervision is dense.
    noise : Noise or None
        Denoising queries; None outside training.
    noise_logits, noise_boxes : (L, B, D) and (L, B, D, 4) tensors or None
        Predictions of the denoising queries.
    """

    size: tuple[int, int]
    logits: torch.Tensor
    boxes: torch.Tensor
    queries: torch.Tensor
    n_tracks: int
    present: torch.Tensor
    similarity: torch.Tensor | None
    encoder_logits: torch.Tensor
    encoder_boxes: torch.Tensor
    masks: torch.Tensor | None = None
    dense: Proposals | None = None
    noise: Noise | None = None
    noise_logits: torch.Tensor | None = None
    noise_boxes: torch.Tensor | None = None

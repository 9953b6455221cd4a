"""Mask DINO's decoder over groups of queries, and which groups attend to which.

The queries of a slice form groups: detection, track and denoising. Every group attends to itself and to one other group,
its context. Detection queries have no context; track and denoising queries have the detection queries as theirs. This
is equation 3's masked attention, and because every group is decoded separately, the detection queries' output is bit for
bit independent of the other groups.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.detection.lntracker.anchors import MLP, QueryPosition, Relation, refine
from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.detection.lntracker.deformable import Cells, DeformableAttention, reads_cells
from oncotrack.detection.lntracker.encoder import FeedForward, as_tokens, map_shapes
from oncotrack.detection.lntracker.proposals import PRIOR

Keys = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Content, content plus position, and boxes of a group before a layer: (B, N, C), (B, N, C) and (B, N, 4)."""


@dataclass
class Memory:
    """Encoded slice that all groups of queries read.

    Attributes
    ----------
    values : list of list of (B, heads, C / heads, h, w) tensors, or list of Cells
        For each layer (and level), what cross-attention samples.
    size : (2,) tensor
        Width and height of the padded slice in pixels.
    """

    values: list[list[torch.Tensor]] | list[Cells]
    size: torch.Tensor


@dataclass
class Decoded:
    """A group of queries after the decoder.

    Attributes
    ----------
    logits : (L, B, N) tensor
        Of every layer.
    boxes : (L, B, N, 4) tensor
        Of every layer, in pixels.
    queries : (B, N, C) tensor
        Features of the last layer, before the heads.
    keys : list of Keys
        For each layer, what other groups may attend to.
    """

    logits: torch.Tensor
    boxes: torch.Tensor
    queries: torch.Tensor
    keys: list[Keys] = field(repr=False)

    def subset(self, which: slice) -> Decoded:
        """Return some of the queries.

        Parameters
        ----------
        which : slice
            Of the N queries.

        Returns
        -------
        Decoded
            Views of the same tensors.
        """
        keys = [(content[:, which], positioned[:, which], boxes[:, which]) for content, positioned, boxes in self.keys]
        return Decoded(self.logits[:, :, which], self.boxes[:, :, which], self.queries[:, which], keys)

    def after(self, first: Decoded) -> Decoded:
        """Return both groups as one, the queries of `first` before those of this group.

        Parameters
        ----------
        first : Decoded
            Another group of the same batch.

        Returns
        -------
        Decoded
            All queries.
        """
        return Decoded(
            torch.cat([first.logits, self.logits], 2),
            torch.cat([first.boxes, self.boxes], 2),
            torch.cat([first.queries, self.queries], 1),
            [_join_keys(a, b) for a, b in zip(first.keys, self.keys, strict=True)],
        )


def _join_keys(first: Keys, second: Keys) -> Keys:
    return torch.cat([first[0], second[0]], 1), torch.cat([first[1], second[1]], 1), torch.cat([first[2], second[2]], 1)


class DecoderLayer(nn.Module):
    """Self-attention, deformable cross-attention to the maps and a feed-forward network, each followed by a norm.

    Parameters
    ----------
    config : LNTrackerConfig
        Widths, heads, levels and points.
    """

    def __init__(self, config: LNTrackerConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.cross = DeformableAttention(width, config.heads, len(config.strides), config.points)
        self.ffn = FeedForward(width, config.decoder_ffn)
        self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(3)])
        for linear in (self.query, self.key, self.value, self.out):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def attend(self, x: torch.Tensor, position: torch.Tensor, keys: Keys, bias: torch.Tensor | None) -> torch.Tensor:
        """Compute self-attention.

        Parameters
        ----------
        x, position : (B, N, C) tensors
            Content and positional encoding of the queries.
        keys : Keys
            Of the M queries that are attended to.
        bias : (B or 1, heads or 1, N, M) tensor, optional
            Added to the attention logits.

        Returns
        -------
        (B, N, C) tensor
            Update of the content.
        """
        content, positioned, _ = keys
        query, key, value = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(x + position), self.key(positioned), self.value(content))
        )
        bias = None if bias is None else bias.to(query.dtype)
        return self.out(F.scaled_dot_product_attention(query, key, value, bias).transpose(1, 2).flatten(2))

    def forward(
        self,
        x: torch.Tensor,
        position: torch.Tensor,
        keys: Keys,
        bias: torch.Tensor | None,
        boxes: torch.Tensor,
        values: list[torch.Tensor] | Cells,
    ) -> torch.Tensor:
        """Compute the layer.

        Parameters
        ----------
        x, position : (B, N, C) tensors
            Content and positional encoding of the queries.
        keys : Keys
            Of the M queries that are attended to.
        bias : (B or 1, heads or 1, N, M) tensor, optional
            Added to the attention logits.
        boxes : (B, N, 4) tensor
            Centre and size, 0 to 1 across the image; sampling points are spread over them.
        values : list of (B, heads, C / heads, h, w) tensors, or Cells
            What cross-attention samples.

        Returns
        -------
        (B, N, C) tensor
            New content.
        """
        x = self.norms[0](x + self.attend(x, position, keys, bias))
        unit = boxes[:, :, None, 2:] * (0.5 / self.cross.points)
        x = self.norms[1](x + self.cross(x + position, boxes[..., :2], unit, values))
        return self.norms[2](x + self.ffn(x))


class Decoder(nn.Module):
    """All layers and the heads they share; boxes are refined from layer to layer, looking forward twice (DINO).

    Parameters
    ----------
    config : LNTrackerConfig
        Widths, number of layers and geometry.
    """

    def __init__(self, config: LNTrackerConfig) -> None:
        super().__init__()
        self.geometry = config.geometry
        self.layers = nn.ModuleList([DecoderLayer(config) for _ in range(config.decoder_layers)])
        self.position = QueryPosition(config.width, config.geometry, config.anchor_pixels)
        self.relation = Relation(config.heads) if config.geometry == "anchor" else None
        self.norm = nn.LayerNorm(config.width)
        self.score = nn.Linear(config.width, 1)
        self.box = MLP(config.width, config.width, 4, 3, last=0.01)
        nn.init.constant_(self.score.bias, PRIOR)

    def memory(self, maps: list[torch.Tensor], size: torch.Tensor) -> Memory:
        """Project the maps of a slice once for all groups of queries.

        Parameters
        ----------
        maps : list of (B, C, h, w) tensors
            One per level.
        size : (2,) tensor
            Width and height of the padded slice in pixels.

        Returns
        -------
        Memory
            Input of `forward`.
        """
        if reads_cells(maps[0]):
            return Memory([Cells(as_tokens(maps), map_shapes(maps))] * len(self.layers), size)
        layers = cast("Iterable[DecoderLayer]", self.layers)
        return Memory([layer.cross.values(maps) for layer in layers], size)

    def forward(
        self,
        content: torch.Tensor,
        boxes: torch.Tensor,
        memory: Memory,
        hidden: torch.Tensor | None = None,
        context: Decoded | None = None,
        known: torch.Tensor | None = None,
    ) -> Decoded:
        """Decode a group of queries.

        Parameters
        ----------
        content : (B, N, C) tensor
            Content of the queries.
        boxes : (B, N, 4) tensor
            Their initial boxes in pixels.
        memory : Memory
            The slice, from `memory`.
        hidden : (B or 1, N or 1, N) bool tensor, optional
            True where a query of the group does not attend to another; every query must attend to one, or have a context.
        context : Decoded, optional
            A group that this one attends to, but not the reverse.
        known : (B, N) tensor, optional
            Logits that the queries start with; the decoder adds to them.

        Returns
        -------
        Decoded
            Logits and boxes of every layer.
        """
        size, anchors, previous = memory.size, boxes, boxes
        x, logits, refined, keys = content, [], [], []
        normed = content
        for number, layer in enumerate(self.layers):
            position = self.position(anchors, size).to(x.dtype)
            keys.append((x, x + position, anchors))
            visible = keys[-1] if context is None else _join_keys(keys[-1], context.keys[number])
            bias = self._bias(anchors, visible[2], hidden)
            x = layer(x, position, visible, bias, anchors / size.repeat(2), memory.values[number])
            normed = self.norm(x)
            logits.append(self.score(normed)[..., 0].float() + (0.0 if known is None else known - PRIOR))
            deltas = self.box(normed)
            refined.append(refine(deltas, previous, size, self.geometry))
            previous = refine(deltas, anchors, size, self.geometry)
            anchors = previous.detach()
        return Decoded(torch.stack(logits), torch.stack(refined), normed, keys)

    def _bias(self, queries: torch.Tensor, keys: torch.Tensor, hidden: torch.Tensor | None) -> torch.Tensor | None:
        """Return the bias of the attention logits, (B or 1, h or 1, N or 1, M); keys start with the group's own."""
        bias = None if self.relation is None else self.relation(queries, keys)
        if hidden is None:
            return bias
        hidden = F.pad(hidden, (0, keys.shape[1] - hidden.shape[-1]))[:, None]
        if bias is None:
            bias = queries.new_zeros(1)
        return torch.where(hidden, float("-inf"), bias)

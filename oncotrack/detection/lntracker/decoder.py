"""Mask DINO's decoder over groups of queries, and who sees whom in it.

The queries of a slice form groups: detection, track and denoising. Every group attends to itself and to the group
named as its context. Detection queries have none, track and denoising queries have the detection queries: this is
equation 3's masked attention, and since a group is decoded on its own, what the detection queries answer does not
depend on the others in a single bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.detection.lntracker.anchors import MLP, QueryPosition, Relation, refine
from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.detection.lntracker.deformable import DeformableAttention
from oncotrack.detection.lntracker.encoder import FeedForward
from oncotrack.detection.lntracker.proposals import PRIOR


def attention_mask(n_track: int, n_detection: int) -> torch.Tensor:
    """Equation 3: (N, N) bool, N = n_track + n_detection; True where query i (row) does not see query j.

    The track queries come first. The decoder never builds this matrix: it decodes by groups, with the same effect.
    """
    is_track = torch.arange(n_track + n_detection) < n_track
    return is_track[None, :] & ~is_track[:, None]


@dataclass
class Memory:
    """What the queries of a slice read.

    Attributes
    ----------
    values : per layer, per level (B, heads, C / heads, h, w), what its cross-attention samples
    size : (2,), width and height of the padded slice in pixels
    """

    values: list[list[torch.Tensor]]
    size: torch.Tensor


@dataclass
class Decoded:
    """A group of queries after the decoder.

    Attributes
    ----------
    logits : (L, B, N)
    boxes : (L, B, N, 4) in pixels
    queries : (B, N, C), the last layer before the heads
    seen : per layer the content, position and boxes that other groups may attend to
    """

    logits: torch.Tensor
    boxes: torch.Tensor
    queries: torch.Tensor
    seen: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = field(repr=False)

    def part(self, which: slice) -> Decoded:
        """Some of the queries."""
        seen = [tuple(each[:, which] for each in layer) for layer in self.seen]
        return Decoded(self.logits[:, :, which], self.boxes[:, :, which], self.queries[:, which], seen)

    def after(self, first: Decoded) -> Decoded:
        """Both groups as one, ``first`` before this one."""
        return Decoded(
            torch.cat([first.logits, self.logits], 2),
            torch.cat([first.boxes, self.boxes], 2),
            torch.cat([first.queries, self.queries], 1),
            [_join(a, b) for a, b in zip(first.seen, self.seen, strict=True)],
        )


def _join(own: tuple[torch.Tensor, ...], other: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(torch.cat(pair, 1) for pair in zip(own, other, strict=True))


class DecoderLayer(nn.Module):
    """Self-attention, deformable cross-attention to the maps and a feed-forward network, with norms after each."""

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

    def attend(
        self, x: torch.Tensor, position: torch.Tensor, others: torch.Tensor, placed: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        """Self-attention of (B, N, C) to (B, M, C) ``others`` (``placed`` with their position); (B, h, N, M) bias."""
        query, key, value = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(x + position), self.key(placed), self.value(others))
        )
        bias = None if bias is None else bias.to(query.dtype)
        return self.out(F.scaled_dot_product_attention(query, key, value, bias).transpose(1, 2).flatten(2))

    def forward(
        self,
        x: torch.Tensor,
        position: torch.Tensor,
        others: torch.Tensor,
        placed: torch.Tensor,
        bias: torch.Tensor | None,
        boxes: torch.Tensor,
        values: list[torch.Tensor],
    ) -> torch.Tensor:
        """(B, N, C) -> (B, N, C); ``boxes`` from 0 to 1 across the image, in which the points are spread."""
        x = self.norms[0](x + self.attend(x, position, others, placed, bias))
        unit = boxes[:, :, None, 2:] * (0.5 / self.cross.points)
        x = self.norms[1](x + self.cross(x + position, boxes[..., :2], unit, values))
        return self.norms[2](x + self.ffn(x))


class Decoder(nn.Module):
    """All layers and the heads they share; boxes are refined from layer to layer, looking forward twice (DINO)."""

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
        """What all groups of a slice read of its maps, one (B, C, h, w) per level."""
        return Memory([layer.cross.values(maps) for layer in self.layers], size)

    def forward(
        self,
        content: torch.Tensor,
        boxes: torch.Tensor,
        memory: Memory,
        hidden: torch.Tensor | None = None,
        context: Decoded | None = None,
        known: torch.Tensor | None = None,
    ) -> Decoded:
        """Decode a group.

        Parameters
        ----------
        content : (B, N, C)
        boxes : (B, N, 4) in pixels
        memory : what `memory` made of the maps
        hidden : (B or 1, N or 1, N) bool
            True where a query of the group does not see another of it; every query must see one, or a context.
        context : a group that this one sees and that does not see this one
        known : (B, N), logits of the scores that the queries come with; the decoder's are relative to them
        """
        size, anchors, previous = memory.size, boxes, boxes
        x, logits, refined, seen = content, [], [], []
        for number, layer in enumerate(self.layers):
            position = self.position(anchors, size).to(x.dtype)
            seen.append((x, x + position, anchors))
            keys = seen[-1] if context is None else _join(seen[-1], context.seen[number])
            bias = self._bias(anchors, keys[2], hidden)
            x = layer(x, position, keys[0], keys[1], bias, anchors / size.repeat(2), memory.values[number])
            normed = self.norm(x)
            logits.append(self.score(normed)[..., 0].float() + (0.0 if known is None else known - PRIOR))
            deltas = self.box(normed)
            refined.append(refine(deltas, previous, size, self.geometry))
            previous = refine(deltas, anchors, size, self.geometry)
            anchors = previous.detach()
        return Decoded(torch.stack(logits), torch.stack(refined), normed, seen)

    def _bias(self, queries: torch.Tensor, keys: torch.Tensor, hidden: torch.Tensor | None) -> torch.Tensor | None:
        """(B or 1, h or 1, N or 1, M) what is added to the attention's logits; keys begin with the group's own."""
        bias = None if self.relation is None else self.relation(queries, keys)
        if hidden is None:
            return bias
        hidden = F.pad(hidden, (0, keys.shape[1] - hidden.shape[-1]))[:, None]
        if bias is None:
            bias = queries.new_zeros(1)
        return torch.where(hidden, float("-inf"), bias)

"""Cross-attention with the anatomical mask (equations 2 and 3)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


def raam(gaussian: torch.Tensor, selected: int) -> torch.Tensor:
    """Return the anatomical attention mask, (B, L, N): equation 2, ``M_A = O G_s^T`` with O a column of ones.

    Every template cell gets the same mask, which favours the search cells near the expected position.

    Parameters
    ----------
    gaussian : (B, N) tensor
        G_s, the registered Gaussian map of each sample.
    selected : int
        L, the number of template cells.
    """
    return gaussian[:, None, :].expand(-1, selected, -1)


def attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Compute equation 3, ``softmax(Q K^T / sqrt(d_k) + M_A) V``, for every head.

    Parameters
    ----------
    query : (B, heads, Lq, d) tensor
        Q.
    key, value : (B, heads, Lk, d) tensor
        K and V.
    mask : (B, Lq, Lk) tensor
        M_A, added to the logits of all heads; minus infinity excludes a key.

    Returns
    -------
    (B, heads, Lq, d) tensor
        The attended values.
    """
    logits = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    return (logits + mask[:, None]).softmax(-1).to(value.dtype) @ value


class CrossAttention(nn.Module):
    """Cross-attention block (fig. 1b): attention, addition, norm; feed-forward layers, addition, norm.

    Parameters
    ----------
    width : int
        C, channels.
    heads : int
        Attention heads.
    ffn : int
        Width of the feed-forward layers.
    dropout : float
        Probability of dropout.
    null_key : bool
        Whether a key of zeros with a value of zeros is added.
    """

    def __init__(self, width: int, heads: int, ffn: int, dropout: float, null_key: bool) -> None:
        super().__init__()
        self.heads, self.null_key = heads, null_key
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.forward_layers = nn.Sequential(
            nn.Linear(width, ffn), nn.ReLU(), nn.Dropout(dropout), nn.Linear(ffn, width), nn.Dropout(dropout)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        features: torch.Tensor,
        position: torch.Tensor,
        other: torch.Tensor,
        other_position: torch.Tensor,
        mask: torch.Tensor,
    ) -> torch.Tensor:
        """Enhance the features of one image by those of the other, (B, Lq, C).

        Parameters
        ----------
        features, position : (B, Lq, C) tensor
            The image to enhance; positions are added to queries and keys.
        other, other_position : (B, Lk, C) tensor
            The other image.
        mask : (B, Lq, Lk) tensor
            Added to the attention logits.
        """
        query = self._split(self.query(features + position))
        key, value = self._split(self.key(other + other_position)), self._split(self.value(other))
        if self.null_key:
            key, value = F.pad(key, (0, 0, 0, 1)), F.pad(value, (0, 0, 0, 1))
            mask = F.pad(mask, (0, 1))
        attended = attention(query, key, value, mask).transpose(1, 2).flatten(2)
        features = self.norm1(features + self.dropout(self.out(attended)))
        return self.norm2(features + self.forward_layers(features))

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

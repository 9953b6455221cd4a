"""The cross-attention transformer (sec. 3.2): template and search line, level by level, then a last search layer."""

from __future__ import annotations

import math

import torch
from torch import nn

from oncotrack.followup.tlt.attention import CrossAttention, raam
from oncotrack.followup.tlt.config import TLTConfig

_LONGEST_MM = 400.0


def sine_position(offset_mm: torch.Tensor, width: int, shortest_mm: float) -> torch.Tensor:
    """Encode offsets from the clicked or expected position as sines and cosines, (..., C).

    Parameters
    ----------
    offset_mm : (..., 3) tensor
        Millimetres along z, y, x.
    width : int
        C; channels beyond the sines and cosines of three axes are zero.
    shortest_mm : float
        Shortest wavelength; they increase geometrically to 400 mm.
    """
    waves = width // 6
    lengths = torch.logspace(math.log10(shortest_mm), math.log10(_LONGEST_MM), waves, device=offset_mm.device)
    angles = offset_mm[..., None] * (2 * math.pi / lengths)
    filled = torch.cat([angles.sin(), angles.cos()], -1).flatten(-2)
    return torch.nn.functional.pad(filled, (0, width - 6 * waves))


class Transformer(nn.Module):
    """N levels of cross-attention on template line and search line, then one more on the search line.

    Parameters
    ----------
    config : TLTConfig
        The network's configuration.
    """

    def __init__(self, config: TLTConfig) -> None:
        super().__init__()
        make = (config.width, config.heads, config.ffn, config.dropout, config.null_key)
        self.template_line = nn.ModuleList(CrossAttention(*make) for _ in range(config.levels))
        self.search_line = nn.ModuleList(CrossAttention(*make) for _ in range(config.levels))
        self.final = CrossAttention(*make)

    def forward(
        self,
        template: torch.Tensor,
        template_position: torch.Tensor,
        present: torch.Tensor,
        search: torch.Tensor,
        search_position: torch.Tensor,
        gaussian: torch.Tensor,
    ) -> torch.Tensor:
        """Fuse the selected template cells into the search cells, (B, N, C).

        Parameters
        ----------
        template, template_position : (B, L, C) tensor
            Selected template cells and their position codes.
        present : (B, L) bool tensor
            False where `template` is padded.
        search, search_position : (B, N, C) tensor
            Search cells and their position codes.
        gaussian : (B, N) tensor
            Registered Gaussian map of each sample.
        """
        to_search = raam(gaussian, template.shape[1])
        to_template = to_search.transpose(1, 2).masked_fill(~present[:, None, :], -torch.inf)
        for template_layer, search_layer in zip(self.template_line, self.search_line, strict=True):
            template, search = (
                template_layer(template, template_position, search, search_position, to_search),
                search_layer(search, search_position, template, template_position, to_template),
            )
        return self.final(search, search_position, template, template_position, to_template)

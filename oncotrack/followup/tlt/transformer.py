"""The cross attention-based transformer (sec. 3.2): both lines, level by level, and a last layer on the search line."""

from __future__ import annotations

import math

import torch
from torch import nn

from oncotrack.followup.tlt.attention import CrossAttention, raam
from oncotrack.followup.tlt.config import TLTConfig

_LONGEST_MM = 400.0


def sine_position(offset_mm: torch.Tensor, width: int, shortest_mm: float) -> torch.Tensor:
    """Sines and cosines of where a cell lies from the clicked or expected place.

    Parameters
    ----------
    offset_mm : (..., 3) mm along z, y, x
    width : C; what three axes of sines and cosines do not fill is zero
    shortest_mm : shortest wave; they grow geometrically to 400 mm

    Returns
    -------
    (..., C) tensor
    """
    waves = width // 6
    lengths = torch.logspace(math.log10(shortest_mm), math.log10(_LONGEST_MM), waves, device=offset_mm.device)
    angles = offset_mm[..., None] * (2 * math.pi / lengths)
    filled = torch.cat([angles.sin(), angles.cos()], -1).flatten(-2)
    return torch.nn.functional.pad(filled, (0, width - 6 * waves))


class Transformer(nn.Module):
    """N levels of cross-attention on the template line and the search line, then one more on the search line."""

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
        """Fuse the selected template cells into the search cells.

        Parameters
        ----------
        template, template_position : (B, L, C)
        present : (B, L) bool, False where `template` is padding
        search, search_position : (B, N, C)
        gaussian : (B, N), registered Gaussian map, one a sample

        Returns
        -------
        (B, N, C) tensor
        """
        to_search = raam(gaussian, template.shape[1])
        to_template = to_search.transpose(1, 2).masked_fill(~present[:, None, :], -torch.inf)
        for template_layer, search_layer in zip(self.template_line, self.search_line, strict=True):
            template, search = (
                template_layer(template, template_position, search, search_position, to_search),
                search_layer(search, search_position, template, template_position, to_template),
            )
        return self.final(search, search_position, template, template_position, to_template)

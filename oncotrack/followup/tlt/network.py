"""TLT: a baseline crop with a clicked lesion and a follow-up crop in, where the lesion is now out."""

from __future__ import annotations

import torch
from torch import nn

from oncotrack.followup.lesion_pairs import LesionPairs
from oncotrack.followup.tlt.backbone import TLTBackbone, windowed
from oncotrack.followup.tlt.config import TLTConfig
from oncotrack.followup.tlt.predictor import Prediction, Predictor, cell_places
from oncotrack.followup.tlt.selection import gaussian_map, select
from oncotrack.followup.tlt.similarity import TLTSimilarity
from oncotrack.followup.tlt.transformer import Transformer, sine_position


class TLT(nn.Module):
    """The network (fig. 1a); see `TLTConfig` for its parts."""

    def __init__(self, config: TLTConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = TLTBackbone(config)
        self.transformer = Transformer(config)
        self.predictor = Predictor(config)
        self.similarity = TLTSimilarity(config.width, *config.lattice) if config.lattice else None
        self.prior_gain = nn.Parameter(torch.ones(())) if config.lattice else None

    def encode(self, image: torch.Tensor) -> torch.Tensor:
        """(B, 1, D, H, W) HU -> (B, C, D / stride, H / stride, W / stride)."""
        return self.backbone(windowed(image, self.config.windows))

    def match(
        self,
        template: torch.Tensor,
        template_centre: torch.Tensor,
        search: torch.Tensor,
        expected: torch.Tensor,
        radius_mm: torch.Tensor,
    ) -> Prediction:
        """Find lesions between encoded crops.

        Parameters
        ----------
        template, search : (B, C, ...), of `encode`; they may differ in size
        template_centre : (B, 3) clicked places, voxels z, y, x of the template crops
        expected : (B, 3) affine-projected places, voxels of the search crops
        radius_mm : (B,)
        """
        config, shape = self.config, tuple(search.shape[2:])
        lesion = gaussian_map(template.shape[2:], config.stride, template_centre, radius_mm, config.spacing)
        selected = select(template, lesion, config.threshold, config.most_selected)
        width_mm = radius_mm.clamp_min(config.raam_radius_mm)
        registered = gaussian_map(shape, config.stride, expected, width_mm, config.spacing)
        template_places = self._offsets(tuple(template.shape[2:]), template_centre).gather(
            1, selected.cells[..., None].expand(-1, -1, 3)
        )
        search_places = self._offsets(shape, expected)
        fused = self.transformer(
            selected.features,
            self._position(template_places),
            selected.present,
            search.flatten(2).transpose(1, 2),
            self._position(search_places),
            registered.flatten(1),
        )
        prediction = self.predictor(fused, shape)
        if self.similarity is None:
            return prediction
        clicked = (template_centre.float() - (config.stride - 1) / 2) / config.stride
        alike = self.similarity(template, clicked, search)
        apart = search_places.square().sum(-1).unflatten(1, shape) / (3 * width_mm[:, None, None, None] ** 2)
        likely = (alike - self.prior_gain * apart).flatten(1).log_softmax(1).unflatten(1, shape)
        return Prediction(prediction.logits + likely, prediction.centres)

    def forward(self, pairs: LesionPairs) -> Prediction:
        """A training batch; of the template only the middle, ``template_crop``, is looked at."""
        template, centre = trimmed(pairs.template, pairs.template_centre, self.config.template_crop)
        return self.match(self.encode(template), centre, self.encode(pairs.search), pairs.expected, pairs.radius_mm)

    def _offsets(self, shape: tuple[int, ...], centre: torch.Tensor) -> torch.Tensor:
        """(B, N, 3) mm along z, y, x from a place to the middles of the cells."""
        places = cell_places(shape, self.config.stride, centre.device).flatten(1).T
        return (places - centre[:, None].float()) * places.new_tensor(self.config.spacing)

    def _position(self, offset_mm: torch.Tensor) -> torch.Tensor:
        return sine_position(offset_mm, self.config.width, 2 * self.config.stride * min(self.config.spacing))


def trimmed(
    images: torch.Tensor, centre: torch.Tensor, size: tuple[int, int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Parts of (B, 1, D, H, W) images of `size` voxels round (B, 3) places, and the places in them."""
    room = centre.new_tensor(images.shape[2:]) - centre.new_tensor(size)
    start = (centre - centre.new_tensor(size) / 2).round().clamp_min(0).minimum(room)
    parts = [
        image[:, z : z + size[0], y : y + size[1], x : x + size[2]]
        for image, (z, y, x) in zip(images, start.long().tolist(), strict=True)
    ]
    return torch.stack(parts), centre - start

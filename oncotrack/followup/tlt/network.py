"""The TLT network: from a baseline crop with a clicked lesion and a follow-up crop to the lesion's new position."""

from __future__ import annotations

import torch
from torch import nn

from oncotrack.followup.crops import window_channels
from oncotrack.followup.lesion_pairs import LesionPairs
from oncotrack.followup.tlt.backbone import TLTBackbone
from oncotrack.followup.tlt.config import TLTConfig
from oncotrack.followup.tlt.predictor import Prediction, Predictor, cell_centres
from oncotrack.followup.tlt.selection import gaussian_map, select
from oncotrack.followup.tlt.similarity import TLTSimilarity
from oncotrack.followup.tlt.transformer import Transformer, sine_position


class TLT(nn.Module):
    """The network (fig. 1a).

    Parameters
    ----------
    config : TLTConfig
        Its shape and optional parts.
    """

    def __init__(self, config: TLTConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = TLTBackbone(config)
        self.transformer = Transformer(config)
        self.predictor = Predictor(config)
        self.similarity = TLTSimilarity(config.width, *config.lattice) if config.lattice else None
        self.prior_gain = nn.Parameter(torch.ones(())) if config.lattice else None

    def encode(self, image: torch.Tensor) -> torch.Tensor:
        """Return the features of an image, (B, C, D / stride, H / stride, W / stride).

        Parameters
        ----------
        image : (B, 1, D, H, W) tensor
            HU.
        """
        return self.backbone(window_channels(image, self.config.windows))

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
        template, search : (B, C, ...) tensor
            Results of `encode`; their sizes may differ.
        template_centre : (B, 3) tensor
            Clicked positions, voxels z, y, x of the template crops.
        expected : (B, 3) tensor
            Positions from the affine registration, voxels of the search crops.
        radius_mm : (B,) tensor
            Lesion radii.
        """
        config, shape = self.config, tuple(search.shape[2:])
        lesion = gaussian_map(template.shape[2:], config.stride, template_centre, radius_mm, config.spacing)
        selected = select(template, lesion, config.threshold, config.most_selected)
        width_mm = radius_mm.clamp_min(config.raam_radius_mm)
        registered = gaussian_map(shape, config.stride, expected, width_mm, config.spacing)
        template_offsets = self._offsets(tuple(template.shape[2:]), template_centre).gather(
            1, selected.cells[..., None].expand(-1, -1, 3)
        )
        search_offsets = self._offsets(shape, expected)
        fused = self.transformer(
            selected.features,
            self._position(template_offsets),
            selected.present,
            search.flatten(2).transpose(1, 2),
            self._position(search_offsets),
            registered.flatten(1),
        )
        prediction = self.predictor(fused, shape)
        if self.similarity is None or self.prior_gain is None:
            return prediction
        clicked = (template_centre.float() - (config.stride - 1) / 2) / config.stride
        similarity = self.similarity(template, clicked, search)
        distance = search_offsets.square().sum(-1).unflatten(1, shape) / (3 * width_mm[:, None, None, None] ** 2)
        log_prior = (similarity - self.prior_gain * distance).flatten(1).log_softmax(1).unflatten(1, shape)
        return Prediction(prediction.logits + log_prior, prediction.centres)

    def forward(self, pairs: LesionPairs) -> Prediction:
        """Return the prediction of a training batch; only the middle of the template, ``template_crop``, is used.

        Parameters
        ----------
        pairs : LesionPairs
            The batch.
        """
        template, centre = trim(pairs.template, pairs.template_centre, self.config.template_crop)
        return self.match(self.encode(template), centre, self.encode(pairs.search), pairs.expected, pairs.radius_mm)

    def _offsets(self, shape: tuple[int, ...], centre: torch.Tensor) -> torch.Tensor:
        """Return the offsets from a point to all cell centres, (B, N, 3) mm along z, y, x."""
        centres = cell_centres(shape, self.config.stride, centre.device).flatten(1).T
        return (centres - centre[:, None].float()) * centres.new_tensor(self.config.spacing)

    def _position(self, offset_mm: torch.Tensor) -> torch.Tensor:
        return sine_position(offset_mm, self.config.width, 2 * self.config.stride * min(self.config.spacing))


def trim(images: torch.Tensor, centre: torch.Tensor, size: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Crop each image round a point; return the crops and the points in them.

    Parameters
    ----------
    images : (B, 1, D, H, W) tensor
        At least as large as `size`.
    centre : (B, 3) tensor
        Voxels z, y, x.
    size : (3,) int
        Voxels of the crop along z, y, x.
    """
    last_start = centre.new_tensor(images.shape[2:]) - centre.new_tensor(size)
    start = (centre - centre.new_tensor(size) / 2).round().clamp_min(0).minimum(last_start)
    crops = [
        image[:, z : z + size[0], y : y + size[1], x : x + size[2]]
        for image, (z, y, x) in zip(images, start.long().tolist(), strict=True)
    ]
    return torch.stack(crops), centre - start

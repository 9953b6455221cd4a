"""TLT as a tracker."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from oncotrack.followup.candidates import Answer
from oncotrack.followup.learned import LearnedTracker, Question
from oncotrack.followup.peaks import Peak
from oncotrack.followup.tlt.config import CONFIGS, TLTConfig
from oncotrack.followup.tlt.network import TLT
from oncotrack.followup.tlt.predictor import Prediction, cell_places, global_regression


class TLTTracker(LearnedTracker):
    """The Transformer Lesion Tracker with its weights; see `LearnedTracker`.

    References
    ----------
    Tang et al., Transformer Lesion Tracker, MICCAI 2022.
    """

    name = "tlt"
    title = "Transformer Lesion Tracker"
    configs = CONFIGS
    kind = TLT

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        """(B, 1, D, H, W) HU -> (C, d, h, w) each."""
        return list(self.network.encode(images))

    def answers(self, questions: Sequence[Question]) -> list[Answer]:
        """Classification of the search cells, with the globally regressed centre."""
        clicked, expected, radius = self.places(questions)
        template, search = (
            torch.stack([crop.features for crop in crops])
            for crops in ([each.source for each in questions], [each.target for each in questions])
        )
        said = self.network.match(template, clicked, search, expected, radius)
        return [
            _answer(Prediction(said.logits[n : n + 1], said.centres[n : n + 1]), self.config)
            for n in range(len(questions))
        ]


def _answer(prediction: Prediction, config: TLTConfig) -> Answer:
    """One sample's answer, its centre by equation 4."""
    places = cell_places(tuple(prediction.logits.shape[1:]), config.stride, prediction.logits.device)

    def centre(peak: Peak, is_best: bool) -> np.ndarray:
        near = _near(places, peak.cell, config, is_best)
        return global_regression(prediction, near[None])[0].cpu().numpy()

    return Answer(prediction.logits[0].float().cpu().numpy(), (config.stride,) * 3, centre)


def _near(places: torch.Tensor, cell: tuple[int, int, int], config: TLTConfig, is_best: bool) -> torch.Tensor:
    """Which cells are regressed together: all for the one answer of equation 4, else those round the cell.

    An alternative's window is half as wide, so that it does not reach the best cell.
    """
    if not config.window_mm and is_best:
        return torch.ones(places.shape[1:], dtype=torch.bool, device=places.device)
    spacing = places.new_tensor(config.spacing)[:, None, None, None]
    apart = (places - places[(slice(None), *cell)][:, None, None, None]) * spacing
    return apart.square().sum(0) <= (config.window_mm if is_best else config.window_mm / 2) ** 2

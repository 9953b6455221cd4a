"""TLT as a tracker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from oncotrack.followup.candidates import CandidateMap
from oncotrack.followup.learned import LearnedTracker
from oncotrack.followup.peaks import Peak
from oncotrack.followup.search_requests import SearchRequest, request_tensors
from oncotrack.followup.tlt.config import CONFIGS, TLTConfig
from oncotrack.followup.tlt.network import TLT
from oncotrack.followup.tlt.predictor import Prediction, cell_centres, global_regression


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
    config: TLTConfig
    network: TLT

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the features (C, d, h, w) of each image.

        Parameters
        ----------
        images : (B, 1, D, H, W) tensor
            HU.
        """
        return list(self.network.encode(images))

    def search(self, requests: Sequence[SearchRequest]) -> list[CandidateMap]:
        """Return the classification of the search cells; centres are regressed by equation 4.

        Parameters
        ----------
        requests : sequence of SearchRequest
            The batch.
        """
        clicked, expected, radius = request_tensors(requests, self.device)
        template, search = (
            torch.stack([crop.features for crop in crops])
            for crops in ([each.source for each in requests], [each.target for each in requests])
        )
        batch = self.network.match(template, clicked, search, expected, radius)
        edge = self.config.stride
        maps: list[CandidateMap] = []
        for n in range(len(requests)):
            prediction = Prediction(batch.logits[n : n + 1], batch.centres[n : n + 1])
            maps.append(
                TLTCandidateMap(prediction.logits[0].float().cpu().numpy(), (edge, edge, edge), prediction, self.config)
            )
        return maps


@dataclass(frozen=True, eq=False)
class TLTCandidateMap(CandidateMap):
    """Classification of the search cells, with the regressed centres of one sample.

    Attributes
    ----------
    prediction : Prediction
        Network output of a batch of one.
    config : TLTConfig
        The network's configuration.
    """

    prediction: Prediction
    config: TLTConfig

    def refine_centre(self, peak: Peak, is_best: bool) -> np.ndarray:
        """Return the globally regressed centre round a peak, (3,) voxels z, y, x (equation 4).

        Parameters
        ----------
        peak : Peak
            Peak of the logits.
        is_best : bool
            Whether it is the highest one.
        """
        near = self._regression_window(peak.cell, is_best)
        return global_regression(self.prediction, near[None])[0].cpu().numpy()

    def _regression_window(self, cell: tuple[int, int, int], is_best: bool) -> torch.Tensor:
        """Return the cells to regress together, (D, H, W) bool.

        For the best peak these are all cells, as in equation 4, or those within ``window_mm``; for an alternative those
        within half of it, so that the best cell is not among them.
        """
        logits, config = self.prediction.logits, self.config
        centres = cell_centres(tuple(logits.shape[1:]), config.stride, logits.device)
        if not config.window_mm and is_best:
            return torch.ones(centres.shape[1:], dtype=torch.bool, device=centres.device)
        spacing = centres.new_tensor(config.spacing)[:, None, None, None]
        distance = (centres - centres[(slice(None), *cell)][:, None, None, None]) * spacing
        return distance.square().sum(0) <= (config.window_mm if is_best else config.window_mm / 2) ** 2

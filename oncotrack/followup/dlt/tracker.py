"""DLT as a tracker."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from oncotrack.followup.candidates import CandidateMap
from oncotrack.followup.dlt.config import CONFIGS, DLTConfig
from oncotrack.followup.dlt.network import DLT, Features
from oncotrack.followup.learned import LearnedTracker
from oncotrack.followup.search_requests import SearchRequest, request_tensors


class DLTTracker(LearnedTracker):
    """The Deep Lesion Tracker with its weights; see `LearnedTracker`.

    The centre is the maximum of the probability map (sec. 3.3), refined by a parabola along each axis.

    References
    ----------
    Cai et al., Deep Lesion Tracker, CVPR 2021.
    """

    name = "dlt"
    title = "Deep Lesion Tracker"
    configs = CONFIGS
    kind = DLT
    config: DLTConfig
    network: DLT

    def encode(self, images: torch.Tensor) -> list[Features]:
        """Return the three feature maps of each image.

        Parameters
        ----------
        images : (B, 1, D, H, W) tensor
            HU.
        """
        return list(zip(*self.network.encode(images), strict=True))

    def search(self, requests: Sequence[SearchRequest]) -> list[CandidateMap]:
        """Return the probability map of each request.

        Parameters
        ----------
        requests : sequence of SearchRequest
            The batch.
        """
        clicked, expected, radius = request_tensors(requests, self.device)
        template, search = (
            tuple(torch.stack(scale) for scale in zip(*(crop.features for crop in crops), strict=True))
            for crops in ([each.source for each in requests], [each.target for each in requests])
        )
        kernels = self.network.template(template, clicked, radius)
        logits = self.network.search(search, kernels, expected, radius)
        stride = (1, self.config.strides[0], self.config.strides[0])
        return [CandidateMap(each, stride) for each in logits.float().cpu().numpy()]

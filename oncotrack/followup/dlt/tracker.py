"""DLT as a tracker."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from oncotrack.followup.candidates import Answer
from oncotrack.followup.dlt.config import CONFIGS
from oncotrack.followup.dlt.network import DLT, Features
from oncotrack.followup.learned import LearnedTracker, Question
from oncotrack.followup.peaks import Peak


class DLTTracker(LearnedTracker):
    """The Deep Lesion Tracker with its weights; see `LearnedTracker`.

    The centre is the highest place of the probability map (sec. 3.3), between its cells by a parabola.

    References
    ----------
    Cai et al., Deep Lesion Tracker, CVPR 2021.
    """

    name = "dlt"
    title = "Deep Lesion Tracker"
    configs = CONFIGS
    kind = DLT

    def encode(self, images: torch.Tensor) -> list[Features]:
        """(B, 1, D, H, W) HU -> three maps of each."""
        return list(zip(*self.network.encode(images), strict=True))

    def answers(self, questions: Sequence[Question]) -> list[Answer]:
        """The probability maps."""
        clicked, expected, radius = self.places(questions)
        template, search = (
            tuple(torch.stack(scale) for scale in zip(*(crop.features for crop in crops), strict=True))
            for crops in ([each.source for each in questions], [each.target for each in questions])
        )
        kernels = self.network.template(template, clicked, radius)
        logits = self.network.search(search, kernels, expected, radius)
        stride = (1, self.config.strides[0], self.config.strides[0])

        def centre(peak: Peak, _is_best: bool) -> list[float]:
            return [cell * step + (step - 1) / 2 for cell, step in zip(peak.place, stride, strict=True)]

        return [Answer(each, stride, centre) for each in logits.float().cpu().numpy()]

"""Searches of a learned tracker: what is looked for, where, and the return from a candidate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from oncotrack.findings.finding import Point, point
from oncotrack.followup.crops import EncodedCrop
from oncotrack.registration.registration import Registration


class SearchRequest(NamedTuple):
    """A search for the tissue at `clicked` of `source` near `expected` in `target`; points in RAS mm."""

    source: EncodedCrop
    clicked: Point
    target: EncodedCrop
    expected: Point
    radius_mm: float

    def reversed_at(self, position: Point, registration: Registration) -> SearchRequest:
        """Return the request that searches the baseline for the tissue at a position of the follow-up.

        Parameters
        ----------
        position : (3,) float
            RAS mm in the follow-up.
        registration : Registration
            Of the two scans.
        """
        back = point(registration.to_baseline(position))
        return SearchRequest(self.target, position, self.source, back, self.radius_mm * registration.scale)


def request_tensors(
    requests: Sequence[SearchRequest], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return clicked and expected positions, (B, 3) voxels z, y, x of their crops, and radii, (B,) mm.

    Parameters
    ----------
    requests : sequence of SearchRequest
        The batch.
    device : torch.device
        Where the network is.
    """
    clicked = torch.stack([each.source.crop.to_voxel(each.clicked) for each in requests])
    expected = torch.stack([each.target.crop.to_voxel(each.expected) for each in requests])
    radius = torch.tensor([each.radius_mm for each in requests], dtype=torch.float32)
    return clicked.to(device), expected.to(device), radius.to(device)

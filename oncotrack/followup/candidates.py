"""Where an answer of a network says that the lesion is: the best places of a scan, sub-voxel, with their scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from oncotrack.findings.finding import Point, point
from oncotrack.followup.crops import EncodedCrop
from oncotrack.followup.peaks import Peak, peaks
from oncotrack.images.geometry import Geometry

_APART_MM = 10.0


@dataclass(frozen=True, eq=False)
class Answer:
    """What a network says of a crop that was searched.

    Attributes
    ----------
    logits : (D, H, W) float32 ndarray, one cell each
    stride : voxels per cell along z, y, x
    centre : of a peak of the logits, voxels z, y, x of the crop; the second argument tells whether it is the best one
    """

    logits: np.ndarray
    stride: tuple[int, int, int]
    centre: Callable[[Peak, bool], Sequence[float]]

    @property
    def probabilities(self) -> np.ndarray:
        """(D, H, W), 0 to 1."""
        return np.exp(-np.logaddexp(0.0, -self.logits))


@dataclass(frozen=True)
class Candidate:
    """A place, RAS mm, its score, 0 to 1, and how far matching back from it misses the click; None if not at all."""

    place: Point
    score: float
    cycle_error_mm: float | None = None

    @property
    def cycle_or_inf(self) -> float:
        """The cycle error to compare by."""
        return np.inf if self.cycle_error_mm is None else self.cycle_error_mm


def candidates(answer: Answer, searched: EncodedCrop, count: int) -> list[Candidate]:
    """Up to `count` places that the scan shows, the best first: peaks 10 mm apart whose centres do not fall together."""
    grid = searched.crop.cells(answer.logits.shape, answer.stride)
    scan = searched.scan.geometry
    logits = np.where(scan.contains(_middles(grid)), answer.logits, -np.inf)
    found = []
    for peak in peaks(logits, grid.spacing[::-1], count, _APART_MM):
        centre = point(searched.crop.ras(answer.centre(peak, not found)))
        is_new = all(np.linalg.norm(np.subtract(centre, other.place)) > _APART_MM / 2 for other in found)
        if is_new and scan.contains(centre):
            found.append(Candidate(centre, float(answer.probabilities[peak.cell])))
    return found


def _middles(grid: Geometry) -> np.ndarray:
    """(D, H, W, 3) RAS mm."""
    cells = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    return grid.to_ras(cells[..., ::-1])

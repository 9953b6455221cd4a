"""Candidates for a lesion's position, read from a network's output: the highest peaks with their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from oncotrack.findings.finding import Point, point
from oncotrack.followup.crops import EncodedCrop
from oncotrack.followup.peaks import Peak, find_peaks
from oncotrack.images.geometry import Geometry

_MINIMUM_DISTANCE_MM = 10.0


@dataclass(frozen=True, eq=False)
class CandidateMap:
    """Score of every cell of a searched crop, as the network returned it.

    Attributes
    ----------
    logits : (D, H, W) float32 ndarray
        One value per cell, before the sigmoid.
    stride : (int, int, int)
        Voxels per cell along z, y, x.
    """

    logits: np.ndarray
    stride: tuple[int, int, int]

    @property
    def probabilities(self) -> np.ndarray:
        """Sigmoid of the logits, (D, H, W), 0 to 1."""
        return np.exp(-np.logaddexp(0.0, -self.logits))

    def refine_centre(self, peak: Peak, is_best: bool) -> Sequence[float] | np.ndarray:
        """Return the lesion's centre at a peak, (3,) voxels z, y, x of the crop: the sub-cell position of the peak.

        Parameters
        ----------
        peak : Peak
            Peak of the logits.
        is_best : bool
            Whether it is the highest one; networks that regress the centre treat it differently.
        """
        return [cell * step + (step - 1) / 2 for cell, step in zip(peak.position, self.stride, strict=True)]


@dataclass(frozen=True)
class Candidate:
    """A possible position (RAS mm), its score (0 to 1) and the cycle error; None when that was not computed."""

    position: Point
    score: float
    cycle_error_mm: float | None = None

    @property
    def cycle_or_inf(self) -> float:
        """Cycle error in mm for comparisons; infinite when there is none."""
        return np.inf if self.cycle_error_mm is None else self.cycle_error_mm


def find_candidates(scores: CandidateMap, searched: EncodedCrop, count: int) -> list[Candidate]:
    """Return the best candidates inside the scan, the highest score first.

    Peaks are at least 10 mm apart; a peak whose refined centre lies within 5 mm of a better one is left out.

    Parameters
    ----------
    scores : CandidateMap
        Network output on the cells of `searched`.
    searched : EncodedCrop
        Crop of the follow-up.
    count : int
        Maximum number of candidates.
    """
    grid = searched.crop.cell_grid(scores.logits.shape, scores.stride)
    scan = searched.scan.geometry
    logits = np.where(scan.contains(_cell_centres(grid)), scores.logits, -np.inf)
    found: list[Candidate] = []
    for peak in find_peaks(logits, grid.spacing[::-1], count, _MINIMUM_DISTANCE_MM):
        centre = point(searched.crop.to_ras(scores.refine_centre(peak, not found)))
        is_new = all(np.linalg.norm(np.subtract(centre, other.position)) > _MINIMUM_DISTANCE_MM / 2 for other in found)
        if is_new and scan.contains(centre):
            found.append(Candidate(centre, float(scores.probabilities[peak.cell])))
    return found


def _cell_centres(grid: Geometry) -> np.ndarray:
    """Return the centres of all cells, (D, H, W, 3) RAS mm."""
    cells = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    return grid.to_ras(cells[..., ::-1])

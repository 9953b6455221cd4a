"""The residual of a registration in mm, without landmarks: how far local matching moves points that it has aligned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from oncotrack.background.jobs import Progress, silent
from oncotrack.background.work_process import in_work_process
from oncotrack.findings.finding import Point, point
from oncotrack.followup.tracker import ScanPair

POINTS = 40
"""The most points that are matched."""
LIMIT_MM = 10.0
"""How far local matching looks along each axis, so that a larger residual has no number."""
_FEWEST = 10
_CELL_MM, _SMOOTHING_MM = 32.0, 2.0
_BATCH = 4


@dataclass(frozen=True)
class Residual:
    """How well a registration aligns two scans.

    Attributes
    ----------
    median_mm : float or None
        Median distance between the position that the registration gives and the most similar tissue near it, mm; None where
        too few points can be matched.
    points : int
        How many points were matched.
    """

    median_mm: float | None
    points: int

    @property
    def text(self) -> str:
        """The residual in words, "residual 3.1 mm by local matching at 40 points"."""
        if self.median_mm is None:
            return "residual not measurable"
        size = f"{self.median_mm:.1f} mm" if self.median_mm < LIMIT_MM else f"{LIMIT_MM:.0f} mm or more"
        return f"residual {size} by local matching at {self.points} points"


def residual(pair: ScanPair, progress: Progress = silent) -> Residual:
    """Measure the residual of a pair's registration by the self-similarity of the tissue (MIND) round points on edges.

    The points are matched a few at a time, so that other work can run in between. The residual of a local search is no error
    against anatomical landmarks: where tissue has changed, or is similar everywhere, it is wrong.

    Parameters
    ----------
    pair : ScanPair
        Both scans, registered.
    progress : Progress
        Called between the points; may raise `Cancelled`.
    """
    progress(0.0, "Choosing points")
    points = edge_points(pair)
    found: list[float] = []
    for start in range(0, len(points), _BATCH):
        progress(start / len(points), "Matching points")
        found += local_distances(pair, points[start : start + _BATCH])
    return Residual(float(np.median(found)) if len(found) >= _FEWEST else None, len(found))


@in_work_process
def edge_points(pair: ScanPair) -> tuple[Point, ...]:
    """Return the points of the baseline with the strongest edges of their surroundings, RAS mm, spread over the scan.

    Parameters
    ----------
    pair : ScanPair
        Both scans, registered.
    """
    from scipy.ndimage import gaussian_gradient_magnitude

    from oncotrack.followup.selfsim_search import sides_of

    side = sides_of(pair)[0]
    copy, (low, high) = side.copy, side.window
    sigma = _SMOOTHING_MM / np.asarray(copy.spacing)[::-1]
    edges = gaussian_gradient_magnitude(np.clip(copy.array, low, high).astype(np.float32), sigma)
    cells = [
        range(0, count, max(1, round(_CELL_MM / step)))
        for count, step in zip(edges.shape, np.asarray(copy.spacing)[::-1], strict=True)
    ]
    best = []
    for k in cells[0]:
        for j in cells[1]:
            for i in cells[2]:
                cell = edges[k : k + cells[0].step, j : j + cells[1].step, i : i + cells[2].step]
                at = np.unravel_index(int(cell.argmax()), cell.shape)
                best.append((float(cell[at]), (i + at[2], j + at[1], k + at[0])))
    typical = float(np.median([strength for strength, _ijk in best]))
    strong = copy.geometry.to_ras(np.array([ijk for strength, ijk in best if strength >= typical], float))
    chosen = np.linspace(0, len(strong) - 1, min(POINTS, len(strong))).round().astype(int)
    return tuple(point(each) for each in strong[chosen])


@in_work_process
def local_distances(pair: ScanPair, points: Sequence[Point]) -> list[float]:
    """Return how far the most similar tissue lies from where the registration maps each point, mm in the follow-up.

    Parameters
    ----------
    pair : ScanPair
        Both scans, registered.
    points : sequence of (3,) float
        RAS mm in the baseline. Those that the follow-up does not show are left out.
    """
    from oncotrack.followup.selfsim_search import MIDDLE, Search, sides_of
    from oncotrack.images.geometry import transform_points
    from oncotrack.networks.threads import one_thread_per_operation

    baseline, followup = sides_of(pair)
    registration, distances = pair.registration(), []
    with one_thread_per_operation():
        for at in points:
            expected = point(registration.to_followup(at))
            if not pair.followup.geometry.contains(expected):
                continue
            found = Search(baseline, followup, np.asarray(at), MIDDLE).minima(followup.to_common(expected))
            if found:
                distances.append(float(np.linalg.norm(transform_points(followup.from_common, found[0][0]) - expected)))
    return distances

"""Comparison of the tissue at a match with the lesion's: in CT its density changes little between visits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from oncotrack.followup.tracker import Match, ScanPair
from oncotrack.images.volume import Volume

MAXIMUM_CHANGE_HU = 150.0
"""Chosen on validation pairs: contrast media and scanners change a lesion by less, fat and lung differ by more."""
_CORE = 0.3
_WINDOW_HU = (-1000.0, 300.0)


def flag_tissue_change(match: Match, pair: ScanPair, at: Sequence[float], radius_mm: float) -> Match:
    """Return the match, marked as not found when its tissue differs by more than `MAXIMUM_CHANGE_HU`.

    Parameters
    ----------
    match : Match
        A match of the lesion at `at`.
    pair : ScanPair
        Two CTs.
    at : (3,) float
        Clicked point in the baseline, RAS mm.
    radius_mm : float
        The lesion's radius in the baseline.
    """
    if not match.found:
        return match
    difference = mean_hu_difference(pair, at, match.position, radius_mm)
    if difference <= MAXIMUM_CHANGE_HU:
        return match
    reason = f"The tissue there differs by {difference:.0f} HU from the lesion's. The lesion may be gone: please check."
    return replace(match, found=False, reason=reason)


def mean_hu_difference(pair: ScanPair, at: Sequence[float], position: Sequence[float], radius_mm: float) -> float:
    """Return the absolute difference of the mean HU at two points, within 0.3 radii, HU clipped to -1000 to 300.

    Parameters
    ----------
    pair : ScanPair
        Two CTs.
    at, position : (3,) float
        Points in the baseline and in the follow-up, RAS mm.
    radius_mm : float
        The lesion's radius.
    """
    means = [_mean_hu(scan, np.add(middle, _CORE * radius_mm * _BALL)) for scan, middle in
             ((pair.baseline, at), (pair.followup, position))]  # fmt: skip
    return float(abs(means[1] - means[0]))


def _mean_hu(scan: Volume, points: np.ndarray) -> float:
    return float(np.clip(scan.sample(points, fill=_WINDOW_HU[0]), *_WINDOW_HU).mean())


_LINE = np.linspace(-1, 1, 7)
_BALL = np.stack(np.meshgrid(_LINE, _LINE, _LINE), -1).reshape(-1, 3)
_BALL = _BALL[np.linalg.norm(_BALL, axis=1) <= 1]

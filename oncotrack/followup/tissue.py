"""Whether the tissue at a match is still the lesion's: in CT it has much the same density from visit to visit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from oncotrack.followup.tracker import Match, ScanPair
from oncotrack.images.volume import Volume

MOST_CHANGED_HU = 150.0
"""Chosen on validation pairs: contrast media and other scanners change a lesion by less, fat and lung differ by more."""
_CORE = 0.3
_WINDOW_HU = (-1000.0, 300.0)


def flag_tissue_change(match: Match, pair: ScanPair, at: Sequence[float], radius_mm: float) -> Match:
    """The match, not found when its tissue is another than that at the click; of two CTs."""
    if not match.found:
        return match
    changed = change_hu(pair, at, match.position, radius_mm)
    if changed <= MOST_CHANGED_HU:
        return match
    reason = (
        f"The tissue there differs by {changed:.0f} HU from the lesion's; it may have vanished. Look for it by eye."
    )
    return replace(match, found=False, reason=reason)


def change_hu(pair: ScanPair, at: Sequence[float], place: Sequence[float], radius_mm: float) -> float:
    """How much the middle of a lesion differs between its two places.

    Parameters
    ----------
    pair : ScanPair
    at, place : (3,) RAS mm in the baseline and in the follow-up
    radius_mm : float

    Returns
    -------
    float
        Difference of the mean HU, taken between -1000 and 300, within 0.3 radii.
    """
    means = [_mean_hu(scan, np.add(middle, _CORE * radius_mm * _BALL)) for scan, middle in
             ((pair.baseline, at), (pair.followup, place))]  # fmt: skip
    return float(abs(means[1] - means[0]))


def _mean_hu(scan: Volume, points: np.ndarray) -> float:
    return float(np.clip(scan.sample(points, fill=_WINDOW_HU[0]), *_WINDOW_HU).mean())


_LINE = np.linspace(-1, 1, 7)
_BALL = np.stack(np.meshgrid(_LINE, _LINE, _LINE), -1).reshape(-1, 3)
_BALL = _BALL[np.linalg.norm(_BALL, axis=1) <= 1]

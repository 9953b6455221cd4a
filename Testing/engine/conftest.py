"""One synthetic torso and its follow-up for the whole run."""

from dataclasses import dataclass

import numpy as np
import pytest

from oncotrack.bench.synthetic import synthetic_ct
from oncotrack.bench.warped import Motion, warped_copy
from oncotrack.followup.tracker import ScanPair
from oncotrack.volume import Volume


@dataclass
class KnownPair:
    """Two scans whose motion is known; lesions are (RAS centre, radius mm) in the baseline."""

    baseline: Volume
    followup: Volume
    lesions: list
    motion: Motion
    pair: ScanPair

    def truth(self, at) -> np.ndarray:
        return self.motion.to_followup(np.atleast_2d(at))[0]


@pytest.fixture(scope="session")
def known_pair() -> KnownPair:
    rng = np.random.default_rng(5)
    baseline, lesions = synthetic_ct(rng, (140, 110, 80), 2.5)
    followup, motion = warped_copy(baseline, rng, largest_mm=15.0, spacing=(2.2, 2.2, 4.0))
    return KnownPair(baseline, followup, lesions, motion, ScanPair(baseline, followup, cache=False))

"""The command line in this process; a synthetic patient and a follow-up by a known motion, for the whole run."""

import sys
from dataclasses import dataclass

import numpy as np
import pytest

from oncotrack.bench.warped import Motion, warped_copy
from oncotrack.cli import main
from oncotrack.datasets.case import Case
from oncotrack.datasets.node_scans import inserted_scan
from oncotrack.followup.tracker import ScanPair
from oncotrack.images.volume import Volume
from oncotrack.phantom import Patient, make_patient
from oncotrack.phantom.anatomy import Anatomy


@dataclass
class Done:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


@pytest.fixture
def oncotrack(monkeypatch, capsys):
    """Run a command in this process, as the console script does."""

    def run(*arguments) -> Done:
        monkeypatch.setattr(sys, "argv", ["oncotrack", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        return Done(code, *capsys.readouterr())

    return run


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
    visit = make_patient(5, visits=1, size=(128, 128, 72)).visits[0]
    baseline = visit.image
    chosen = sorted(visit.truth.instances, key=lambda instance: -instance.volume_mm3)[:6]
    lesions = [(np.array(instance.centre), instance.long_axis.length_mm / 2) for instance in chosen]
    followup, motion = warped_copy(baseline, rng, largest_mm=15.0, spacing=(2.2, 2.2, 4.0))
    return KnownPair(baseline, followup, lesions, motion, ScanPair(baseline, followup, cache=False))


@pytest.fixture(scope="session")
def anatomy() -> Anatomy:
    """Return the anatomy of one synthetic patient, arms up."""
    return Anatomy.random(np.random.default_rng(7))


@pytest.fixture(scope="session")
def cancer_patient() -> Patient:
    """Return a synthetic patient with two visits in CT, portal phase."""
    return make_patient(11, visits=2, size=(80, 72, 60), phase="portal")


@pytest.fixture(scope="session")
def small_patient() -> Patient:
    """Return a small synthetic patient with two visits in CT, phases and scanners at random."""
    return make_patient(8, visits=2, size=(40, 36, 24))


@pytest.fixture(scope="session")
def whole_body() -> Patient:
    """Return a synthetic patient from brain to mid-thigh, one visit in PET and MR."""
    return make_patient(7, visits=1, size=(80, 70, 110), region="whole-body", modalities=("PT", "MR"))


@pytest.fixture(scope="session")
def body() -> Volume:
    """Return a small synthetic CT, 96 x 80 x 24 voxels of 3.2 x 3.2 x 4 mm, without nodes and lesions."""
    return make_patient(4, 1, size=(96, 80, 24), spacing=(3.2, 3.2, 4.0), lesions=False, nodes=False).visits[0].image


@pytest.fixture(scope="session")
def node_scan(body) -> Case:
    """Return the small synthetic CT with eight inserted lymph nodes."""
    return inserted_scan(body, 1, count=8)

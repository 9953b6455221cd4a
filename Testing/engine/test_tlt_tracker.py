"""TLT as a tracker: its matches, refused input, and equality of several clicks with single ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from oncotrack.errors import Cancelled, InputError, WeightsError
from oncotrack.followup.methods import METHOD_INFO
from oncotrack.followup.tlt.config import COMPACT
from oncotrack.followup.tlt.network import TLT
from oncotrack.followup.tlt.tracker import TLTTracker
from oncotrack.followup.tracker import OUTSIDE, ScanPair, SupportsBatch, SupportsCycleError, SupportsProbabilityMap
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.networks import weights
from oncotrack.registration.registration import Registration

CONFIG = replace(
    COMPACT,
    crop=(16, 24, 24),
    template_crop=(16, 16, 16),
    stem=4,
    stages=(8, 12),
    blocks=(1, 1),
    width=12,
    heads=2,
    ffn=12,
)
MOVED = np.array([8.0, -8.0, 0.0])  # whole cells: untrained, the network does not see between them
CLICKS = [(0, 0, 0), (10, -6, 4), (-12, 8, -6), (4, 14, 8), (-8, -10, 2)]


@pytest.fixture(scope="module")
def pair() -> ScanPair:
    """Return a textured block and a copy moved by some millimetres, registered by the identity."""
    rng = np.random.default_rng(0)
    texture = gaussian_filter(rng.standard_normal((60, 70, 70)), 2.0)
    array = (texture / texture.std() * 120).astype(np.float32)
    geometry = Geometry((70, 70, 60), (2.0, 2.0, 2.0), (-69.0, -69.0, -59.0))
    moved = replace(geometry, origin=tuple(np.add(geometry.origin, MOVED)))
    scans = Volume(array, geometry, "first scan", "CT"), Volume(array, moved, "second scan", "CT")
    return ScanPair(*scans, Registration(np.eye(4)), cache=False)


@pytest.fixture(scope="module")
def folder(pair, tmp_path_factory):
    """Return a folder of untrained weights with batch norm statistics of the block."""
    torch.manual_seed(1)
    network = TLT(CONFIG)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.momentum = 1.0
    network.similarity.log_gain.data.fill_(6.0)  # strong weight of the similarity
    network.encode(torch.from_numpy(pair.baseline.array[None, None, :32, :32, :32]))
    folder = tmp_path_factory.mktemp("weights")
    for name, threshold in (("tlt-compact", 0.0), ("strict", 1.1)):
        about = {"found_threshold": threshold}
        weights.save(folder / f"{name}.safetensors", "tlt", CONFIG, network.state_dict(), about)
    return folder


@pytest.fixture
def tracker(folder, monkeypatch) -> TLTTracker:
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(folder))
    return METHOD_INFO["tlt"].make()


def test_a_moved_block_is_found_with_a_small_cycle_error(tracker, pair):
    match = tracker.match(pair, CLICKS[0], 8.0)
    assert np.linalg.norm(np.subtract(match.position, MOVED)) < 4.0  # half a cell along each axis
    assert match.found, match.reason
    assert match.cycle_error_mm < 4.0
    assert match.registration_guess == CLICKS[0]
    assert 0 <= match.score <= 1
    assert 1 <= len(match.alternatives) <= 3
    assert all(np.linalg.norm(np.subtract(other.centre, match.position)) > 4 for other in match.alternatives)
    assert all(other.score <= match.score for other in match.alternatives)
    assert match.observation().provenance.weights_sha256 == match.weights_sha256 != ""


def test_several_clicks_give_the_same_as_one_by_one(tracker, pair):
    lesions = [(at, 5.0 + n) for n, at in enumerate(CLICKS)]
    together = tracker.match_many(pair, lesions)
    for many, (at, radius) in zip(together, lesions, strict=True):
        single = tracker.match(pair, at, radius)
        assert np.allclose(many.position, single.position, atol=0.01)
        assert many.score == pytest.approx(single.score, abs=1e-3)
        assert many.cycle_error_mm == pytest.approx(single.cycle_error_mm, abs=0.01)


def test_it_supports_the_protocols_that_the_viewer_uses(tracker):
    assert isinstance(tracker, SupportsCycleError)
    assert isinstance(tracker, SupportsBatch)
    assert isinstance(tracker, SupportsProbabilityMap)


def test_a_score_below_the_threshold_is_not_found(folder, pair):
    match = TLTTracker("cpu", weights=folder / "strict.safetensors").match(pair, CLICKS[0], 8.0)
    assert not match.found
    assert "may be gone" in match.reason


def test_a_position_that_was_not_scanned_is_reported_as_outside(tracker, pair):
    lower = pair.followup.cropped((0, 0, 0), (70, 70, 8))
    match = tracker.match(ScanPair(pair.baseline, lower, Registration(np.eye(4))), (0, 0, 50), 8.0)
    assert (match.found, match.reason, match.position) == (False, OUTSIDE, (0, 0, 50))


def test_no_candidate_lies_outside_the_scan(tracker, pair):
    upper = pair.followup.cropped((0, 0, 30), (70, 70, 60))
    match = tracker.match(ScanPair(pair.baseline, upper, Registration(np.eye(4))), (0, 0, -4), 8.0)
    for place in (match.position, *(other.centre for other in match.alternatives)):
        assert upper.geometry.contains(place)


def test_a_wrong_position_has_a_large_cycle_error(tracker, pair):
    right = tracker.cycle_error(pair, CLICKS[0], MOVED, 8.0)
    wrong = tracker.cycle_error(pair, CLICKS[0], np.add(MOVED, (0, 0, 14)), 8.0)
    assert right < 4.0 < 8.0 < wrong
    assert tracker.cycle_error(pair, CLICKS[0], (500, 0, 0), 8.0) is None


def test_the_probability_map_is_highest_at_the_match(tracker, pair):
    shown = tracker.probability_map(pair, CLICKS[1], 8.0)
    highest = np.unravel_index(shown.array.argmax(), shown.array.shape)
    match = tracker.match(pair, CLICKS[1], 8.0)
    assert np.linalg.norm(shown.geometry.to_ras(highest[::-1]) - match.position) < 6.0
    assert shown.array[highest] == pytest.approx(match.score, rel=1e-3)
    assert shown.array.min() >= 0


def test_wrong_input_is_refused_with_a_message(tracker, pair):
    with pytest.raises(InputError, match="lies outside first scan"):
        tracker.match(pair, (900, 0, 0))
    with pytest.raises(InputError, match="positive number of mm"):
        tracker.match(pair, CLICKS[0], 0.0)
    mr = ScanPair(replace(pair.baseline, modality="MR"), replace(pair.followup, modality="MR"), Registration(np.eye(4)))
    with pytest.raises(InputError, match="not a CT"):
        tracker.match(mr, CLICKS[0])


def test_progress_increases_and_can_cancel(tracker, pair):
    fractions = []
    tracker.match_many(pair, [(at, 6.0) for at in CLICKS], lambda fraction, _text: fractions.append(fraction))
    assert fractions == sorted(fractions)
    assert fractions[-1] <= 1

    def stop(fraction: float, _text: str) -> None:
        if fraction > 0.7:
            raise Cancelled

    with pytest.raises(Cancelled):
        tracker.match_many(pair, [(at, 6.0) for at in CLICKS], stop)


def test_weights_that_are_missing_or_do_not_fit_are_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "resource", lambda *parts: tmp_path / parts[-1])
    with pytest.raises(WeightsError, match="not in"):
        TLTTracker()
    with pytest.raises(InputError, match="no config"):
        TLTTracker(config="huge")
    file = weights.load(folder / "tlt-compact.safetensors", "tlt")
    weights.save(tmp_path / "other.safetensors", "tlt", replace(CONFIG, ffn=8), file.state, {})
    with pytest.raises(WeightsError, match="do not fit"):
        TLTTracker(weights=tmp_path / "other.safetensors")

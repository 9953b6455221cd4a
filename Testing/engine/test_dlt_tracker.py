"""DLT's self-supervised pairs, and DLT as a tracker, in batches and one by one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from oncotrack.errors import Cancelled, InputError, WeightsError
from oncotrack.followup.dlt.augmentation import augment, is_self_supervised, make_self_supervised, shift_centres
from oncotrack.followup.dlt.config import COMPACT, DLTConfig
from oncotrack.followup.dlt.network import DLT
from oncotrack.followup.dlt.tracker import DLTTracker
from oncotrack.followup.lesion_pairs import LesionPairs
from oncotrack.followup.tracker import OUTSIDE, ScanPair, SupportsBatch, SupportsCycleError, SupportsProbabilityMap
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.networks import weights
from oncotrack.registration.registration import Registration

TINY = replace(
    COMPACT, crop=(12, 24, 24), stem=4, growth=2, blocks=(1, 1, 1), width=6, anatomy=2, global_kernel=(3, 5, 5),
    refine=0,
)  # fmt: skip
CLICKS = [((5.0, 3.0, 2.0), 8.0), ((-12.0, 0.0, 6.0), 5.0), ((0.0, 14.0, -9.0), 12.0), ((3.0, -9.0, 0.0), 6.0),
          ((8.0, 8.0, 8.0), 7.0)]  # fmt: skip


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# self-supervision


def dots(config: DLTConfig, count: int) -> LesionPairs:
    """Return templates with one wide bright dot each, at the click."""
    centre = torch.tensor([[6.3, 11.2, 12.7]]).repeat(count, 1)
    grid = torch.stack(torch.meshgrid(*[torch.arange(n, dtype=torch.float32) for n in config.crop], indexing="ij"), -1)
    squared = ((grid - centre[0]) * torch.tensor(config.spacing)).square().sum(-1)
    image = (-900 + 1000 * torch.exp(-squared / 72)).repeat(count, 1, 1, 1, 1)
    radius, found = torch.full((count,), 8.0), torch.zeros(count, dtype=torch.bool)
    return LesionPairs(image, image.clone(), centre, centre + 1, centre, radius, found, config.spacing)


def test_augmented_points_move_with_their_image():
    batch, rng = dots(TINY, 1), generator(4)
    moved = []
    for _ in range(12):
        image, points = augment(batch.template, batch.template_centre, TINY, rng)
        bright = (image[0, 0] + 900).clamp_min(500) - 500  # the dot without noise and border
        axes = torch.meshgrid(*[torch.arange(n, dtype=torch.float32) for n in TINY.crop], indexing="ij")
        centre = torch.stack([(axis * bright).sum() / bright.sum() for axis in axes])
        assert ((centre - points[0]) * torch.tensor(TINY.spacing)).norm() < 2.5
        moved.append(float((points[0] - batch.template_centre[0]).norm()))
    assert max(moved) > 3  # the crops moved it
    assert min(moved) < 0.5


def test_a_self_supervised_pair_is_a_template_and_its_moved_copy():
    batch = dots(TINY, 3)
    made = make_self_supervised(batch, replace(TINY, ssl_registration_error=False), generator())
    assert torch.equal(made.template, batch.template)
    assert made.found.all()
    click = (made.template_centre - batch.template_centre) * torch.tensor(TINY.spacing)
    assert (click.norm(dim=1) <= 0.25 * 8 + 1e-4).all()
    assert click.norm(dim=1).min() > 0
    same = make_self_supervised(batch, replace(TINY, ssl_registration_error=True), generator())
    assert torch.equal(same.search, made.search)
    assert torch.allclose(same.expected, made.expected + 1, atol=1e-5)


def test_shifts_of_the_click_fill_a_ball_of_a_quarter_radius():
    centre, radius = torch.zeros(2000, 3), torch.full((2000,), 10.0)
    away = ((shift_centres(centre, radius, TINY, generator()) - centre) * torch.tensor(TINY.spacing)).norm(dim=1)
    assert away.max() <= 2.5 + 1e-4
    assert float((away < 2.5 / 2 ** (1 / 3)).float().mean()) == pytest.approx(0.5, abs=0.05)


def test_a_share_of_the_batches_is_self_supervised():
    rng = generator()
    drawn = [is_self_supervised(0.25, rng) for _ in range(2000)]
    assert np.mean(drawn) == pytest.approx(0.25, abs=0.03)
    assert not any(is_self_supervised(0.0, rng) for _ in range(20))


# the tracker


def scans(modality: str = "CT", shift=(0.0, 0.0, 0.0)) -> ScanPair:
    """Return a scan and itself, with a shift as their registration."""
    array = gaussian_filter(np.random.default_rng(0).normal(size=(24, 30, 30)), 1.5).astype(np.float32) * 2000
    array[0, 0, 0] = -1000
    grid = Geometry((30, 30, 24), (2.0, 2.0, 3.0), (-29.0, -29.0, -34.5))
    affine = np.eye(4)
    affine[:3, 3] = shift
    both = [Volume(array + n, grid, name, modality) for n, name in enumerate(("first", "second"))]
    return ScanPair(*both, Registration(affine, 1.0, 1.0), cache=False)


@pytest.fixture(scope="module")
def tracker(tmp_path_factory) -> DLTTracker:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "dlt.safetensors"
    return DLTTracker("cpu", weights=weights.save(path, "dlt", TINY, DLT(TINY).state_dict(), {"found_threshold": 0.0}))


def test_it_supports_cycle_errors_batches_and_maps(tracker):
    assert isinstance(tracker, SupportsCycleError)
    assert isinstance(tracker, SupportsBatch)
    assert isinstance(tracker, SupportsProbabilityMap)
    assert tracker.name == "dlt"


def test_in_the_same_scan_the_match_is_the_click(tracker):
    at, radius = CLICKS[0]
    found = tracker.match(scans(), at, radius)
    assert found.found
    assert np.linalg.norm(np.subtract(found.position, at)) < 4
    assert found.cycle_error_mm < 5
    assert len(found.alternatives) == 3
    assert all(0 <= other.score <= found.score <= 1 for other in found.alternatives)
    assert found.observation().provenance.weights_sha256 == found.weights_sha256 != ""


def test_several_clicks_give_the_same_as_one_by_one(tracker):
    pair = scans()
    together = tracker.match_many(pair, CLICKS)
    for (at, radius), found in zip(CLICKS, together, strict=True):
        alone = tracker.match(pair, at, radius)
        assert found.position == pytest.approx(alone.position, abs=1e-2)
        assert found.score == pytest.approx(alone.score, abs=1e-4)
        assert found.cycle_error_mm == pytest.approx(alone.cycle_error_mm, abs=1e-2)
        assert [other.centre for other in found.alternatives] == [
            pytest.approx(other.centre, abs=1e-2) for other in alone.alternatives
        ]
        assert all(other.cycle_error_mm is not None for other in alone.alternatives)


def test_a_batch_on_an_accelerator_gives_the_same(tracker):
    """Batches are used on accelerators only; here the function for them is called on the CPU."""
    pair = scans()
    registration = pair.registration()
    batch = tracker._match_batch(pair, registration, CLICKS, False, lambda *_: None)
    for found, alone in zip(batch, tracker.match_many(pair, CLICKS), strict=True):
        assert found.position == pytest.approx(alone.position, abs=1e-2)
        assert found.score == pytest.approx(alone.score, abs=1e-4)
        assert found.cycle_error_mm == pytest.approx(alone.cycle_error_mm, abs=1e-2)


def test_a_position_outside_the_follow_up_has_that_reason(tracker):
    pair = scans(shift=(0.0, 0.0, 200.0))
    near, far = tracker.match(scans(), CLICKS[0][0]), tracker.match(pair, CLICKS[0][0])
    assert near.found
    assert not far.found
    assert far.reason == OUTSIDE
    assert far.position == far.registration_guess == pytest.approx((5.0, 3.0, 202.0))


def test_a_low_score_is_not_found(tracker, monkeypatch):
    monkeypatch.setattr(tracker, "threshold", 1.0)
    found = tracker.match(scans(), CLICKS[0][0])
    assert not found.found
    assert "may be gone" in found.reason


def test_any_position_has_a_cycle_error(tracker):
    pair, at = scans(), CLICKS[0][0]
    assert tracker.cycle_error(pair, at, at, 8.0) < 5
    assert tracker.cycle_error(pair, at, (500.0, 0.0, 0.0), 8.0) is None


def test_the_probability_map_lies_where_it_searched(tracker):
    pair, (at, radius) = scans(), CLICKS[0]
    found, shown = tracker.match(pair, at, radius), tracker.probability_map(pair, at, radius)
    assert shown.geometry.centre == pytest.approx(at, abs=1e-6)
    assert shown.array.shape == (12, 12, 12)
    assert shown.array.dtype == np.float32
    assert float(shown.sample(found.position)[0]) == pytest.approx(found.score, abs=0.25 * found.score + 1e-3)


def test_progress_can_cancel(tracker):
    def stop(fraction: float, _text: str) -> None:
        if fraction > 0.7:
            raise Cancelled

    with pytest.raises(Cancelled):
        tracker.match_many(scans(), CLICKS, stop)


def test_wrong_input_is_refused_with_a_message(tracker, tmp_path):
    with pytest.raises(InputError, match="not a CT"):
        tracker.match(scans("MR"), CLICKS[0][0])
    with pytest.raises(InputError, match="radius"):
        tracker.match(scans(), CLICKS[0][0], -1.0)
    with pytest.raises(InputError, match="outside"):
        tracker.match(scans(), (500.0, 0.0, 0.0))
    with pytest.raises(InputError, match="no config"):
        DLTTracker("cpu", "huge")
    with pytest.raises(WeightsError, match="not in"):
        DLTTracker("cpu", weights=tmp_path / "none.safetensors")

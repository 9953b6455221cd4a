"""Training of the lesion trackers: samples agree with their positions, and a run writes weights that load."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from oncotrack.datasets.lesion_visits import LesionVisits, VisitLesion
from oncotrack.errors import InputError, TrainingError
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.networks import weights
from oncotrack.training.lesion_calibration import best_threshold
from oncotrack.training.lesion_pairs import LesionPairSamples, Variety
from oncotrack.training.lesion_tracker import System, train
from oncotrack.training.plan import Plan
from oncotrack.training.stored_visits import StoredVisits, store
from oncotrack.training.visit_sources import VisitSources

GRIDS = (
    Geometry((64, 56, 40), (1.5, 1.5, 2.5), (-40.0, -38.0, -50.0)),
    Geometry((52, 48, 30), (1.9, 1.9, 3.4), (-46.0, -41.0, -48.0), ((-1, 0, 0), (0, -1, 0), (0, 0, 1))),
)
PLACES = (((5.0, 2.0, -3.0), (-92.0, -82.0, 2.0)), ((20.0, 10.0, 8.0), (-75.0, -100.0, 10.0)))
STILL = Variety(hu_shift=0, hu_gain=0, noise_hu=0, landmarks=0)


def ball(grid, places):
    """Build a scan of -100 HU with a peak of 200 HU and a width of some 6 mm at each place."""
    z, y, x = np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij")
    ras = grid.to_ras(np.stack([x, y, z], -1))
    array = np.full(grid.shape, -100.0)
    for place in places:
        array += 300 * np.exp(-((ras - place) ** 2).sum(-1) / (2 * 6.0**2))
    return Volume(np.round(array).astype(np.int16), grid, "made", "CT")


@pytest.fixture(scope="module")
def pair():
    scans = [ball(grid, [both[visit] for both in PLACES]) for visit, grid in enumerate(GRIDS)]
    lesions = (VisitLesion(PLACES[0], (6.0, 7.0)), VisitLesion(PLACES[1], (6.0, None)))
    landmark = VisitLesion(PLACES[1], (5.0, 5.0))
    return LesionVisits("one", "patient", *scans, lesions, (landmark,))


@pytest.fixture(scope="module")
def paths(pair, tmp_path_factory):
    return store(tmp_path_factory.mktemp("visits"), [("made", lambda: [pair, pair])], "two pairs")


def samples(paths, **how):
    return LesionPairSamples(paths, (3.0, 2.0, 2.0), (16, 24, 24), 1, replace(STILL, **how))


def value(image, place):
    """Return the HU at a position (z, y, x) between voxels."""
    size = torch.tensor(image.shape[2:])
    grid = ((2 * place + 1) / size - 1).flip(-1)[:, None, None, None]
    return torch.nn.functional.grid_sample(image, grid, align_corners=False).flatten()


def test_stored_pairs_equal_the_originals(pair, paths):
    assert [path.name for path in paths] == ["made-1of2.safetensors", "made-2of2.safetensors"]
    stored = StoredVisits(paths[0])
    assert (stored.patient, stored.lesions, stored.landmarks) == ("patient", pair.lesions, pair.landmarks)
    for visit, grid in enumerate(GRIDS):
        assert np.allclose(stored.grids[visit].ijk_to_ras, grid.ijk_to_ras)


def test_any_region_is_read_on_any_grid(pair, paths):
    """A region has the values of the whole scan resampled, and the fill value outside it."""
    stored = StoredVisits(paths[0])
    grid = Geometry((9, 8, 7), (2.5, 2.5, 4.0), (-10.0, -8.0, -9.0))
    mapping = np.array([[0.98, 0.1, 0, -85], [-0.1, 0.99, 0.05, -88], [0, -0.04, 1.02, 4], [0, 0, 0, 1]])
    k, j, i = np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij")
    places = grid.to_ras(np.stack([i, j, k], -1)) @ mapping[:3, :3].T + mapping[:3, 3]
    expected = pair.followup.sample(places.reshape(-1, 3)).reshape(grid.shape)
    assert np.abs(stored.part(1, grid, mapping) - expected).max() < 0.05
    away = mapping.copy()
    away[:3, 3] += 900
    assert (stored.part(1, grid, away) == -1024).all()


def test_fine_scans_are_kept_coarser(pair, tmp_path):
    fine = replace(pair.baseline, geometry=replace(GRIDS[0], spacing=(0.6, 0.6, 2.5)))
    (path,) = store(tmp_path, [("fine", lambda: [replace(pair, baseline=fine)])], "fine")
    assert StoredVisits(path).grids[0].spacing[0] == pytest.approx(1.2, rel=0.05)


def test_a_folder_of_other_pairs_is_refused(paths):
    with pytest.raises(TrainingError, match="holds other scans"):
        store(paths[0].parent, [], "others")
    assert store(paths[0].parent, [], "two pairs") == paths


def test_an_interrupted_preparation_continues(pair, tmp_path):
    made = []

    def make(name):
        made.append(name)
        return [pair]

    def jobs(stop):
        yield "a", lambda: make("a")
        if stop:
            raise KeyboardInterrupt
        yield "b", lambda: make("b")

    with pytest.raises(KeyboardInterrupt):
        store(tmp_path, jobs(stop=True), "cut")
    assert len(store(tmp_path, jobs(stop=False), "cut")) == 2
    assert made == ["a", "b"]


def test_lesions_lie_at_the_positions_of_the_samples(paths):
    """Every lesion is a bright ball: both scans have its peak at the sample's positions after any rotation, scaling and mirroring."""
    source = samples(paths, click=0.0)
    batch = source.collate([source.sample(n) for n in range(24)])
    assert batch.template.shape == batch.search.shape == (24, 1, 16, 24, 24)
    assert value(batch.template, batch.template_centre).min() > 150
    assert value(batch.search, batch.centre).min() > 150
    assert not batch.found.all()
    assert batch.found.any()
    assert ((batch.radius_mm > 4.5) & (batch.radius_mm < 9)).all()


def test_offsets_of_clicks_and_expected_positions_are_as_configured(paths):
    """The expected position is that of the click: its offset from the lesion is the sum of the click's and the registration's."""
    source = samples(paths, registration_mm=(0.0, 0.0, 0.0), between_deg=0.0, between_scale=1.0)
    spacing = torch.tensor([3.0, 2.0, 2.0])
    batch = source.collate([source.sample(n) for n in range(24)])
    missed = torch.linalg.norm((batch.expected - batch.centre) * spacing, dim=1)
    assert (missed <= 0.25 * batch.radius_mm + 1e-3).all()
    assert missed.max() > 0.5
    far = samples(paths)
    batch = far.collate([far.sample(n) for n in range(24)])
    assert torch.linalg.norm((batch.expected - batch.centre) * spacing, dim=1).max() > 8
    assert ((batch.centre >= 0) & (batch.centre <= torch.tensor([15.0, 23.0, 23.0]))).all()


def test_a_sample_depends_on_its_number_only(paths):
    one, again, other = (
        samples(paths, noise_hu=12.0).sample(5),
        samples(paths, noise_hu=12.0).sample(5),
        samples(paths).sample(6),
    )
    assert torch.equal(one.search, again.search)
    assert not torch.equal(one.search, other.search)


def test_landmarks_are_used_as_samples_too(paths):
    source = samples(paths, landmarks=1.0)
    assert source.collate([source.sample(n) for n in range(12)]).found.all()


@dataclass(frozen=True)
class Config:
    spacing: tuple[float, float, float] = (3.0, 2.0, 2.0)
    crop: tuple[int, int, int] = (8, 12, 12)


class Brightness(torch.nn.Module):
    """Learns the mean brightness of the search crop; its logits are the crop itself."""

    def __init__(self, config):
        super().__init__()
        self.config, self.level = config, torch.nn.Parameter(torch.zeros(()))

    def forward(self, pairs):
        return pairs.search[:, 0] / 100


def brightness_loss(network, pairs, generator):
    return {"loss": (network.level - pairs.search.mean() / 100).square()}


@pytest.fixture
def system():
    plan = Plan(steps=30, batch=2, learning_rate=0.1, warmup=1, clip=10.0)
    return System("dlt", Brightness, {"compact": Config()}, {"compact": plan}, brightness_loss)


def test_a_run_writes_weights_that_load(system, pair, tmp_path, monkeypatch):
    sources = VisitSources(phantoms=2)
    monkeypatch.setattr("oncotrack.training.visit_sources.phantom_visits", lambda *_args, **_how: [pair])
    options = {"visits": tmp_path / "visits", "device": "cpu", "calibrating": 16}
    path = train(system, tmp_path / "run", "compact", sources, **options)
    written = weights.load(path, "dlt")
    assert written.config_as(Config) == Config()
    assert written.about["data"] == "2 synthetic patients"
    assert written.state["level"] < -0.3
    assert 0 < written.about["found_threshold"] < 1
    assert train(system, tmp_path / "run", "compact", sources, **options) == path
    started = train(system, tmp_path / "more", "compact", sources, start=path, max_minutes=0, **options)
    assert weights.load(started, "dlt").state["level"] == written.state["level"]


def test_the_threshold_separates_vanished_lesions_from_present_ones():
    found = np.array([True] * 20 + [False] * 10)
    separate = np.where(found, 0.8, 0.3)
    assert 0.3 < best_threshold(separate, found) <= 0.8
    mixed = np.concatenate([np.linspace(0.2, 0.9, 20), np.linspace(0.1, 0.85, 10)])
    threshold = best_threshold(mixed, found)
    assert (mixed[found] < threshold).mean() <= 0.1
    assert best_threshold(separate, np.ones(30, bool)) == 0


def test_an_unknown_config_is_named(system, tmp_path):
    with pytest.raises(InputError, match='no config "large"'):
        train(system, tmp_path, "large", VisitSources(phantoms=1))
    with pytest.raises(TrainingError, match="nothing to train on"):
        train(system, tmp_path, "compact", VisitSources())


def test_test_seeds_are_not_trained_on():
    with pytest.raises(InputError, match="later seeds are for testing"):
        list(VisitSources(phantoms=2_000_000).jobs())

"""Pairs of visits with known lesions: the scans show the lesions of the ground truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from oncotrack.datasets.body import body_mask
from oncotrack.datasets.lesion_visits import (
    CONTRAST,
    GROWN,
    MOVED,
    SHRUNK,
    TWINS,
    VANISHED,
    VisitLesion,
    assign_groups,
    phantom_visits,
)
from oncotrack.datasets.warped_visits import warped_visits
from oncotrack.errors import InputError
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume


@pytest.fixture(scope="module")
def real_like() -> Volume:
    """Return a CT of 24 x 24 x 16 cm: a body of fat with a core of soft tissue, on a table."""
    grid = Geometry((60, 60, 32), (4.0, 4.0, 5.0), (-120.0, -120.0, -80.0))
    _, y, x = np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij")
    away = np.hypot((x - 30) / 27, (y - 32) / 22.5)
    array = np.where(away < 1, -100.0, -1000.0)
    array[away < 0.8] = 60
    array[:, 2:4] = 100
    array += np.random.default_rng(0).normal(0, 8, array.shape)
    return Volume(array.astype(np.int16), grid, "made", "CT")


@pytest.fixture(scope="module")
def warped(real_like):
    return warped_visits(real_like, 3)


def lesion(*radii, at=(0.0, 0.0, 0.0)):
    return VisitLesion((at, at), radii)


def test_groups_describe_the_change():
    found = [each.groups for each in assign_groups([lesion(10.0, 12.0), lesion(10.0, 8.0, at=(90.0, 0.0, 0.0))])]
    assert found == [(GROWN,), (SHRUNK,)]
    assert [each.groups for each in assign_groups([lesion(10.0, None)], contrast=True)] == [(VANISHED, CONTRAST)]
    assert assign_groups([lesion(10.0, 11.0)])[0].groups == (MOVED,)
    near, small = lesion(8.0, 8.0, at=(30.0, 0.0, 0.0)), lesion(3.0, 3.0, at=(28.0, 0.0, 0.0))
    assert assign_groups([lesion(10.0, 10.0), near])[0].groups == (TWINS,)
    assert assign_groups([lesion(10.0, 10.0), small])[0].groups == (MOVED,)
    assert assign_groups([lesion(None, 10.0)])[0].groups == ()


def test_a_reversed_pair_exchanges_the_visits():
    before = VisitLesion(((0.0, 0.0, 0.0), (1.0, 2.0, 3.0)), (5.0, None), (VANISHED,))
    after = before.reversed()
    assert after.positions == ((1.0, 2.0, 3.0), (0.0, 0.0, 0.0))
    assert after.radii_mm == (None, 5.0)
    assert after.groups == ()


def test_the_body_is_neither_air_nor_table(real_like):
    body = body_mask(real_like, inset=0)
    assert body[:, 32, 30].all()
    assert not body[:, 2:4].any()
    assert not body[:, :, 0].any()
    assert not body_mask(replace(real_like, array=np.full_like(real_like.array, -1000))).any()


def test_inserted_lesions_lie_at_their_known_positions(warped):
    """The tissue at a lesion's positions differs from its surroundings, at both visits."""
    assert len(warped.baseline_lesions) >= 8
    fates = {group for each in warped.baseline_lesions for group in each.groups}
    assert {GROWN, SHRUNK} <= fates
    for visit, scan in enumerate((warped.baseline, warped.followup)):
        there = [each for each in warped.lesions if each.radii_mm[visit] is not None]
        inside = scan.sample([each.positions[visit] for each in there])
        in_fat = inside > -30
        assert in_fat.mean() > 0.8
        assert all(scan.geometry.contains(each.positions[visit]) for each in there)


def test_landmarks_show_the_same_tissue(warped):
    places = np.array([each.positions for each in warped.landmarks])
    assert len(places) > 10
    assert np.linalg.norm(places[:, 0] - places[:, 1], axis=1).max() > 3
    here, there = warped.baseline.sample(places[:, 0]), warped.followup.sample(places[:, 1])
    assert np.corrcoef(here, there)[0, 1] > 0.7


def test_the_same_seed_gives_the_same_pair(real_like, warped):
    again = warped_visits(real_like, 3)
    assert again.lesions == warped.lesions
    assert np.array_equal(again.followup.array, warped.followup.array)
    assert warped_visits(real_like, 4).lesions != warped.lesions


def test_a_scan_without_tissue_is_refused(real_like):
    bone = replace(real_like, array=np.where(real_like.array > -500, 700, -1000).astype(np.int16))
    with pytest.raises(InputError, match="no fat, lung or soft tissue"):
        warped_visits(bone, 1)


def test_a_synthetic_patient_gives_every_pair_of_visits(monkeypatch, cancer_patient):
    from oncotrack.datasets import lesion_visits

    requested = {}

    def drawn(seed, visits, **rest):
        requested.update(rest, visits=visits)
        return cancer_patient

    monkeypatch.setattr(lesion_visits, "make_patient", drawn)
    monkeypatch.setattr(lesion_visits, "LEAST_RADIUS_MM", 1.0)
    (pair,) = phantom_visits(11)
    assert requested["visits"] == 2
    assert 1.2 <= requested["spacing"][0] <= 1.8
    truth = [visit.truth for visit in cancer_patient.visits]
    assert pair.baseline_lesions
    for each in pair.lesions:
        for visit in (0, 1):
            if each.radii_mm[visit] is not None:
                numbers = {i.number: i for i in truth[visit].instances}
                assert any(np.allclose(i.centre, each.positions[visit]) for i in numbers.values())
    gone = [each for each in pair.baseline_lesions if each.radii_mm[1] is None]
    for each in gone:
        place = cancer_patient.truth.correspond(each.positions[0])
        assert np.allclose(place, each.positions[1], atol=1e-6)

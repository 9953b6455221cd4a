"""Nodes inserted into scans, and warped scans, agree with their ground truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oncotrack.errors import InputError
from oncotrack.images.files import load
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.phantom import insert, warp
from oncotrack.phantom.implants import Implant, place
from oncotrack.phantom.motion import Identity
from oncotrack.phantom.statistics import NodeSize

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def scan(cancer_patient) -> Volume:
    return cancer_patient.visits[0].image


def test_inserting_nothing_changes_nothing(scan):
    after, truth = insert(scan, [])
    assert np.array_equal(after.array, scan.array) and after.array.dtype == scan.array.dtype
    assert not truth.visits[0].masks.array.any() and not truth.visits[0].instances


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 1000), st.floats(8, 30), st.floats(1.0, 1.6))
def test_an_inserted_node_has_the_given_position_and_size(seed, long, aspect):
    geometry = Geometry((60, 60, 40), (1.0, 1.0, 1.5), (30, 30, -30), np.diag([-1.0, -1, 1]))
    noise = np.random.default_rng(0).normal(-100, 10, geometry.shape)
    after, truth = insert(
        Volume(noise.astype(np.int16), geometry, "fat", "CT"), [Implant((1, 2, 0), long, long / aspect, long)], seed
    )
    (node,) = truth.visits[0].instances
    assert np.linalg.norm(np.subtract(node.centre, (1, 2, 0))) < 1.0
    assert node.long_axis.length_mm == pytest.approx(long, rel=0.25, abs=2)
    changed = np.argwhere(after.array != np.round(noise).astype(np.int16))
    assert (truth.visits[0].masks.array > 0).sum() <= len(changed) or len(changed) == 0
    inside = after.array[truth.visits[0].masks.array > 0]
    assert 40 < np.median(inside) < 110


def test_a_position_outside_is_refused(scan):
    with pytest.raises(InputError, match="outside"):
        insert(scan, [Implant((9999, 0, 0), 10, 8, 10)])


def test_random_nodes_go_into_fat(scan):
    _, truth = insert(scan, 3, seed=1)
    found = truth.visits[0].instances
    assert len(found) == 3
    assert len(truth.findings()) == 3


def fat_with_vessel() -> Volume:
    """Fat with a vessel of 6 mm along S at R 0, A 0, and an organ from A 22 mm on."""
    geometry = Geometry((60, 60, 30), (1.0, 1.0, 2.0), (30, 30, -30), np.diag([-1.0, -1, 1]))
    k, j, i = np.meshgrid(*(np.arange(n) for n in geometry.shape), indexing="ij")
    ras = geometry.to_ras(np.stack([i, j, k], -1))
    hu = np.where(np.hypot(ras[..., 0], ras[..., 1]) < 3, 150, -100)
    return Volume(np.where(ras[..., 1] > 22, 60, hu).astype(np.int16), geometry, "fat", "CT")


@pytest.mark.parametrize("radius", [3.0, 5.0])
def test_a_node_is_moved_until_it_touches_the_vessel_and_does_not_cover_it(radius):
    at = place(fat_with_vessel(), np.array([10.0, 2.0, 0.0]), ball(radius), beside_vessel=True).centre
    from_vessel = np.hypot(at[0], at[1]) - 3
    assert 0.6 * radius < from_vessel < radius + 1 and at[0] > 0 and abs(at[2]) < 2


def test_a_node_beside_an_organ_alone_stays_where_it_is():
    at = np.array([16.0, 16.0, 0.0])  # the organ is nearer than the vessel
    away = place(fat_with_vessel(), at, ball(4.0), beside_vessel=True).centre
    assert away[1] < 22 - 0.7 * 4 and np.hypot(*away[:2]) < 12
    scan = fat_with_vessel()
    scan.array[np.abs(scan.array - 150) < 1] = -100
    assert np.allclose(place(scan, at, ball(4.0), beside_vessel=True).centre, at, atol=1)


@pytest.mark.parametrize("beside_vessel", [False, True])
@given(st.integers(0, 1000))
@settings(max_examples=4, deadline=None)
def test_a_node_replaces_little_but_fat(beside_vessel, seed):
    rng = np.random.default_rng(seed)
    scan, start = fat_with_vessel(), rng.uniform((-15, -15, -10), (15, 20, 10))
    geometry = scan.geometry
    k, j, i = np.meshgrid(*(np.arange(n) for n in geometry.shape), indexing="ij")
    ras = geometry.to_ras(np.stack([i, j, k], -1))
    for radius in (4.0, 8.0, 12.0):
        node = place(scan, start, ball(radius), beside_vessel=beside_vessel)
        if node is not None:
            at = np.asarray(node.centre)
            covered = scan.array[np.linalg.norm(ras - at, axis=-1) < radius]
            assert (covered < -50).mean() > 0.65 and scan.array[
                tuple(np.round(geometry.to_ijk(at)).astype(int)[::-1])
            ] < -50


def test_a_long_node_lies_along_its_layer_of_fat_and_inside_the_given_place():
    scan = fat_with_vessel()
    k, j, i = np.meshgrid(*(np.arange(n) for n in scan.geometry.shape), indexing="ij")
    ras = scan.geometry.to_ras(np.stack([i, j, k], -1))
    across = (ras[..., 0] - ras[..., 1]) / 2**0.5
    layer = Volume(np.where(np.abs(across) < 6, -100, 60).astype(np.int16), scan.geometry, "layer", "CT")
    node = place(layer, np.zeros(3), NodeSize(26.0, 10.0, 12.0))
    assert node.angle == pytest.approx(np.pi / 4)
    assert place(layer, np.zeros(3), ball(12.0)) is None, "no room"
    allowed = Volume((ras[..., 0] > 8).astype(np.uint8), scan.geometry, "allowed")
    assert place(layer, np.zeros(3), NodeSize(10.0, 8.0, 8.0), allowed).centre[0] > 8 + 0.8 * 4 - 1


def ball(radius_mm: float) -> NodeSize:
    return NodeSize(2 * radius_mm, 2 * radius_mm, 2 * radius_mm)


def test_random_nodes_are_beside_vessels_where_asked():
    _, truth = insert(fat_with_vessel(), 3, seed=2, small=1.0, beside_vessels=1.0)
    for node in truth.visits[0].instances:
        assert np.hypot(*node.centre[:2]) < 3 + 0.5 * node.long_axis.length_mm + 2


def test_warp_by_nothing_changes_nothing(scan):
    after, truth = warp(scan, motion=Identity())
    assert np.abs(after.array.astype(int) - scan.array).max() <= 1
    assert np.allclose(truth.correspond([[1.0, 2, 3]]), [[1, 2, 3]])


def test_warp_moves_masks(scan):
    with_nodes, truth = insert(scan, 2, seed=3)
    _, moved = warp(with_nodes, seed=4, most_mm=12, masks=truth.visits[0].masks)
    for before in moved.visits[0].instances:
        after = moved.visits[1].instance(before.number)
        if after is not None:
            assert np.linalg.norm(moved.correspond(before.centre) - after.centre) < 2 * max(scan.spacing)


@pytest.mark.real
def test_insert_and_warp_on_a_real_chest():
    path = DATA / "elastix_lung_pair" / "3DCT_lung_baseline.mha"
    if not path.exists():
        pytest.skip(f"needs {path}")
    whole = load(path)
    columns, rows, slices = whole.geometry.size
    scan = whole.cropped((columns // 4, rows // 4, slices // 4), (3 * columns // 4, 3 * rows // 4, 3 * slices // 4))
    after, truth = insert(scan, 2, seed=1)
    changed = after.array != scan.array
    masks = truth.visits[0].masks.array > 0
    assert masks.any() and changed[masks].mean() > 0.9 and changed.mean() < 0.1
    moved, pair = warp(after, seed=2, most_mm=10, masks=truth.visits[0].masks)
    assert moved.array.shape == scan.array.shape and pair.visits[1].instances

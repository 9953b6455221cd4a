"""What surrounds the networks for PET/CT: checks of the input, the tumour, the uptake, the alignment, the phantom."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from petct_toy import GRID, NODES, TUMOUR, toy_scan

from oncotrack.datasets.petct_scans import distances, is_significant, petct_scan
from oncotrack.detection.petct.alignment import align_pet
from oncotrack.detection.petct.config import STAGE_ONE
from oncotrack.detection.petct.distance import distance_from, signed_distance
from oncotrack.detection.petct.pair import check_study, pair_problem
from oncotrack.detection.petct.study import tumour_on, working_study
from oncotrack.detection.petct.tumour import grow_tumour, on_scan
from oncotrack.detection.petct.uptake import PEAK_RADIUS_MM, measure_uptake
from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding, Observation
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.uptake import Uptake
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.phantom.decoys import CLEAR_MM, add_decoys

PET_GRID = Geometry.from_values((40, 40, 30), (4.0, 4.0, 4.0), (78, 78, -60), np.diag([-1.0, -1.0, 1.0]))


@pytest.fixture(scope="module")
def toy():
    return toy_scan()


def images(scan):
    return scan.case.images["ct"], scan.case.images["pet"]


def test_a_study_is_read_on_the_body_with_its_distance_map(toy):
    config = STAGE_ONE["compact"]
    study = working_study(*images(toy), toy.tumour, config)
    assert np.allclose(study.geometry.spacing, config.spacing_mm, rtol=0.02)
    assert study.ct.shape == study.pet.shape == study.distance.shape == study.geometry.shape
    assert study.ct.min() == 0
    assert study.ct.max() <= 1
    assert study.geometry.size[0] * config.spacing_mm[0] < 300  # without the air beside the body
    index = np.unravel_index(study.distance.argmin(), study.distance.shape)
    assert np.linalg.norm(study.geometry.to_ras(index[::-1]) - TUMOUR) < 12
    far = study.geometry.to_ijk(np.array([20.0, 30.0, 60.0])).round().astype(int)[::-1]
    assert study.distance[tuple(far)] > 100


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda ct, pet: (pet, ct), "is a PET, but a CT is needed"),
        (lambda ct, pet: (ct, ct), "is a CT, but a PET is needed"),
        (lambda ct, pet: (ct, replace(ct, modality="")), "uptake is never negative"),
        (lambda ct, pet: (ct, replace(pet, array=pet.array * 3000)), "not in standardised uptake values"),
        (lambda ct, pet: (replace(ct, modality="MR"), pet), "reads CT only"),
        (
            lambda ct, pet: (ct, replace(pet, geometry=replace(pet.geometry, origin=(158.0, 126.0, 400.0)))),
            "covers less than half",
        ),
    ],
)
def test_wrong_images_are_refused_with_one_sentence(toy, change, sentence):
    with pytest.raises(InputError, match=sentence):
        check_study(*change(*images(toy)))


def test_a_tumour_outside_or_empty_is_refused_and_a_tiny_one_is_kept(toy):
    empty = replace(toy.tumour, array=np.zeros_like(toy.tumour.array))
    with pytest.raises(InputError, match="is empty"):
        tumour_on(GRID, empty)
    away = replace(toy.tumour, geometry=replace(GRID, origin=(158.0, 126.0, 900.0)))
    with pytest.raises(InputError, match="lies outside the CT"):
        tumour_on(GRID, away)
    tiny = Volume(np.ones((1, 1, 1), np.uint8), Geometry((1, 1, 1), (0.5, 0.5, 0.5), (1.0, 1.5, 2.0)))
    assert tumour_on(GRID, tiny).array.sum() == 1


def test_ct_and_pet_of_other_patients_or_days_are_told_apart(toy):
    ct, pet = images(toy)
    assert pair_problem(ct, pet) == ""
    for left, right, sentence in (
        ({"patient_id": "A"}, {"patient_id": "B"}, "A"),
        ({"date": "20260101"}, {"date": "20260102"}, "2026-01-01 and toy PET of 2026-01-02"),
        ({"date": "20260101"}, {}, ""),
    ):
        found = pair_problem(replace(ct, metadata=left), replace(pet, metadata=right))
        assert sentence in found and bool(sentence) == bool(found)


def test_a_mask_on_another_grid_is_moved_to_the_ct(toy):
    ct = images(toy)[0]
    fine = Geometry.around(tuple(TUMOUR), 30.0, 2.0)
    ball = np.linalg.norm(fine.to_ras(np.indices(fine.shape)[::-1].reshape(3, -1).T) - TUMOUR, axis=1) <= 18
    moved = on_scan(Volume(ball.reshape(fine.shape).astype(np.uint8), fine), ct)
    assert moved.spacing == ct.spacing
    assert moved.array.sum() * moved.geometry.voxel_mm3 == pytest.approx(4 / 3 * np.pi * 18**3, rel=0.1)
    steps = moved.geometry.to_ijk(ct.geometry.to_ras((0, 0, 0)))
    assert np.allclose(steps, np.round(steps), atol=1e-4), "the voxels are those of the CT"


def test_the_distance_of_a_point_is_that_of_the_map(toy):
    distance = signed_distance(toy.tumour)
    for ijk in ((40, 32, 10), (10, 20, 50), (40, 32, 12), (41, 31, 11)):
        expected = distance[ijk[::-1]]
        assert distance_from(toy.tumour, GRID.to_ras(ijk)) == pytest.approx(expected, abs=0.01)


def hot_ball(radius_mm: float, suv: float, centre=(0.0, 0.0, 0.0)) -> tuple[Volume, Volume]:
    points = PET_GRID.to_ras(np.indices(PET_GRID.shape)[::-1].reshape(3, -1).T).reshape(*PET_GRID.shape, 3)
    inside = np.linalg.norm(points - centre, axis=-1) <= radius_mm
    pet = Volume(np.where(inside, suv, 0.5).astype(np.float32), PET_GRID, "pet", "PT", {"suv": "BW"})
    return pet, Volume(inside.astype(np.uint8), PET_GRID, "mask")


def test_uptake_of_a_large_ball_of_constant_suv():
    pet, mask = hot_ball(20.0, 6.0)
    found = measure_uptake(pet, mask, 30.0)
    assert found.suv_max == found.suv_mean == pytest.approx(6.0)
    assert found.suv_peak == pytest.approx(6.0, rel=1e-3)
    volume = mask.array.sum() * 64 / 1000
    assert found.metabolic_volume_ml == pytest.approx(volume)
    assert found.tlg_ml == pytest.approx(volume * 6)
    assert found.is_proximal
    assert not measure_uptake(pet, mask, 70.5).is_proximal
    assert measure_uptake(pet, mask).is_proximal is None


def test_suv_peak_is_the_mean_of_a_sphere_of_1_ml():
    assert 4 / 3 * np.pi * PEAK_RADIUS_MM**3 == pytest.approx(1000)
    points = PET_GRID.to_ras(np.indices(PET_GRID.shape)[::-1].reshape(3, -1).T).reshape(*PET_GRID.shape, 3)
    sigma = 8.0
    array = 10 * np.exp(-0.5 * (np.linalg.norm(points - PET_GRID.to_ras((20, 20, 15)), axis=-1) / sigma) ** 2)
    pet = Volume(array.astype(np.float32), PET_GRID, "pet", "PT")
    mask = Volume((array > 5).astype(np.uint8), PET_GRID)
    r = np.linspace(0, PEAK_RADIUS_MM, 4000)
    exact = np.trapezoid(10 * np.exp(-0.5 * (r / sigma) ** 2) * 4 * np.pi * r**2, r) / 1000
    found = measure_uptake(pet, mask)
    assert found.suv_max == pytest.approx(10)
    assert found.suv_peak == pytest.approx(exact, rel=0.03)  # voxels of 4 mm


def test_metabolic_volume_is_the_part_above_41_percent():
    pet, mask = hot_ball(20.0, 6.0)
    array = pet.array.copy()
    k, j, i = np.argwhere(mask.array)[:100].T
    array[k, j, i] = 0.40 * 6
    found = measure_uptake(replace(pet, array=array), mask)
    assert found.metabolic_volume_ml == pytest.approx((mask.array.sum() - 100) * 64 / 1000)


def test_a_mask_finer_than_the_pet_is_measured_on_the_voxels_it_touches():
    pet, _ = hot_ball(3.0, 6.0, PET_GRID.to_ras((20, 20, 15)))  # one PET voxel
    fine = Geometry.around(PET_GRID.to_ras((20, 20, 15)), 2.0, 1.0)
    mask = Volume(np.ones(fine.shape, np.uint8), fine)
    found = measure_uptake(pet, mask)
    assert found.suv_max == pytest.approx(6.0)
    assert found.suv_mean < 6.0


def test_uptake_outside_the_pet_is_refused():
    pet, mask = hot_ball(10.0, 6.0)
    with pytest.raises(InputError, match="outside the PET"):
        measure_uptake(pet, replace(mask, geometry=replace(PET_GRID, origin=(900.0, 0.0, 0.0))))
    with pytest.raises(InputError, match="mask is empty"):
        measure_uptake(pet, replace(mask, array=np.zeros_like(mask.array)))


def test_one_click_grows_the_tumour(toy):
    pet = toy.case.images["pet"]
    grown = grow_tumour(pet, TUMOUR + np.array([6.0, 4.0, 0.0]))
    on_ct = tumour_on(GRID, grown).array
    true = toy.tumour.array
    assert 2 * (on_ct & true).sum() / (on_ct.sum() + true.sum()) > 0.7
    assert grow_tumour(pet, TUMOUR, suv=6.0).array.sum() < grown.array.sum()
    assert "notice" not in grown.metadata
    for at, kwargs, sentence in (
        ((900.0, 0, 0), {}, "outside the PET"), ((100.0, 20, 100), {}, "Click into the tumour"),
        (TUMOUR, {"fraction": 1.5}, "between 0 and 1"), (TUMOUR, {"suv": 40.0}, "lower the threshold"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=sentence):
            grow_tumour(pet, at, **kwargs)


def test_a_region_without_an_end_is_cut_off_and_says_so():
    grid = Geometry.from_values((60, 60, 60), (4.0, 4.0, 4.0), (-118, -118, -118))
    array = np.full(grid.shape, 5.0, np.float32)
    array[30, 30, 30] = 6.0
    grown = grow_tumour(Volume(array, grid, "pet", "PT"), grid.to_ras((30, 30, 30)))
    assert "cut off 80 mm" in grown.metadata["notice"]
    reach = np.linalg.norm(grown.geometry.to_ras(np.argwhere(grown.array)[:, ::-1]) - grid.to_ras((30, 30, 30)), axis=1)
    assert reach.max() <= 80


def test_pet_and_ct_of_one_frame_stay_as_they_are(toy):
    ct, pet = images(toy)
    assert align_pet(ct, pet)[0] is pet
    framed = [replace(scan, metadata={"frame_of_reference": "1.2"}) for scan in (ct, pet)]
    same, sentence = align_pet(*framed)
    assert same is framed[1]
    assert "share a frame" in sentence


def test_a_pet_of_another_frame_is_registered_and_the_sentence_says_how(toy):
    ct, pet = images(toy)
    shift = np.array([14.0, -9.0, 11.0])
    moved = replace(pet, geometry=replace(pet.geometry, origin=tuple(np.array(pet.geometry.origin) + shift)))
    ct = replace(ct, metadata={"frame_of_reference": "1"})
    moved = replace(moved, metadata={"frame_of_reference": "2"})
    aligned, sentence = align_pet(ct, moved)
    assert "mutual information" in sentence
    points = np.array([TUMOUR, *(NODES[name][0] for name in ("2R", "7"))])
    assert (
        np.corrcoef(
            aligned.sample(GRID.to_ras(np.argwhere(toy.tumour.array)[:, ::-1])),
            pet.sample(GRID.to_ras(np.argwhere(toy.tumour.array)[:, ::-1])),
        )[0, 1]
        > 0.8
    )
    assert np.abs(aligned.sample(points) - pet.sample(points)).max() < 1.5


def test_significance_depends_on_distance_size_and_uptake(toy):
    (node,) = (i for i in toy.truth.instances if i.site == "coeliac")
    far = distances(toy.truth, toy.tumour)[node.number]
    assert far == pytest.approx(np.linalg.norm(np.array(node.centre) - TUMOUR) - 18, abs=9)
    assert is_significant(node, far)
    small = replace(
        node,
        short_axis=replace(node.short_axis, end=tuple(np.array(node.short_axis.start) + np.array([6.0, 0.0, 0.0]))),
    )
    assert is_significant(small, 60.0)
    assert not is_significant(small, 80.0)
    assert is_significant(replace(small, hot=True), 80.0)
    (lesion,) = (i for i in toy.truth.instances if i.primary)
    assert not is_significant(lesion, 0.0)


def test_decoys_are_uptake_in_organs_away_from_nodes_and_lesions(toy):
    pet = toy.case.images["pet"]
    with_decoys, foci = add_decoys(pet, toy.truth, np.random.default_rng(4))
    assert {organ for organ, _ in foci} <= {"fat", "muscle"}
    added = with_decoys.array - pet.array
    assert added.min() >= 0
    assert added.max() > 1.0
    labelled = np.argwhere(toy.truth.masks.array > 0)
    for _, centre in foci:
        assert np.linalg.norm(GRID.to_ras(labelled[:, ::-1]) - centre, axis=1).min() > CLEAR_MM - 1
    again, _ = add_decoys(pet, toy.truth, np.random.default_rng(4))
    assert (again.array == with_decoys.array).all()


@pytest.mark.slow
def test_a_phantom_has_a_tumour_and_significant_nodes():
    scan = petct_scan(5, size=(80, 56, 72))
    assert {key: image.modality for key, image in scan.case.images.items()} == {"ct": "CT", "pet": "PT"}
    assert scan.tumour.array.any()
    assert len(scan.case.truth) == len(np.unique(scan.case.masks["ct"].array)) - 1 > 0
    far = distances(scan.truth, scan.tumour)
    wanted = [i.site for i in scan.truth.instances if is_significant(i, far[i.number])]
    assert sorted(finding.site for finding in scan.case.truth) == sorted(wanted)


def test_uptake_is_kept_with_the_findings_and_dropped_with_new_boxes(tmp_path):
    uptake = Uptake(
        suv_max=5.0, suv_peak=4.0, suv_mean=3.0, metabolic_volume_ml=1.5, tlg_ml=4.5, distance_mm=12.0, is_proximal=True
    )
    findings = FindingList(
        [], [Finding(label="LN 1", observations={"t0": Observation(centre=(0, 0, 0), uptake=uptake)})]
    )
    again = FindingList.open(findings.save(tmp_path / "findings.json"))
    assert next(iter(again)).observations["t0"].uptake == uptake

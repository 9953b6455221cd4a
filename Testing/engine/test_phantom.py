"""A synthetic patient agrees with its ground truth."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oncotrack.errors import InputError
from oncotrack.findings.finding import Kind, State
from oncotrack.findings.finding_list import FindingList
from oncotrack.images.files import load
from oncotrack.phantom import make_patient, write_patient
from oncotrack.phantom.course import FATES
from oncotrack.phantom.disease import random_disease
from oncotrack.phantom.lumps import node_lump
from oncotrack.phantom.motion import Flow, Push, body_velocity, limit_speed, map_points
from oncotrack.phantom.node_survey import lone_measure
from oncotrack.phantom.patient import LATTICE
from oncotrack.phantom.statistics import NODES, PERCENTILES, node_count, node_size
from oncotrack.phantom.tissues import INSTANCE, LABEL


@pytest.fixture(scope="module")
def patient(cancer_patient):
    return cancer_patient


def test_same_seed_gives_the_same_patient_and_another_seed_another(small_patient, cancer_patient):
    a = small_patient
    b = make_patient(8, visits=2, size=(40, 36, 24))
    for one, two in zip(a.visits, b.visits, strict=True):
        assert np.array_equal(one.image.array, two.image.array)
        assert np.array_equal(one.truth.masks.array, two.truth.masks.array)
    assert a.findings.to_json() == b.findings.to_json()
    first, other = ([(d.site, *d.lumps[0].centre) for d in p.deposits if d.lumps[0]] for p in (a, cancer_patient))
    assert not set(first) & set(other), "another seed places other nodes and lesions"


def test_boxes_hold_their_masks(patient):
    for visit in patient.visits:
        masks = visit.truth.masks
        assert visit.truth.instances
        for instance in visit.truth.instances:
            ijk = np.argwhere(masks.array == instance.mask_number)[:, ::-1]
            points = masks.geometry.to_ras(ijk)
            assert (points >= np.array(instance.box.low) - 1e-6).all() and (
                points <= np.array(instance.box.high) + 1e-6
            ).all()
            low, high = instance.tracklet.bounds()
            assert np.allclose(low, instance.box.low) and np.allclose(high, instance.box.high)
            slices = np.unique(ijk[:, 2])
            assert [box.slice_index for box in instance.tracklet.boxes] == slices.tolist()


def test_recist_ends_lie_on_the_border_of_the_mask_and_the_axes_are_perpendicular(patient):
    for visit in patient.visits:
        masks = visit.truth.masks
        for instance in visit.truth.instances:
            ends = [*_ends(instance.long_axis), *_ends(instance.short_axis)]
            i, j, k = masks.geometry.to_ijk(ends).T
            assert np.ptp(k) < 1e-6
            slice_ = np.pad(masks.array[round(k[0])] == instance.mask_number, 1)
            neighbours = [
                slice_[np.floor(j + 1 + y).astype(int), np.floor(i + 1 + x).astype(int)] for x in (0, 1) for y in (0, 1)
            ]
            assert np.any(neighbours, 0).all(), "an end far outside"
            assert not np.all(neighbours, 0).any(), "an end inside"
            assert instance.short_axis.length_mm <= instance.long_axis.length_mm + 1e-6
            long, short = (np.subtract(a.end, a.start) for a in (instance.long_axis, instance.short_axis))
            if np.linalg.norm(short) > 0:
                assert abs(long @ short) < 1e-6 * max(np.linalg.norm(long) * np.linalg.norm(short), 1)


def _ends(axis):
    return axis.start, axis.end


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10**6), st.floats(2, 25))
def test_motion_is_inverted_within_a_hundredth_of_a_millimetre(seed, most):
    rng = np.random.default_rng(seed)
    velocity = body_velocity(rng, LATTICE, (0, 0, 0), breath_mm=9, posture_mm=8, weight=0.03, wobble_mm=2)
    flow = Flow.from_velocity(LATTICE, limit_speed(velocity, most))
    points = rng.uniform((-170, -100, -280), (170, 110, 180), (200, 3))
    there = map_points(flow, points)
    assert np.abs(map_points(flow, there, inverse=True) - points).max() < 0.01
    assert np.linalg.norm(there - points, axis=1).max() < 1.3 * most + 0.5


def test_the_displacement_by_a_growing_lump_is_inverted():
    push = Push(np.array([[0.0, 0, 0], [20.0, 5, 0]]), np.array([10.0, 8.0]))
    points = np.random.default_rng(0).uniform(-40, 40, (500, 3))
    moved = map_points(push, points)
    assert np.allclose(map_points(push, moved, inverse=True), points, atol=0.02)
    assert np.linalg.norm(map_points(push, [[0, 7.0, 0]])) > 8


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6))
def test_a_warped_point_follows_its_voxel_within_half_a_voxel(seed):
    from oncotrack.images.geometry import Geometry
    from oncotrack.images.volume import Volume
    from oncotrack.phantom import warp

    rng = np.random.default_rng(seed)
    geometry = Geometry((70, 66, 50), (1.5, 1.5, 2.0), (52.0, 48.0, -50.0), np.diag([-1.0, -1, 1]))
    centre = geometry.centre + rng.uniform(-15, 15, 3)
    k, j, i = np.indices(geometry.shape)
    d2 = ((geometry.to_ras(np.stack([i, j, k], -1)) - centre) ** 2).sum(-1)
    after, truth = warp(Volume((1000 * np.exp(-d2 / (2 * 5.0**2))).astype(np.float32), geometry), seed, most_mm=12)
    weight = np.where(after.array > 500, after.array, 0)
    kji = np.array([(weight * axis).sum() / weight.sum() for axis in np.indices(weight.shape)])
    expected = geometry.to_ijk(truth.correspond(centre))
    assert np.abs(kji[::-1] - expected).max() < 0.5


def test_visits_correspond(patient):
    """The same organ lies at the corresponding point, but for points near its surface."""
    first, second = (visit.truth for visit in patient.visits)
    rng = np.random.default_rng(0)
    same = []
    for organ in ("lung", "liver", "heart"):
        from scipy.ndimage import binary_erosion

        inside = np.argwhere(binary_erosion(first.organs.array == LABEL[organ], iterations=2))
        points = first.organs.geometry.to_ras(inside[rng.integers(len(inside), size=60)][:, ::-1])
        moved = patient.truth.correspond(points, 0, 1)
        moved = moved[second.organs.geometry.contains(moved)]
        ijk = np.round(second.organs.geometry.to_ijk(moved)).astype(int)
        same.append((second.organs.array[tuple(ijk[:, ::-1].T)] == LABEL[organ]).mean())
    assert min(same) > 0.8 and np.mean(same) > 0.9
    points = rng.uniform(-60, 60, (50, 3))
    assert np.abs(patient.truth.correspond(patient.truth.correspond(points, 0, 1), 1, 0) - points).max() < 0.1


def test_findings_hold_every_instance_and_survive_json(patient):
    findings = FindingList.from_json(patient.findings.to_json())
    assert len(findings.time_points) == 2
    for n, visit in enumerate(patient.visits):
        seen = [f.at(f"t{n}") for f in findings]
        accepted = [o for o in seen if o is not None and o.state is State.ACCEPTED]
        assert len(accepted) == len(visit.truth.instances)
    assert {f.kind for f in findings} == {Kind.LYMPH_NODE, Kind.LESION}
    assert all(f.site for f in findings)


def test_each_modality_has_its_typical_values(patient, whole_body):
    ct = patient.visits[0].image
    pet, mr = (whole_body.visits[0].images[m] for m in ("PT", "MR"))
    organs = patient.visits[0].truth.organs.array
    for organ, low, high in (("lung", -930, -780), ("liver", 100, 126), ("heart", 90, 175), ("fat", -118, -90)):
        assert low < np.median(ct.array[organs == LABEL[organ]]) < high, organ
    assert pet.array.min() >= 0 and 1.2 < np.percentile(pet.array, 99) < 15
    assert mr.array.min() >= 0 and np.isfinite(mr.array).all()
    assert mr.modality == "MR" and pet.modality == "PT"


@pytest.fixture(scope="module")
def deposits(anatomy):
    """Return the nodes and lesions of 25 patients, two visits each."""
    rng = np.random.default_rng(4)
    return [d for _ in range(25) for d in random_disease(rng, anatomy, 2)]


def test_about_a_third_of_the_enlarged_nodes_is_hot(deposits):
    nodes = [d for d in deposits if d.kind is Kind.LYMPH_NODE and not d.small]
    assert 0.25 < np.mean([d.hot for d in nodes]) < 0.42


@pytest.mark.parametrize("region", sorted(NODES))
def test_measured_nodes_have_the_sizes_of_real_ones(region):
    rng = np.random.default_rng(2024)
    measures = [lone_measure(node_lump(rng, (0, 0, 0), node_size(rng, region), "node", INSTANCE)) for _ in range(80)]
    measured = {
        "axial_long_axis_mm": [m.long_axis.length_mm for m in measures],
        "axial_short_axis_mm": [m.short_axis.length_mm for m in measures],
        "extent_z_mm": [m.box.high[2] - m.box.low[2] for m in measures],
        "volume_mm3": [m.volume_mm3 for m in measures],
    }
    for name, values in measured.items():
        assert np.percentile(values, PERCENTILES[1:4]) == pytest.approx(NODES[region][name][1:4], rel=0.25), name
    counts = [node_count(rng, region) for _ in range(2000)]
    assert np.percentile(counts, PERCENTILES) == pytest.approx(NODES[region]["nodes_per_patient"], rel=0.15)


def test_every_fate_occurs_and_changes_the_lesion(deposits):
    by_fate = {fate: [d for d in deposits if d.fates == (fate,)] for fate in FATES}
    assert all(by_fate.values()), {fate: len(found) for fate, found in by_fate.items()}
    assert all(d.lumps[1].radius > d.lumps[0].radius for d in by_fate["grows"])
    assert all(d.lumps[1].radius < d.lumps[0].radius for d in by_fate["shrinks"])
    assert all(d.lumps[1] is None for d in by_fate["vanishes"])
    assert all(d.lumps[0] is None for d in by_fate["appears"])
    assert any(d.parent is not None for d in by_fate["appears"])
    assert any(d.merged_into is not None for d in by_fate["merges"])


def test_files_hold_the_patient(small_patient, tmp_path):
    patient = small_patient
    write_patient(patient, tmp_path, dicom=True)
    image = load(tmp_path / "t1_CT.nii.gz")
    assert np.array_equal(image.array, patient.visits[1].image.array)
    masks = load(tmp_path / "t0_organs.nii.gz")
    assert np.allclose(masks.geometry.ijk_to_ras, patient.visits[0].truth.masks.geometry.ijk_to_ras, atol=1e-4)
    assert len(FindingList.open(tmp_path / "findings.json")) == len(patient.findings)
    document = json.loads((tmp_path / "truth.json").read_text())
    assert document["visits"][0]["phase"] == patient.visits[0].phase.value
    series = load(tmp_path / "t0_CT_dicom")
    assert series.modality == "CT" and series.metadata["date"] == patient.visits[0].date
    assert np.array_equal(series.array, patient.visits[0].image.array)
    assert np.allclose(series.geometry.ijk_to_ras, patient.visits[0].image.geometry.ijk_to_ras, atol=1e-3)


def test_dicom_uids_are_legal_and_do_not_repeat(small_patient, tmp_path):
    import pydicom

    visit = small_patient.visits[0]
    images = {modality: replace(visit.image, modality=modality) for modality in ("CT", "PT", "MR")}
    write_patient(replace(small_patient, visits=(replace(visit, images=images),)), tmp_path, dicom=True)
    slices = [pydicom.dcmread(f) for f in sorted(tmp_path.rglob("*.dcm"))]
    uids = [s.SOPInstanceUID for s in slices]
    assert len(set(uids)) == len(slices) and all(pydicom.uid.UID(u).is_valid for u in uids)
    assert len({s.SeriesInstanceUID for s in slices}) == 3 and len({s.StudyInstanceUID for s in slices}) == 1
    assert {s.Modality for s in slices} == {"CT", "PT", "MR"}


@pytest.mark.parametrize(
    "wrong", [{"modalities": ("US",)}, {"phase": "late"}, {"visits": 0}, {"region": "leg"}, {"size": (2, 2, 2)}]
)
def test_impossible_requests_are_refused(wrong):
    with pytest.raises(InputError, match=r"\."):
        make_patient(1, **wrong)


def test_masks_contain_only_known_labels(patient):
    for visit in patient.visits:
        numbers = set(np.unique(visit.truth.masks.array)) - {0}
        assert numbers == {i.mask_number for i in visit.truth.instances}
        assert all(n >= INSTANCE for n in numbers)


@pytest.mark.gpu
def test_a_gpu_draws_the_same_visit_twice():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    first, second = (make_patient(1, 1, size=(96, 96, 48), device="cuda").visits[0].image.array for _ in range(2))
    assert first.shape == (48, 96, 96) and (first == second).all()
    assert np.isfinite(first).all() and first.min() < -900 and first.max() > 300

"""The whole body has a head and a pelvis, PET shows their uptake, and the trunk is the same without them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion, distance_transform_edt, label

from oncotrack.images.geometry import Geometry
from oncotrack.phantom.anatomy import Anatomy, Ends
from oncotrack.phantom.canvas import Canvas
from oncotrack.phantom.disease import random_disease
from oncotrack.phantom.draw import paint_image
from oncotrack.phantom.motion import Identity
from oncotrack.phantom.patient import REACH
from oncotrack.phantom.tissues import AIR, LABEL, Phase, hu_values
from oncotrack.phantom.trunk import Trunk


def _drawn(
    anatomy: Anatomy, lowest: float, highest: float, step: float = 3.5
) -> tuple[np.ndarray, np.ndarray, Geometry]:
    columns, rows, slices = (int(extent) for extent in (385 / step, 280 / step, (highest - lowest) / 5))
    geometry = Geometry((columns, rows, slices), (step, step, 5.0), (-190.0, -140.0, lowest))
    canvas = Canvas(geometry, Identity())
    nothing = torch.zeros(canvas.template_points.shape[1:])
    image, labels = paint_image(canvas, anatomy.steps(canvas), hu_values(Phase.PORTAL), AIR, nothing)
    return image.numpy(), labels.numpy(), geometry


def test_the_trunk_is_the_same_with_and_without_head_and_pelvis(anatomy):
    assert anatomy.trunk.arms_up
    with_ends, labels, _ = _drawn(anatomy, -255.0, 140.0, 6.0)
    without, plain, _ = _drawn(replace(anatomy, ends=None), -255.0, 140.0, 6.0)
    assert np.array_equal(labels, plain) and np.array_equal(with_ends, without)
    assert not np.array_equal(_drawn(anatomy, 160.0, 200.0)[1], _drawn(replace(anatomy, ends=None), 160.0, 200.0)[1])


def test_nodes_and_lesions_do_not_depend_on_head_and_pelvis(anatomy):
    first = random_disease(np.random.default_rng(5), anatomy, 2)
    second = random_disease(np.random.default_rng(5), replace(anatomy, ends=None, _rooms={}), 2)
    assert len(first) == len(second) > 5
    for a, b in zip(first, second, strict=True):
        assert a.fates == b.fates and all(
            (m is None and n is None) or np.array_equal(m.centre, n.centre)
            for m, n in zip(a.lumps, b.lumps, strict=True)
        )


def test_the_whole_body_grid_reaches_from_brain_to_thigh(whole_body, small_patient):
    geometry = whole_body.visits[0].image.geometry
    assert geometry.size[2] * geometry.spacing[2] == pytest.approx(np.ptp(REACH["whole-body"]))
    trunk = small_patient.visits[0].image.geometry
    assert trunk.size[2] * trunk.spacing[2] < np.ptp(REACH["trunk"])


def test_brain_bladder_heart_and_kidneys_are_hot(whole_body):
    suv, organs = whole_body.visits[0].images["PT"].array, whole_body.visits[0].truth.organs.array

    def inside(organ: str) -> np.ndarray:
        return suv[binary_erosion(organs == LABEL[organ])]

    assert 7 < np.mean(inside("brain")) < 12
    assert 10 < np.median(inside("bladder")) < 45
    background = np.median(inside("muscle"))
    assert np.median(inside("heart")) > 2 * background
    assert np.median(inside("kidney")) > 3 * background
    assert np.median(inside("bowel")) > 1.2 * background


def test_urine_differs_between_patients_within_the_usual_range(anatomy):
    drawn = [Ends.random(np.random.default_rng(seed), anatomy.trunk) for seed in (1, 2, 3)]
    suv = [anatomy.urine_suv, *(ends.pelvis.urine_suv for ends in drawn)]
    assert len(set(suv)) == 4 and all(10 <= value <= 40 for value in suv)


def test_the_skull_closes_over_the_brain(anatomy):
    _, labels, _ = _drawn(anatomy, 270.0, 375.0)
    brain = labels == LABEL["brain"]
    surface = distance_transform_edt(~brain, sampling=(5.0, 3.5, 3.5)) < 7
    hard = np.isin(labels, [LABEL["brain"], LABEL["bone"]])
    upper = slice(8, None)
    assert brain[upper].sum() > 5000
    assert hard[upper][surface[upper]].mean() > 0.95


def test_the_hips_are_paired_and_the_bladder_lies_between_them(anatomy):
    _, labels, geometry = _drawn(anatomy, -480.0, -400.0)
    bones = geometry.to_ras(np.argwhere(labels == LABEL["bone"])[:, ::-1])
    right, left = bones[bones[:, 0] > 45], bones[bones[:, 0] < -45]
    assert len(right) == pytest.approx(len(left), rel=0.15) and len(right) > 500
    parts, count = label(labels == LABEL["bladder"])
    assert count == 1
    bladder = geometry.to_ras(np.argwhere(parts == 1)[:, ::-1])
    assert np.abs(bladder[:, 0]).max() < right[:, 0].mean()
    assert 40e3 < len(bladder) * np.prod(geometry.spacing) < 500e3


def test_the_sex_of_breasts_and_pelvis_agrees(anatomy):
    found = set()
    for seed in range(4):
        rng = np.random.default_rng(seed)
        trunk = Trunk.random(rng)
        other = replace(anatomy, trunk=trunk, ends=Ends.random(rng, trunk))
        female = trunk.breasts_mm > 0
        labels = set(np.unique(_drawn(other, -490.0, -400.0, 5.0)[1]))
        assert (LABEL["uterus"] in labels) == female and (LABEL["prostate"] in labels) == (not female)
        found.add(female)
    assert found == {True, False}


def test_nothing_is_left_above_the_vertex(anatomy):
    image, _, geometry = _drawn(anatomy, 385.0, 430.0)
    middle = np.abs(geometry.to_ras(np.stack(np.indices(geometry.shape)[::-1], -1))[..., 0]) < 80
    assert (image[middle] == AIR).all()

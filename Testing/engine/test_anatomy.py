"""Anatomy by thresholds and shape: landmarks, regions, and what cannot be a node."""

from __future__ import annotations

import time

import numpy as np
import pytest

from oncotrack.detection.anatomy.anatomy import Anatomy
from oncotrack.detection.anatomy.regions import REGIONS
from oncotrack.detection.ct_slices import LNSlices
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

_SHAPE = 90, 90, 110  # slices, rows, columns of 4 mm, from the feet up


def _ellipse(rows, columns, row, column, tall, wide):
    return ((rows - row) / tall) ** 2 + ((columns - column) / wide) ** 2 <= 1


@pytest.fixture(scope="module")
def trunk() -> Volume:
    """Return a simple trunk: abdomen, chest with two lungs and trachea, neck. Column 54 is the middle, 4 mm voxels."""
    hu = np.full(_SHAPE, -1000.0, np.float32)
    rows, columns = np.mgrid[: _SHAPE[1], : _SHAPE[2]]
    for k in range(_SHAPE[0]):
        tall, wide = (28, 44) if k < 75 else (16, 18)
        hu[k][_ellipse(rows, columns, 45, 54, tall, wide)] = -100
        hu[k][_ellipse(rows, columns, 45, 54, tall - 4, wide - 4)] = 50
        hu[k][_ellipse(rows, columns, 45, 54, tall - 7, wide - 8)] = -100  # deep fat
        if 30 <= k < 72:
            for column in (36, 72):
                hu[k][_ellipse(rows, columns, 46, column, 17, 13)] = -850
        if k >= 55:
            hu[k][_ellipse(rows, columns, 40, 54, 2.3, 2.3)] = -990
        hu[k][_ellipse(rows, columns, 60 if k < 75 else 52, 54, 4, 5)] = 400  # vertebra
        hu[k][_ellipse(rows, columns, 61.5 if k < 75 else 53.5, 54, 1.6, 1.6)] = 30  # spinal canal
    grid = Geometry(
        (_SHAPE[2], _SHAPE[1], _SHAPE[0]), (4.0, 4.0, 4.0), (216.0, 180.0, 0.0), ((-1, 0, 0), (0, -1, 0), (0, 0, 1))
    )
    return Volume(hu, grid, "trunk", "CT")


@pytest.fixture(scope="module")
def anatomy(trunk) -> Anatomy:
    return Anatomy.of(LNSlices(trunk))


def _at(trunk, k, row, column):
    return trunk.geometry.to_ras((column, row, k))


def _name(anatomy, trunk, *index):
    region = anatomy.region(_at(trunk, *index))
    return region.name if region else None


def test_lungs_trachea_and_carina_are_found(anatomy, trunk):
    litres = anatomy.tissues.lungs.sum() * np.prod(anatomy.grid.spacing) / 1e6
    assert 2.5 < litres < 4.5, "the two lungs, not the trachea and not the room"
    carina = anatomy.grid.to_ras((0, 0, anatomy.landmarks.carina))[2]
    assert carina == pytest.approx(55 * 4, abs=8)


@pytest.mark.parametrize(
    ("index", "region"),
    [
        ((85, 45, 46), "neck"),
        ((65, 46, 54), "upper mediastinum"),
        ((40, 46, 54), "lower mediastinum"),
        ((50, 46, 36), "lung"),
        ((50, 72, 54), "chest wall"),
        ((24, 56, 46), "retroperitoneum"),
        ((24, 30, 54), "upper abdomen"),
    ],
)
def test_each_position_has_its_region(anatomy, trunk, index, region):
    assert _name(anatomy, trunk, *index) == region


def test_the_region_is_unknown_without_landmarks(trunk):
    part = trunk.cropped((0, 0, 5), (110, 90, 15))
    assert Anatomy.of(LNSlices(part)).region(_at(trunk, 10, 40, 54)) is None


def test_what_lies_in_lung_bone_gas_or_outside_cannot_be_a_node(anatomy, trunk):
    def reason(*index):
        return anatomy.cannot_be_node(_at(trunk, *index)[None])

    assert reason(50, 46, 36) == "inside the lung"
    assert reason(40, 57.5, 54) == "bone"
    assert reason(60, 40, 54) == "gas"
    assert reason(40, 3, 3) == "outside the body"
    assert reason(24, 40, 54) == ""


def test_every_region_has_a_code_and_a_name_of_its_own():
    assert len({region.name for region in REGIONS}) == len(REGIONS)
    assert all(region.code.isdigit() and region.meaning for region in REGIONS)


@pytest.mark.real
def test_the_anatomy_of_a_real_chest_takes_less_than_three_seconds(shared_data):
    from oncotrack.images.files import load

    slices = LNSlices(load(shared_data / "elastix_lung_pair" / "3DCT_lung_followup.mha"))
    _ = slices.coarse
    started = time.process_time()
    anatomy = Anatomy.of(slices)
    assert time.process_time() - started < 3
    litres = anatomy.tissues.lungs.sum() * np.prod(anatomy.grid.spacing) / 1e6
    assert 3 < litres < 4.5, "one whole lung"
    assert anatomy.landmarks.carina is None, "the trachea is not in this half of the chest"

"""Mask metrics against hand-worked cases and SimpleITK."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from oncotrack.errors import InputError
from oncotrack.evaluation import evaluate_masks, masks, write_report
from oncotrack.images.files import load, save
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume


def ball(shape, centre, radius, spacing=(1, 1, 1)):
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    return (np.linalg.norm((grid - centre) * spacing, axis=-1) <= radius).astype(np.uint8)


def test_dice_and_box_iou_by_hand():
    a, b = np.zeros((6, 6)), np.zeros((6, 6))
    a[1:3, 1:5], b[1:5, 1:3] = 1, 1
    assert masks.dice(a, b) == pytest.approx(200 * 4 / 16)
    assert masks.box_iou(a, b) == pytest.approx(100 * 4 / 12)
    assert masks.dice(a, a * 0) == 0 and masks.box_iou(a, a * 0) == 0
    assert masks.dice(a * 0, a * 0) == 100 and masks.box_iou(a * 0, a * 0) == 100


def test_surface_distance_of_two_plates_is_their_distance():
    a, b = np.zeros((12, 8, 8)), np.zeros((12, 8, 8))
    a[2], b[6] = 1, 1
    assert masks.average_symmetric_surface_distance(a, b, (2.5, 0.7, 0.7)) == pytest.approx(4 * 2.5)
    # a plate against itself and a second plate: half of the second's voxels are 4 slices away, the others at distance 0
    assert masks.average_symmetric_surface_distance(a, a + b, (2.5, 0.7, 0.7)) == pytest.approx(10 / 3)
    assert masks.average_symmetric_surface_distance(a * 0, b * 0, (1, 1, 1)) == 0
    assert np.isnan(masks.average_symmetric_surface_distance(a, b * 0, (1, 1, 1)))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 0.8, 0.7)])
def test_surface_distance_is_simpleitks(spacing):
    generator = np.random.default_rng(4)
    for _ in range(4):
        shape = (16, 30, 32)
        a = ball(shape, generator.uniform((5, 10, 10), (11, 20, 20)), generator.uniform(4, 7), spacing)
        b = ball(shape, generator.uniform((5, 10, 10), (11, 20, 20)), generator.uniform(4, 7), spacing)
        distances = []
        for x, y in ((a, b), (b, a)):
            images = [sitk.GetImageFromArray(np.pad(m, 1)) for m in (x, y)]
            for image in images:
                image.SetSpacing(spacing[::-1])
            edges = [sitk.LabelContour(image, fullyConnected=False) for image in images]
            far = sitk.SignedMaurerDistanceMap(edges[1], squaredDistance=False, useImageSpacing=True)
            distances.append(np.abs(sitk.GetArrayViewFromImage(far))[sitk.GetArrayViewFromImage(edges[0]) > 0])
        want = np.concatenate(distances).mean()
        assert masks.average_symmetric_surface_distance(a, b, spacing) == pytest.approx(want, rel=1e-5)
        overlap = sitk.LabelOverlapMeasuresImageFilter()
        overlap.Execute(sitk.GetImageFromArray(a), sitk.GetImageFromArray(b))
        assert masks.dice(a, b) == pytest.approx(100 * overlap.GetDiceCoefficient())


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(0, 7)] * 3), max_size=30),
    st.lists(st.tuples(*[st.integers(0, 7)] * 3), max_size=30),
)
def test_masks_are_perfect_against_themselves_and_symmetric(first, second):
    a, b = np.zeros((8, 8, 8), np.uint8), np.zeros((8, 8, 8), np.uint8)
    for array, points in ((a, first), (b, second)):
        for point in points:
            array[point] = 1
    assert masks.dice(a, a) == 100 and masks.box_iou(a, a) == 100
    assert masks.average_symmetric_surface_distance(a, a, (2, 1, 1)) == 0
    for metric in (masks.dice, masks.box_iou, lambda x, y: masks.average_symmetric_surface_distance(x, y, (2, 1, 1))):
        assert metric(a, b) == pytest.approx(metric(b, a), nan_ok=True)


@pytest.fixture
def folders(tmp_path):
    geometry = Geometry((32, 30, 16), (0.7, 0.8, 2.5), (4, 5, 6), np.diag([-1.0, -1, 1]))
    a = ball((16, 30, 32), (8, 14, 15), 7, (2.5, 0.8, 0.7))
    for side, array in (("truth", a), ("given", np.roll(a, 2, axis=2)), ("none", a * 0)):
        save(Volume(array, geometry), tmp_path / side / "p1.nii.gz")
        save(Volume(a, geometry), tmp_path / side / "p2.nii.gz")
    return tmp_path


def test_folders_of_masks_are_compared_by_name(folders):
    result = evaluate_masks(folders / "truth", folders / "given")
    assert result["cases"] == 2 and result["per_case"][1]["Dice"] == 100 and 0 < result["per_case"][0]["ASD"] < 1.5
    assert result["Dice"] == pytest.approx(np.mean([case["Dice"] for case in result["per_case"]]))
    perfect = evaluate_masks(folders / "truth", folders / "truth")
    assert (perfect["Dice"], perfect["ASD"], perfect["Box IoU"]) == (100, 0, 100)
    nothing = evaluate_masks(folders / "truth" / "p1.nii.gz", folders / "none" / "p1.nii.gz")
    assert nothing["Dice"] == 0 and nothing["ASD"] is None and nothing["ASD undefined"] == 1
    files = write_report(nothing, folders / "out")
    assert {path.name for path in files} >= {"metrics.csv", "per_case.csv", "masks.png"}


def test_masks_of_the_same_name_in_folders_of_their_own_are_compared_each(folders):
    for side in ("truth", "given"):
        for n, name in enumerate(("p1.nii.gz", "p2.nii.gz")):
            (folders / "nested" / side / f"PAT{n}").mkdir(parents=True)
            (folders / side / name).rename(folders / "nested" / side / f"PAT{n}" / "mask.nii.gz")
    result = evaluate_masks(folders / "nested" / "truth", folders / "nested" / "given")
    assert [case["case"] for case in result["per_case"]] == ["PAT0/mask", "PAT1/mask"]
    save(load(folders / "nested/truth/PAT0/mask.nii.gz"), folders / "nested/truth/PAT0/mask.mha")
    with pytest.raises(InputError, match="the same name but for the suffix"):
        evaluate_masks(folders / "nested" / "truth", folders / "nested" / "given")


def test_masks_that_cannot_be_compared_raise_an_error(folders):
    (folders / "given" / "p2.nii.gz").unlink()
    with pytest.raises(InputError, match=r"given lacks 1 masks .*p2"):
        evaluate_masks(folders / "truth", folders / "given")
    with pytest.raises(InputError, match="both be mask files or both be folders"):
        evaluate_masks(folders / "truth", folders / "given" / "p1.nii.gz")
    other = Volume(np.zeros((16, 30, 32), np.uint8), Geometry((32, 30, 16), (1, 1, 1)))
    save(other, folders / "other.nii.gz")
    with pytest.raises(InputError, match="different grids"):
        evaluate_masks(folders / "truth" / "p1.nii.gz", folders / "other.nii.gz")
    with pytest.raises(InputError, match="does not exist"):
        evaluate_masks(folders / "nowhere", folders / "truth")
    with pytest.raises(InputError, match="cannot be compared"):
        masks.dice(np.zeros((2, 2)), np.zeros((3, 3)))

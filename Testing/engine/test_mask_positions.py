"""A mask lies where it was drawn when other programs read it, whatever the orientation of the image."""

from __future__ import annotations

import nibabel
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.label_files import write_labels
from oncotrack.masks.label_reader import read_labels
from oncotrack.masks.recist import measure

LPS = np.array([-1.0, -1.0, 1.0])
FORMATS = (".nii", ".nii.gz", ".nrrd", ".mha", ".seg.nrrd")
numbers = st.floats(-1, 1)


@st.composite
def grids(draw) -> tuple[Geometry, bool]:
    """Return a grid of any position, orientation, storage order and voxel size, and whether it is sheared."""
    turn = Rotation.from_rotvec(np.pi * np.array(draw(st.tuples(numbers, numbers, numbers)))).as_matrix()
    direction = turn[:, draw(st.permutations([0, 1, 2]))] * draw(st.tuples(*[st.sampled_from([-1, 1])] * 3))
    is_sheared = draw(st.booleans())
    if is_sheared:
        tilt = np.radians(draw(st.floats(5, 30)))
        direction = np.column_stack(
            [direction[:, :2], np.cos(tilt) * direction[:, 2] + np.sin(tilt) * direction[:, draw(st.integers(0, 1))]]
        )
    spacing = draw(st.tuples(*[st.floats(0.4, 6)] * 3))
    origin = 300 * np.array(draw(st.tuples(numbers, numbers, numbers)))
    return Geometry.from_values(draw(st.tuples(*[st.integers(4, 9)] * 3)), spacing, origin, direction), is_sheared


@st.composite
def drawings(draw) -> tuple[Geometry, bool, dict[str, Volume]]:
    """Return a grid and two boxes of voxels on it that may overlap."""
    grid, is_sheared = draw(grids())
    masks = {}
    for name in ("first", "second"):
        low = [draw(st.integers(0, n - 1)) for n in grid.size]
        high = [min(a + draw(st.integers(1, 3)), n) for a, n in zip(low, grid.size, strict=True)]
        array = np.zeros(grid.shape, np.uint8)
        array[low[2] : high[2], low[1] : high[1], low[0] : high[0]] = 1
        masks[name] = Volume(array, grid).cropped(low, high)
    return grid, is_sheared, masks


def positions(mask: Volume) -> np.ndarray:
    return mask.geometry.to_ras(np.argwhere(mask.array)[:, ::-1])


def read_by_nibabel(path) -> tuple[np.ndarray, np.ndarray]:
    """Return voxels [i, j, k], and the matrix from their indices to RAS mm."""
    image = nibabel.load(path)
    return np.asarray(image.dataobj), image.affine


def read_by_pynrrd(path) -> tuple[np.ndarray, np.ndarray]:
    """Return voxels [i, j, k] or [layer, i, j, k], and the matrix from their indices to RAS mm."""
    array, header = nrrd.read(str(path))
    assert header["space"] == "left-posterior-superior"
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = np.array(header["space directions"])[-3:].T, header["space origin"]
    return array, np.diag([*LPS, 1]) @ matrix


def read_by_itk(path) -> tuple[np.ndarray, np.ndarray]:
    """Return voxels [i, j, k] or [layer, i, j, k], and the matrix from their indices to RAS mm."""
    image = sitk.ReadImage(str(path))
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image).T, np.diag([*LPS, 1]) @ matrix


def others(path) -> list:
    """Return the readers of other programs for a file."""
    return [
        read_by_nibabel if ".nii" in path.name else read_by_pynrrd if "nrrd" in path.name else read_by_itk,
        read_by_itk,
    ]


@pytest.mark.parametrize("suffix", FORMATS)
@settings(max_examples=8, deadline=None)
@given(drawn=drawings())
def test_a_mask_lies_where_it_was_drawn_when_it_is_read_by_other_programs(tmp_path_factory, suffix, drawn):
    grid, is_sheared, masks = drawn
    path = write_labels(tmp_path_factory.getbasetemp() / f"drawn{FORMATS.index(suffix)}{suffix}", grid, masks)
    first, second = (mask.resampled(grid, fill=0, nearest=True).array.T != 0 for mask in masks.values())
    if suffix != ".seg.nrrd":
        first &= ~second  # a label map shows the later of two masks
    for reader in others(path):
        if is_sheared and reader is read_by_itk and ".nii" in suffix:
            with pytest.raises(RuntimeError, match="orthonormal"):  # refused rather than misplaced
                reader(path)
            continue
        array, matrix = reader(path)
        for value, drawn_voxels in enumerate((first, second), 1):
            inside = (array == value).any(0) if array.ndim == 4 else array == value
            found, wanted = (
                np.argwhere(inside) @ matrix[:3, :3].T + matrix[:3, 3],
                grid.to_ras(np.argwhere(drawn_voxels)),
            )
            assert found.shape == wanted.shape and np.allclose(found, wanted, atol=0.01)


@settings(max_examples=12, deadline=None)
@given(drawn=drawings())
def test_a_segmentation_comes_back_as_it_was_drawn(tmp_path_factory, drawn):
    grid, _is_sheared, masks = drawn
    again = read_labels(write_labels(tmp_path_factory.getbasetemp() / "again.seg.nrrd", grid, masks))
    assert sorted(again) == sorted(masks)
    for name, mask in masks.items():
        found = positions(again[name])
        assert np.abs(found[np.lexsort(found.T)] - positions(mask)[np.lexsort(positions(mask).T)]).max() < 0.01


@settings(max_examples=12, deadline=None)
@given(grid=grids())
def test_volume_and_centre_of_a_mask_are_those_of_its_parallelepiped(grid):
    geometry, _is_sheared = grid
    whole = Volume(np.ones(geometry.shape, np.uint8), geometry)
    edges = geometry.ijk_to_ras[:3, :3] * geometry.size
    found = measure(whole)
    assert found.volume_mm3 == pytest.approx(abs(np.linalg.det(edges)), rel=1e-6)
    assert np.allclose(found.centre, geometry.centre, atol=0.01)

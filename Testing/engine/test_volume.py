"""Images in any format and orientation are read; one that cannot be used is refused with a message."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from oncotrack.errors import InputError, OutputError
from oncotrack.images.files import load, save
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume, lps_to_ras, to_sitk

OBLIQUE = np.linalg.qr(np.array([[1.0, 0.3, -0.2], [-0.25, 1, 0.15], [0.2, -0.1, 1]]))[0]


def ramp(geometry: Geometry) -> Volume:
    """Return an image whose value is 2 R - 3 A + S + 5 everywhere, so that any resampling can be checked."""
    k, j, i = np.indices(geometry.shape)
    ras = geometry.to_ras(np.stack([i, j, k], -1))
    return Volume((ras @ [2.0, -3.0, 1.0] + 5).astype(np.float32), geometry, "ramp")


SCAN = ramp(Geometry((12, 10, 8), (1.0, 1.5, 2.5), (-3.0, 7.0, 11.0), OBLIQUE))


@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.nii", "scan.nrrd", "scan.mha"])
def test_a_file_written_is_read_back_at_the_same_position(tmp_path, name):
    back = load(save(SCAN, tmp_path / name))
    assert np.allclose(back.array, SCAN.array)
    assert np.allclose(back.geometry.ijk_to_ras, SCAN.geometry.ijk_to_ras, atol=1e-4)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_lps_of_the_file_is_ras_of_the_engine(tmp_path):
    image = sitk.GetImageFromArray(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    image.SetOrigin((10, 20, 30))
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    volume = load(tmp_path / "a.mha")
    assert volume.origin == (-10, -20, 30)
    assert np.allclose(volume.geometry.to_ras((1, 0, 0)), (-11, -20, 30))
    assert np.allclose(lps_to_ras([1, 2, 3]), (-1, -2, 3))
    assert np.allclose(to_sitk(volume).GetOrigin(), (10, 20, 30))


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(*[st.integers(4, 14)] * 3), st.tuples(*[st.floats(0.7, 4.0)] * 3), st.permutations(range(3)),
    st.tuples(*[st.sampled_from([-1, 1])] * 3),
)  # fmt: skip
def test_resampling_a_linear_image_is_exact_inside(size, spacing, order, signs):
    direction = (np.eye(3)[list(order)].T * signs) @ OBLIQUE
    grid = Geometry(size, spacing, (0, 0, 0), direction)
    grid = Geometry(size, spacing, tuple(SCAN.geometry.centre - grid.centre), direction)
    inside = SCAN.geometry.contains(grid.to_ras(np.stack(np.indices(size)[::1], -1).reshape(-1, 3)), margin_mm=7)
    values = SCAN.resampled(grid).array.transpose(2, 1, 0).reshape(-1)[inside]
    assert np.allclose(values, ramp(grid).array.transpose(2, 1, 0).reshape(-1)[inside], atol=0.05)


def test_resampling_follows_a_mapping_and_fills_outside():
    mapping = np.eye(4)
    mapping[:3, 3] = (4.0, 0.0, -2.0)
    grid = Geometry.around(SCAN.geometry.centre - mapping[:3, 3], 1.0, 1.0)
    assert np.allclose(SCAN.resampled(grid, mapping).array, ramp(grid).array + 8 - 2, atol=0.01)
    far = Geometry.around((1000, 0, 0), 2.0, 1.0)
    assert (SCAN.resampled(far, fill=-7).array == -7).all()


def test_coarse_resampling_averages_rather_than_skips():
    rng = np.random.default_rng(0)
    noise = Volume(rng.normal(0, 1, (40, 40, 40)).astype(np.float32), Geometry((40, 40, 40)))
    assert noise.resampled(noise.geometry.with_spacing(4.0)).array.std() < 0.25


def test_cropping_keeps_positions():
    part = SCAN.cropped((2, 3, 1), (9, 8, 6))
    assert part.array.shape == (5, 5, 7)
    assert np.allclose(part.array, ramp(part.geometry).array, atol=1e-3)


def test_sampling_points_and_window():
    places = SCAN.geometry.to_ras([[3.5, 4.25, 2.0], [6, 6, 6]])
    assert np.allclose(SCAN.sample(places), places @ [2.0, -3.0, 1.0] + 5, atol=1e-3)
    assert SCAN.windowed(-10, 10).min() == 0.0
    assert SCAN.windowed(-10, 10).max() == 1.0
    with pytest.raises(InputError, match="empty"):
        SCAN.windowed(5, 5)


def test_the_fingerprint_depends_on_content_and_position():
    same = Volume(SCAN.array.copy(), SCAN.geometry, "another name")
    moved = Volume(SCAN.array, Geometry(SCAN.geometry.size, SCAN.spacing, (0, 0, 0), SCAN.direction))
    assert same.fingerprint == SCAN.fingerprint != moved.fingerprint


def test_inside_and_outside_reach_to_the_voxel_faces():
    grid = Geometry((4, 4, 4))
    assert grid.contains([(-0.4, 0, 0), (-0.6, 0, 0), (3.4, 3, 3)]).tolist() == [True, False, True]
    assert not grid.contains((1, 1, 0), margin_mm=1)


def write(path, array, **options):
    sitk.WriteImage(sitk.GetImageFromArray(array, **options), str(path))
    return path


CUBE = np.arange(64, dtype=np.float32).reshape(4, 4, 4)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda d: d / "none.nii", "does not exist"),
        (lambda d: write(d / "flat.nii", CUBE[0]), "single picture"),
        (lambda d: write(d / "time.nii", np.stack([CUBE] * 3), isVector=False), "3 volumes"),
        (lambda d: write(d / "colour.nrrd", np.zeros((4, 4, 4, 3)), isVector=True), "3 values per voxel"),
        (lambda d: write(d / "constant.mha", np.full((4, 4, 4), -1000.0)), "constant: every voxel is -1000"),
        (lambda d: write(d / "nan.mha", np.where(CUBE > 60, np.nan, CUBE)), "3 invalid voxel values"),
        (lambda d: d.joinpath("text.txt").write_text("x") and d / "text.txt", "not an image that OncoTrack can read"),
        (lambda d: d.joinpath("broken.nii.gz").write_bytes(b"\x1f\x8b garbage") and d / "broken.nii.gz", "damaged"),
        (lambda d: d.joinpath("none.nrrd").write_bytes(b"") or d / "none.nrrd", "damaged"),
        (lambda d: d, "holds no DICOM images"),
    ],
)
def test_an_image_that_cannot_be_used_is_refused(tmp_path, make, sentence):
    with pytest.raises(InputError, match=sentence):
        load(make(tmp_path))


def test_a_truncated_file_is_refused(tmp_path):
    whole = save(SCAN, tmp_path / "whole.mha")
    whole.write_bytes(whole.read_bytes()[:-50])
    with pytest.raises(InputError, match="damaged"):
        load(whole)


def test_a_single_time_point_of_a_4d_file_is_an_image(tmp_path):
    assert load(write(tmp_path / "one.nii", CUBE[None], isVector=False)).array.shape == (4, 4, 4)


def test_too_few_slices_are_refused():
    thin = Volume(np.arange(32.0).reshape(2, 4, 4), Geometry((4, 4, 2)), "thin")
    with pytest.raises(InputError, match="smallest dimension of thin is 2"):
        thin.checked(minimum_slices=4)


def test_a_wrong_suffix_and_an_unwritable_folder_are_refused(tmp_path):
    with pytest.raises(OutputError, match="no supported file extension"):
        save(SCAN, tmp_path / "scan.jpg")
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        save(SCAN, tmp_path / "file" / "scan.nii")

"""For any orientation, storage order, type, scale, spacing and format, a voxel at a known position has the known value."""

import tempfile
from pathlib import Path

import nibabel
import nrrd
import numpy as np
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from oncotrack.errors import InputError
from oncotrack.images.files import load, save
from oncotrack.images.geometry import Geometry
from oncotrack.images.grid import SHEAR_DEGREES, shear_degrees
from oncotrack.images.volume import Volume

NIFTI = ("nii", "nii.gz", "nifti-2")
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])
SPACES = {
    "left-posterior-superior": (-1, -1, 1),
    "right-anterior-superior": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
}
DTYPES = ("u1", "i1", "i2", "u2", "i4", "u4", "f4", "f8")


@st.composite
def grids(draw, largest_shear=0.0):
    """Return the size and the matrix of a grid in any orientation and storage order, mirrored or not, perhaps sheared."""
    size = draw(st.tuples(*[st.integers(2, 6)] * 3))
    turn = Rotation.from_euler("xyz", draw(st.tuples(*[st.floats(-180, 180)] * 3)), degrees=True).as_matrix()
    order = list(draw(st.permutations(range(3))))
    spacing = draw(st.tuples(*[st.floats(0.3, 12.0)] * 3))
    skew = np.eye(3)
    for row, column in ((0, 1), (0, 2), (1, 2)):
        skew[row, column] = np.tan(np.radians(draw(st.floats(-largest_shear, largest_shear))))
    matrix = np.eye(4)
    matrix[:3, :3] = (turn @ skew)[:, order] * draw(st.tuples(*[st.sampled_from([-1, 1])] * 3)) * spacing
    matrix[:3, 3] = draw(st.tuples(*[st.floats(-900, 900)] * 3))
    return size, matrix


def write_nifti(path, kind, stored, matrix, codes, slope, intercept):
    image = (nibabel.Nifti2Image if kind == "nifti-2" else nibabel.Nifti1Image)(stored, matrix, dtype=stored.dtype)
    if shear_degrees(Geometry.from_matrix(stored.shape, matrix)) < 1e-6:
        image.set_qform(matrix, codes[0])
        image.set_sform(matrix, codes[1])
    image.header.set_slope_inter(slope, intercept)
    path = path / ("scan.nii" if kind == "nii" else "scan.nii.gz")
    nibabel.save(image, path)
    with_scale = nibabel.load(path)  # nibabel changes the scale when it saves: what it reads back is the truth
    return path, np.asarray(with_scale.dataobj, np.float64), with_scale.affine


def write_nrrd(path, encoding, space, stored, matrix):
    path = path / "scan.nrrd"
    in_space = np.diag(SPACES[space]) @ matrix[:3]
    header = {
        "space": space,
        "space directions": in_space[:, :3].T,
        "space origin": in_space[:, 3],
        "encoding": encoding,
    }
    nrrd.write(str(path), stored, header)
    return path, stored, matrix


def write_metaimage(path, packed, stored, matrix):
    path = path / "scan.mha"
    image, spacing = sitk.GetImageFromArray(stored.T.copy()), np.linalg.norm(matrix[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin((RAS_TO_LPS @ matrix[:3, 3]).tolist())
    image.SetDirection((RAS_TO_LPS @ (matrix[:3, :3] / spacing)).ravel().tolist())
    sitk.WriteImage(image, str(path), packed)
    return path, stored, matrix


@st.composite
def files(draw, largest_shear=0.0):
    """Return a function that writes a scan into a folder and returns its path, values by (i, j, k) and matrix to RAS."""
    size, matrix = draw(grids(largest_shear))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    stored = np.arange(np.prod(size)).reshape(size) % 216 - (100 if dtype.kind != "u" and dtype.itemsize > 1 else 0)
    stored = (stored % 108 if dtype == "i1" else stored).astype(dtype)
    form = draw(st.sampled_from([*NIFTI, "nrrd", "mha"]))
    if form in NIFTI:
        codes = draw(st.sampled_from([(1, 1), (0, 1), (1, 0), (1, 2), (0, 4)]))
        scale = draw(st.sampled_from([(1.0, 0.0), (0.5, -1024.0), (2.7, 13.1), (-1.0, 3.0)]))
        return lambda folder: write_nifti(folder, form, stored, matrix, codes, *scale)
    if form == "nrrd":
        encoding, space = draw(st.sampled_from(["raw", "gzip"])), draw(st.sampled_from(sorted(SPACES)))
        return lambda folder: write_nrrd(folder, encoding, space, stored, matrix)
    packed = draw(st.booleans())
    return lambda folder: write_metaimage(folder, packed, stored, matrix)


@settings(max_examples=120, deadline=None)
@given(files(), st.tuples(*[st.floats(0, 1)] * 3))
def test_a_voxel_at_a_known_position_has_the_known_value(written, where):
    with tempfile.TemporaryDirectory() as folder:
        path, values, matrix = written(Path(folder))
        volume = load(path)
    ijk = np.round(np.array(where) * (np.array(values.shape) - 1))
    ras = (matrix @ [*ijk, 1])[:3]
    found = volume.geometry.to_ijk(ras)
    assert np.abs(found - np.round(found)).max() < 5e-3  # a qform's quaternion has the precision of 32 bits
    assert abs(volume.array[tuple(np.round(found[::-1]).astype(int))] - values[tuple(ijk.astype(int))]) < 0.01
    assert np.allclose(volume.geometry.ijk_to_ras, matrix, atol=5e-3)


@settings(max_examples=60, deadline=None)
@given(files(largest_shear=20.0))
def test_a_sheared_file_keeps_its_positions_or_is_refused(written):
    with tempfile.TemporaryDirectory() as folder:
        path, values, matrix = written(Path(folder))
        try:
            volume = load(path)
        except InputError as error:
            assert "sheared" in str(error) and error.parameter == "resample"
            volume = load(path, resample=True)
            assert shear_degrees(volume.geometry) < 1e-3
            # every old voxel lies in the new image, whose voxels have the old volume and lowest value
            corners = Geometry.from_matrix(values.shape, matrix).to_ras(np.argwhere(np.ones(values.shape)))
            assert volume.geometry.contains(corners).all()
            assert abs(np.prod(volume.spacing) / abs(np.linalg.det(matrix[:3, :3])) - 1) < 1e-3
            assert abs(volume.array.min() - values.min()) < 0.01 and volume.array.max() <= values.max() + 0.01
            return
    assert shear_degrees(volume.geometry) <= SHEAR_DEGREES
    assert np.allclose(volume.geometry.ijk_to_ras, matrix, atol=1e-3)
    assert np.allclose(volume.array, values.T, atol=0.01)


@settings(max_examples=40, deadline=None)
@given(grids(largest_shear=0.4), st.sampled_from(["scan.nii", "scan.nii.gz", "scan.nrrd", "scan.mha"]))
def test_what_is_written_is_read_back_by_every_library(grid, name):
    size, matrix = grid
    geometry = Geometry.from_matrix(size, matrix)
    if shear_degrees(geometry) > SHEAR_DEGREES:
        return
    array = np.arange(np.prod(size), dtype=np.int16).reshape(size[::-1])
    with tempfile.TemporaryDirectory() as folder:
        path = save(Volume(array, geometry), Path(folder) / name)
        readers = [lambda: (load(path).array, load(path).geometry.ijk_to_ras)]
        if name.startswith("scan.nii"):
            image = nibabel.load(path)
            readers.append(lambda: (np.asarray(image.dataobj).T, image.affine))
        else:
            image = sitk.ReadImage(str(path))
            origin = np.array(image.TransformIndexToPhysicalPoint((0, 0, 0)))
            steps = [
                np.array(image.TransformIndexToPhysicalPoint(tuple(row))) - origin
                for row in np.eye(3, dtype=int).tolist()
            ]
            lps = np.vstack([np.c_[np.stack(steps, 1), origin], [0, 0, 0, 1]])
            readers.append(lambda: (sitk.GetArrayFromImage(image), np.diag([-1, -1, 1, 1]) @ lps))
        if name == "scan.nrrd":
            data, header = nrrd.read(str(path))
            assert header["space"] == "left-posterior-superior"
            lps_nrrd = np.vstack([np.c_[header["space directions"].T, header["space origin"]], [0, 0, 0, 1]])
            readers.append(lambda: (data.T, np.diag([-1, -1, 1, 1]) @ lps_nrrd))
        for read in readers:
            values, found = read()
            assert np.array_equal(values, array) and np.allclose(found, matrix, atol=2e-3)

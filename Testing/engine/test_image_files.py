"""NIfTI, NRRD and MetaImage as other programs write them: at the right position with the right values, or refused."""

import gzip
import struct
import zlib

import nibabel
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from oncotrack.errors import InputError
from oncotrack.images.files import load, read_image, save
from oncotrack.images.geometry import Geometry
from oncotrack.images.grid import shear_degrees, straight_grid, straightened
from oncotrack.images.nrrd import read_layers
from oncotrack.images.volume import Volume

SIZE = (6, 5, 4)
STORED = (np.arange(120).reshape(SIZE) * 8 - 400).astype(np.int16)
"""Values by (i, j, k); every voxel has its own."""
AFFINE = np.array([[-2.0, 0, 0, 30], [0, -3, 0, 20], [0, 0, 4, -50], [0, 0, 0, 1]])
LPS = {"space": "left-posterior-superior", "space directions": np.diag([2.0, 3, 4]), "space origin": [-30.0, -20, -50]}


def sheared(degrees, along=2, moved=1, affine=AFFINE):
    matrix = np.eye(4)
    matrix[moved, along] = (
        np.tan(np.radians(degrees)) * np.linalg.norm(affine[:, along]) / np.linalg.norm(affine[:, moved])
    )
    return affine @ matrix


def nifti(path, array=STORED, affine=AFFINE, sform=1, qform=None, kind=nibabel.Nifti1Image, **fields):
    """Write a NIfTI file; `fields` of the header are set afterwards, untouched by nibabel."""
    image = kind(array, affine)
    image.set_sform(affine, sform)
    image.set_qform(affine if qform is None and abs(shear(affine)) < 0.1 else qform, 0 if qform is None else 1)
    nibabel.save(image, path)
    if fields:
        opened = gzip.open if path.name.endswith(".gz") else open
        with opened(path, "rb") as file:
            content = bytearray(file.read())
        header = image.header.__class__(bytes(content[: image.header.sizeof_hdr]), check=False)
        for name, value in fields.items():
            header[name] = value
        content[: image.header.sizeof_hdr] = header.binaryblock
        with opened(path, "wb") as file:
            file.write(content)
    return path


def shear(affine):
    return shear_degrees(Geometry.from_matrix(SIZE, affine))


def check(volume, affine=AFFINE, stored=STORED):
    """Check that the voxels are `stored`, and lie where the matrix says."""
    assert np.allclose(volume.array, np.asarray(stored).T, atol=0.01)
    assert np.allclose(volume.geometry.ijk_to_ras, affine, atol=1e-4)
    return volume


# NIfTI ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"pixdim": [1, -2, 3, 4, 0, 0, 0, 0]},
        {"pixdim": [1, 2, -3, 4, 0, 0, 0, 0]},
        {"pixdim": [-1, 2, 3, -4, 0, 0, 0, 0]},
        {"pixdim": [1, 2.4, 3.6, 4.8, 0, 0, 0, 0]},
        {"pixdim": [0] * 8},
        {"sform_code": 2}, {"sform_code": 4}, {"xyzt_units": 0}, {"xyzt_units": 10}, {"vox_offset": 0}, {"bitpix": 8},
    ],
)  # fmt: skip
def test_the_sform_decides(tmp_path, changes):
    volume = check(load(nifti(tmp_path / "a.nii.gz", **changes)))
    assert ("disagree" in volume.metadata.get("notice", "")) == ("pixdim" in changes)


def test_where_sform_and_qform_disagree_the_sform_is_used_and_the_reader_is_informed(tmp_path):
    mirrored = AFFINE @ np.diag([-1, 1, 1, 1])
    mirrored[0, 3] = 20
    volume = check(load(nifti(tmp_path / "a.nii", qform=mirrored)))
    assert "disagree by up to 5 voxels; the sform is used" in volume.metadata["notice"]
    moved = AFFINE.copy()
    moved[:3, 3] += 0.1
    assert "notice" not in check(load(nifti(tmp_path / "b.nii", qform=moved))).metadata
    tilted = sheared(15)
    path = nifti(tmp_path / "c.nii", affine=tilted, qform=AFFINE)
    with pytest.raises(InputError, match=r"sheared: its axes are 15\.0 degrees"):
        load(path)


def test_without_an_sform_the_qform_is_used(tmp_path):
    turned = np.array([[0, -3.0, 0, 5], [1.2, 0, -3.2, 6], [-1.6, 0, -2.4, 7], [0, 0, 0, 1]])
    for affine in (AFFINE, turned, turned * [1, 1, -1, 1]):
        assert (
            "notice"
            not in check(load(nifti(tmp_path / "a.nii", affine=affine, sform=0, qform=affine)), affine).metadata
        )
    check(load(nifti(tmp_path / "b.nii", sform=0, qform=AFFINE, pixdim=[-0.0, 2, 3, 4, 0, 0, 0, 0])), AFFINE)
    for changes, sentence in (
        ({"pixdim": [1, -2, 3, 4, 0, 0, 0, 0]}, "-2 x 3 x 4 mm"),
        ({"pixdim": [1, 0, 3, 4, 0, 0, 0, 0]}, "0 x 3 x 4 mm"),
        ({"quatern_b": 0.9, "quatern_c": 0.9}, "is not a rotation"),
        ({"qoffset_x": np.nan}, "position nan, 20, -50 mm"),
    ):
        with pytest.raises(InputError, match=sentence):
            load(nifti(tmp_path / "c.nii", sform=0, qform=AFFINE, **changes))


def test_without_sform_and_qform_the_position_is_unknown(tmp_path):
    path = nifti(tmp_path / "a.nii", sform_code=0, qform_code=0)
    volume = check(load(path), nibabel.load(path).affine)
    assert "position" in volume.metadata["notice"] and "which side is left" in volume.metadata["notice"]
    with pytest.raises(InputError, match="voxel size of 2 x -3 x 4 mm"):
        load(nifti(tmp_path / "b.nii", sform_code=0, qform_code=0, pixdim=[1, 2, -3, 4, 0, 0, 0, 0]))


@pytest.mark.parametrize("matrix", [sheared(0.01), sheared(0.2), AFFINE + np.pad(np.full((3, 3), 3e-3), (0, 1))])
def test_axes_that_are_nearly_at_right_angles_are_loaded_as_they_are(tmp_path, matrix):
    volume = check(load(nifti(tmp_path / "a.nii", affine=matrix)), matrix)
    assert "resampled" not in volume.metadata
    for name in ("b.nii.gz", "b.nrrd", "b.mha"):
        check(load(save(volume, tmp_path / name)), matrix)


@pytest.mark.parametrize(("along", "moved"), [(2, 1), (2, 0), (0, 2), (1, 0)])
@pytest.mark.parametrize("degrees", [15, -25])
def test_a_sheared_image_is_resampled_where_that_is_allowed(tmp_path, along, moved, degrees):
    affine = sheared(degrees, along, moved)
    grid = Geometry.from_matrix((16, 14, 12), affine)
    k, j, i = np.indices(grid.shape)
    value = grid.to_ras(np.stack([i, j, k], -1)) @ [2.0, -3.0, 1.0] + 5
    path = nifti(tmp_path / "a.nii", value.T.astype(np.float32), affine)
    with pytest.raises(InputError, match="resampled to a regular grid") as refused:
        load(path)
    assert refused.value.parameter == "resample"
    volume = load(path, resample=True)
    assert shear_degrees(volume.geometry) < 1e-6 and f"{abs(degrees)}.0 degrees" in volume.metadata["resampled"]
    assert np.prod(volume.spacing) == pytest.approx(abs(np.linalg.det(affine[:3, :3])))
    ends = (0, *(n - 1 for n in grid.size))
    for ijk in ((4, 5, 6), (ends[1], ends[2], ends[3]), (0, 0, 0), (7, 13, 11)):
        assert volume.geometry.contains(grid.to_ras(ijk))
    inside = grid.to_ras(np.random.default_rng(0).uniform(2, 9, (50, 3)))
    assert np.allclose(volume.sample(inside), inside @ [2.0, -3.0, 1.0] + 5, atol=0.01)


def test_slices_of_a_tilted_gantry_are_only_moved_in_their_planes(tmp_path):
    array = np.random.default_rng(1).normal(0, 100, (20, 20, 6)).astype(np.float32)
    grid = straight_grid(Geometry.from_matrix(array.shape, sheared(20)))
    assert grid.spacing == pytest.approx((2, 3, 4)) and grid.size[0] == 20 and grid.size[2] == 6
    moved = straightened(Volume(array.T, Geometry.from_matrix(array.shape, sheared(20))))
    whole = np.eye(4)
    whole[1, 2] = 2  # rows per slice
    exact = straightened(Volume(array.T, Geometry.from_matrix(array.shape, AFFINE @ whole)))
    assert exact.array.shape == (6, 30, 20) and np.array_equal(exact.array[3, 6:26], array[:, :, 3].T)
    assert moved.array.min() == array.min()


@pytest.mark.parametrize(
    ("slope", "intercept", "scale"),
    [
        (1, 0, None), (0, -1024, None), (np.nan, np.nan, None), (np.inf, 0, None), (1, np.nan, None),
        (0.5, -24.25, (0.5, -24.25)), (-1, 3, (-1, 3)), (1, -1024, (1, -1024)),
    ],
)  # fmt: skip
def test_the_scale_of_nifti_is_applied_unless_its_slope_is_zero(tmp_path, slope, intercept, scale):
    volume = load(nifti(tmp_path / "a.nii", scl_slope=slope, scl_inter=intercept))
    check(volume, stored=STORED if scale is None else STORED * scale[0] + scale[1])
    assert volume.array.dtype == (np.int16 if scale is None else np.float32)


@pytest.mark.parametrize(
    "dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", ">i2", ">f4", ">f8", ">u4"]
)
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_all_numbers_of_nifti_are_read_in_both_byte_orders(tmp_path, dtype, kind):
    stored = (np.arange(120).reshape(SIZE) % 100).astype(dtype)
    header = kind.header_class(endianness=">" if dtype[0] == ">" else "<")
    image = kind(stored, AFFINE, header, dtype=np.dtype(dtype))
    nibabel.save(image, tmp_path / "a.nii.gz")
    volume = check(load(tmp_path / "a.nii.gz"), stored=stored)
    assert volume.array.dtype.isnative and volume.array.dtype.kind == np.dtype(dtype).kind


def test_metres_and_micrometres_are_converted(tmp_path):
    for code, mm in ((1, 1000), (3, 0.001)):
        small = AFFINE.copy()
        small[:3] /= mm
        check(load(nifti(tmp_path / "a.nii", affine=small, qform=small, xyzt_units=code)), AFFINE)
        with pytest.raises(InputError, match=f"voxel size of {2 * mm:.4g} x {3 * mm:.4g} x {4 * mm:.4g} mm"):
            load(nifti(tmp_path / "b.nii", xyzt_units=code))


def test_compression_is_seen_from_the_content(tmp_path):
    plain = nifti(tmp_path / "a.nii").read_bytes()
    (tmp_path / "plain.nii.gz").write_bytes(plain)
    (tmp_path / "packed.nii").write_bytes(gzip.compress(plain[:400]) + gzip.compress(plain[400:]))
    check(load(tmp_path / "plain.nii.gz"))
    check(load(tmp_path / "packed.nii"))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"sform_code": 1, "srow_x": [0, 0, 0, 0]}, "voxel size of 0 x 3 x 4 mm"),
        ({"srow_x": [np.nan, 0, 0, 30]}, "voxel size of nan x 3 x 4 mm"),
        ({"srow_x": [-2, 0, 0, np.inf]}, "position inf, 20, -50 mm"),
        ({"srow_x": [-2, 0, 0, 1e9]}, r"position 1e\+09, 20, -50 mm, many metres"),
        ({"srow_x": [-2e6, 0, 0, 30]}, r"voxel size of 2e\+06 x 3 x 4 mm"),
        ({"srow_x": [-2, -2, 0, 30], "srow_y": [-3, -3, 0, 20]}, "do not span 3D space"),
        ({"dim": [3, 6, -5, 4, 1, 1, 1, 1]}, "dimensions"),
        ({"dim": [9, 6, 5, 4, 1, 1, 1, 1]}, "dimensions"),
        ({"dim": [3, 6, 5, 400, 1, 1, 1, 1]}, "states 12000 voxels, but only 120 could be read"),
        ({"dim": [2, 6, 5, 1, 1, 1, 1, 1]}, "single picture"),
        ({"datatype": 32}, "complex numbers"), ({"datatype": 1792}, "complex numbers"),
        ({"datatype": 128}, "colours"), ({"datatype": 1536}, "unknown type"),
        ({"magic": b"ni1"}, "Analyze file or half of a pair"), ({"magic": b""}, "Analyze"),
        ({"sizeof_hdr": 1}, "is not a NIfTI file"),
    ],
)  # fmt: skip
def test_a_nifti_header_that_cannot_be_right_is_refused(tmp_path, fields, sentence):
    with pytest.raises(InputError, match=sentence):
        load(nifti(tmp_path / "a.nii", **fields))


def test_several_volumes_are_refused_and_one_time_point_is_an_image(tmp_path):
    check(load(nifti(tmp_path / "a.nii", STORED[..., None])))
    check(load(nifti(tmp_path / "a.nii", STORED[..., None, None])))
    for shape, count in (((2,), 2), ((2, 3), 6), ((1, 3), 3)):
        several = np.broadcast_to(STORED.reshape(*SIZE, *[1] * len(shape)), (*SIZE, *shape))
        with pytest.raises(InputError, match=f"{count} volumes"):
            load(nifti(tmp_path / "a.nii", several))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha", "raw.nrrd", "raw.mha"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers_are_refused_in_every_format(tmp_path, name, bad):
    array = STORED.T.astype(np.float32)
    array[1, 2, 3] = bad
    image = sitk.GetImageFromArray(array)
    sitk.WriteImage(image, str(tmp_path / name), not name.startswith("raw"))
    with pytest.raises(InputError, match=r"1 invalid voxel value \(NaN"):
        load(tmp_path / name)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha", "raw.nrrd", "raw.mha", "a.mhd", "a.nhdr"])
@pytest.mark.parametrize("kept", [0.5, 0.97])
def test_a_file_that_is_cut_short_is_refused_in_every_format(tmp_path, name, kept):
    array = np.random.default_rng(0).integers(-1000, 1000, (20, 20, 20)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / name), not name.startswith("raw"))
    data = max(tmp_path.iterdir(), key=lambda path: path.stat().st_size)
    assert load(tmp_path / name).array.shape == (20, 20, 20)
    content = data.read_bytes()
    data.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match="damaged"):
        load(tmp_path / name)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
def test_compressed_data_with_a_wrong_byte_are_refused(tmp_path, name):
    array = np.random.default_rng(0).integers(-1000, 1000, (20, 20, 20)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / name), True)
    content = bytearray((tmp_path / name).read_bytes())
    content[-2000] ^= 0x10
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        load(tmp_path / name)


def test_a_single_slice_tells_its_thickness(tmp_path):
    for path in (nifti(tmp_path / "a.nii", STORED[..., :1]), save(load(tmp_path / "a.nii"), tmp_path / "a.nrrd")):
        assert load(path).metadata["single_slice"] == "A single slice; its thickness of 4 mm is used as slice spacing."
    assert "single_slice" not in load(nifti(tmp_path / "b.nii")).metadata


# NRRD -----------------------------------------------------------------------------------------------------------------


def write_nrrd(path, array=STORED, **header):
    nrrd.write(str(path), array, {key: value for key, value in (LPS | header).items() if value is not None})
    return path


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii"])
@pytest.mark.parametrize("name", ["a.nrrd", "a.nhdr"])
def test_the_encodings_of_nrrd_are_read(tmp_path, encoding, name):
    check(load(write_nrrd(tmp_path / name, encoding=encoding)))


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("left-posterior-superior", (-1, -1, 1)), ("LPS", (-1, -1, 1)), ("right-anterior-superior", (1, 1, 1)),
        ("RAS", (1, 1, 1)), ("left-anterior-superior", (-1, 1, 1)), ("LAS", (-1, 1, 1)), ("ras", (1, 1, 1)),
    ],
)  # fmt: skip
def test_the_spaces_of_nrrd_are_read(tmp_path, space, signs):
    volume = load(write_nrrd(tmp_path / "a.nrrd", space=space))
    affine = np.diag([*signs, 1]) @ np.array([[2.0, 0, 0, -30], [0, 3, 0, -20], [0, 0, 4, -50], [0, 0, 0, 1]])
    assert "notice" not in check(volume, affine).metadata


@pytest.mark.parametrize(
    "header",
    [
        {"space": "scanner-xyz"},
        {"space": None, "space dimension": 3},
        {"space": None, "space directions": None, "space origin": None, "spacings": [2, 3, 4]},
        {"space": None, "space directions": None, "space origin": None, "spacings": [2, 3, 4], "kinds": ["domain"] * 3},
    ],
)
def test_a_nrrd_file_without_an_anatomical_space_says_so(tmp_path, header):
    volume = load(write_nrrd(tmp_path / "a.nrrd", **header))
    assert "which side is left, is unknown" in volume.metadata["notice"]
    check(volume, volume.geometry.ijk_to_ras)
    assert volume.spacing == pytest.approx((2, 3, 4))
    unplaced = load(write_nrrd(tmp_path / "b.nrrd", **{"space origin": None}))
    assert "no position" in unplaced.metadata["notice"] and unplaced.origin == (0, 0, 0)


@pytest.mark.parametrize(("unit", "mm"), [("cm", 10.0), ("m", 1000.0), ("mm", 1.0), ("um", 0.001), ("", 1.0)])
def test_the_units_of_nrrd_are_read(tmp_path, unit, mm):
    placed = {"space directions": np.diag([2.0, 3, 4]) / mm, "space origin": np.array(LPS["space origin"]) / mm}
    check(load(write_nrrd(tmp_path / "a.nrrd", **placed, **{"space units": [unit] * 3})))
    spacings = {"space": None, "space directions": None, "space origin": None, "spacings": np.array([2.0, 3, 4]) / mm}
    assert load(write_nrrd(tmp_path / "a.nrrd", **spacings, units=[unit] * 3)).spacing == pytest.approx((2, 3, 4))


def test_sheared_nrrd_follows_the_rule_of_nifti(tmp_path):
    tilted = {"space directions": np.array([[2.0, 0, 0], [0, 3, 0], [0, 4 * np.tan(np.radians(15)), 4]])}
    path = write_nrrd(tmp_path / "a.nrrd", **tilted)
    with pytest.raises(InputError, match=r"15\.0 degrees"):
        load(path)
    assert load(path, resample=True).spacing == pytest.approx((2, 3, 4))
    flipped = {"space directions": np.diag([-2.0, 3, 4])}
    check(load(write_nrrd(tmp_path / "b.nrrd", **flipped)), AFFINE * [-1, 1, 1, 1])


@pytest.mark.parametrize(
    ("array", "header", "sentence"),
    [
        (STORED, {"space units": ["inch"] * 3}, "positions in inch"),
        (STORED, {"space directions": np.diag([2.0, 0, 4])}, "voxel size of 2 x 0 x 4 mm"),
        (STORED, {"space directions": np.diag([2.0, 3000, 4])}, "voxel size of 2 x 3000 x 4 mm"),
        (STORED, {"space origin": [np.nan, 0, 0]}, "position nan"),
        (STORED, {"space origin": [0, 0, 1e7]}, r"position 0, 0, 1e\+07 mm, many metres"),
        (STORED, {"space": None, "space directions": None, "space origin": None}, "states no voxel size"),
        (STORED, {"space": None, "space directions": None, "space origin": None, "spacings": [2, np.nan, 3]}, "nan"),
        (STORED, {"space": None, "space directions": None, "space origin": None, "spacings": [2, -3, 4]}, "2 x -3 x 4 mm"),
        (STORED[:, :, 0], {"space": None, "space directions": None, "space origin": None}, "single picture"),
    ],
)  # fmt: skip
def test_a_nrrd_header_that_cannot_be_right_is_refused(tmp_path, array, header, sentence):
    with pytest.raises(InputError, match=sentence):
        load(write_nrrd(tmp_path / "a.nrrd", array, **header))


def test_lists_of_volumes_and_colours_are_refused_and_one_is_an_image(tmp_path):
    directions = np.vstack([np.full((1, 3), np.nan), np.diag([2.0, 3, 4])])
    for kind, count in (("vector", 3), ("RGB-color", 3), ("list", 2)):
        header = {"space directions": directions, "kinds": [kind, "domain", "domain", "domain"]}
        with pytest.raises(InputError, match=f"{count} values per voxel"):
            load(write_nrrd(tmp_path / "a.nrrd", np.stack([STORED] * count), **header))
        check(load(write_nrrd(tmp_path / "a.nrrd", STORED[None], **header)))
    last = {"space directions": np.roll(directions, -1, 0), "kinds": ["domain", "domain", "domain", "list"]}
    with pytest.raises(InputError, match="2 volumes"):
        load(write_nrrd(tmp_path / "a.nrrd", np.stack([STORED] * 2, -1), **last))
    check(load(write_nrrd(tmp_path / "a.nrrd", STORED[..., None], **last)))


def nrrd_text(data="", sizes="6 5 4", **more):
    lines = {"type": "short", "dimension": "3", "space": "LPS", "sizes": sizes, "encoding": "raw", "endian": "little"}
    lines |= {"space directions": "(2,0,0) (0,3,0) (0,0,4)", "space origin": "(-30,-20,-50)"} | more
    return "\n".join(["NRRD0005", *(f"{key}: {value}" for key, value in lines.items() if value), data, ""])


RAW = STORED.T.astype("<i2").tobytes()


def test_a_header_in_utf_8_keeps_its_units_and_names(tmp_path):
    """pynrrd reads "µm" as "m", see findings/pynrrd_drops_letters_and_units.sh."""
    placed = {"space directions": "(2000,0,0) (0,3000,0) (0,0,4000)", "space origin": "(-30000,-20000,-50000)"}
    text = nrrd_text(**placed, **{"space units": '"µm" "µm" "µm"'}).rstrip("\n")
    (tmp_path / "a.nrrd").write_bytes(f"{text}\nSegment0_Name:=Läsion\nSegment1_Name:=肝臓\n\n".encode() + RAW)
    check(load(tmp_path / "a.nrrd"))
    (layer,), names = read_layers(tmp_path / "a.nrrd")
    check(layer)
    assert names == {"Segment0_Name": "Läsion", "Segment1_Name": "肝臓"}


def test_bytes_to_skip_in_compressed_data_count_after_decompression(tmp_path):
    text = nrrd_text(encoding="gzip", **{"byte skip": "4"})
    (tmp_path / "a.nrrd").write_bytes(text.encode() + gzip.compress(b"skip" + RAW))
    check(load(tmp_path / "a.nrrd"))


def test_detached_data_in_one_file_a_list_and_a_pattern_are_read(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "all.raw").write_bytes(b"12\n" + b"skip" + RAW)
    (tmp_path / "end.raw").write_bytes(b"anything" + RAW)
    for n in range(4):
        (tmp_path / "parts" / f"s{n + 1:02d}.raw").write_bytes(RAW[n * 60 : n * 60 + 60])
    headers = {
        "one": nrrd_text(**{"line skip": "1", "byte skip": "4", "data file": "all.raw"}),
        "old": nrrd_text(**{"lineskip": "1", "byteskip": "4", "datafile": "./all.raw"}),
        "end": nrrd_text(**{"byte skip": "-1", "data file": "end.raw"}),
        "list": nrrd_text(**{"data file": "LIST\n" + "\n".join(f"parts/s{n:02d}.raw" for n in (1, 2, 3, 4))}),
        "pattern": nrrd_text(**{"data file": "parts/s%02d.raw 1 4 1"}),
    }
    for name, text in headers.items():
        (tmp_path / f"{name}.nhdr").write_text(text.strip("\n") + "\n", newline="\r\n" if name == "list" else "\n")
        check(load(tmp_path / f"{name}.nhdr"))


def test_detached_data_outside_the_folder_or_missing_are_refused(tmp_path):
    (tmp_path / "in").mkdir()
    for folder in (tmp_path, tmp_path / "in"):
        (folder / "a.raw").write_bytes(RAW)
    mhd = "NDims = 3\nDimSize = 6 5 4\nElementSpacing = 2 3 4\nElementType = MET_SHORT\nElementDataFile = {}\n"
    for where in ("../a.raw", str(tmp_path / "a.raw"), "LIST\n../a.raw", "../a%d.raw 1 2 1"):
        (tmp_path / "in" / "a.nhdr").write_text(nrrd_text(**{"data file": where}))
        (tmp_path / "in" / "a.mhd").write_text(mhd.format(where))
        for name in ("a.nhdr", "a.mhd"):
            with pytest.raises(InputError, match="outside its own folder"):
                load(tmp_path / "in" / name)
    (tmp_path / "in" / "a.nhdr").write_text(nrrd_text(**{"data file": "b.raw"}))
    with pytest.raises(InputError, match=r"b\.raw, which is not there"):
        load(tmp_path / "in" / "a.nhdr")
    (tmp_path / "in" / "a.mhd").write_text(mhd.format("a.raw"))
    assert np.array_equal(load(tmp_path / "in" / "a.mhd").array, STORED.T)


def test_key_value_pairs_and_comments_do_not_change_the_fields(tmp_path):
    text = nrrd_text().rstrip("\n") + "\ntype:=float\n# sizes: 1 1 1\nSegment0_Name:=Liver: right\n\n"
    (tmp_path / "a.nrrd").write_bytes(text.encode() + RAW)
    check(load(tmp_path / "a.nrrd"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (nrrd_text(type="block"), 'type "block", which OncoTrack does not support'),
        (nrrd_text(encoding="hex"), 'encoding "hex", which OncoTrack does not support'),
        (nrrd_text(endian=None), 'lacks "endian"'), (nrrd_text(type=None), 'lacks "type"'),
        (nrrd_text(sizes="6 five 4"), "damaged"), (nrrd_text(sizes="6 -5 4"), "states sizes"),
        (nrrd_text(**{"space directions": "(2,0,0) (0,3,0)"}), "a different number of axes"),
        (nrrd_text(**{"space directions": "(2,0) (0,3) (0,4)"}), "not in three dimensions"),
        ("NOTNRRD\n\n", "is not an NRRD file"),
    ],
)  # fmt: skip
def test_a_nrrd_file_that_is_damaged_is_refused(tmp_path, text, sentence):
    (tmp_path / "a.nrrd").write_bytes(text.encode() + RAW)
    with pytest.raises(InputError, match=sentence):
        load(tmp_path / "a.nrrd")


# MetaImage ------------------------------------------------------------------------------------------------------------


def metaimage(path, data=RAW, **changes):
    fields = {
        "ObjectType": "Image", "NDims": 3, "BinaryData": "True", "BinaryDataByteOrderMSB": "False", "CompressedData": "False",
        "Offset": "-30 -20 -50", "ElementSpacing": "2 3 4", "DimSize": "6 5 4", "ElementType": "MET_SHORT",
        "ElementDataFile": "LOCAL",
    } | changes  # fmt: skip
    fields["ElementDataFile"] = fields.pop("ElementDataFile")
    text = "".join(f"{key} = {value}\n" for key, value in fields.items() if value is not None)
    path.write_bytes(text.encode() + data)
    return path


@pytest.mark.parametrize(
    ("changes", "data"),
    [
        ({}, RAW),
        ({"ElementSpacing": None, "ElementSize": "2 3 4", "Offset": None, "Position": "-30 -20 -50"}, RAW),
        ({"BinaryDataByteOrderMSB": "True"}, STORED.T.astype(">i2").tobytes()),
        ({"ElementByteOrderMSB": "True"}, STORED.T.astype(">i2").tobytes()),
        ({"ElementType": "MET_DOUBLE"}, STORED.T.astype("<f8").tobytes()),
        ({"ElementType": "MET_LONG_LONG"}, STORED.T.astype("<i8").tobytes()),
        ({"ElementType": "MET_ULONG", "ElementToIntensityFunctionOffset": "-400"}, (STORED.T + 400).astype("<u4").tobytes()),
        ({"CompressedData": "True"}, zlib.compress(RAW)),
        ({"BinaryData": "False"}, " ".join(map(str, STORED.T.ravel())).encode()),
        ({"DistanceUnits": "cm", "ElementSpacing": "0.2 0.3 0.4", "Offset": "-3 -2 -5"}, RAW),
        ({"AnatomicalOrientation": "RAI", "TransformMatrix": "1 0 0 0 1 0 0 0 1"}, RAW),
        ({"NDims": 4, "DimSize": "6 5 4 1", "ElementSpacing": "2 3 4 1", "Offset": "-30 -20 -50 0"}, RAW),
    ],
)  # fmt: skip
def test_the_forms_of_metaimage_are_read(tmp_path, changes, data):
    check(load(metaimage(tmp_path / "a.mha", data, **changes)))


def test_directions_of_metaimage_are_read_as_itk_does(tmp_path):
    path = metaimage(tmp_path / "a.mha", TransformMatrix="0 1 0 0 0 -1 1 0 0")
    image = sitk.ReadImage(str(path))
    columns = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    assert np.allclose(load(path).geometry.ijk_to_ras[:3, :3], np.diag([-1, -1, 1]) @ columns)
    tilted = metaimage(tmp_path / "b.mha", TransformMatrix="1 0 0 0 1 0 0 0.25 1")
    with pytest.raises(InputError, match=r"14\.0 degrees"):
        load(tilted)
    assert "resampled" in load(tilted, resample=True).metadata


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"ElementSpacing": None}, "states no voxel size"), ({"ElementSpacing": "2 0 4"}, "2 x 0 x 4 mm"),
        ({"ElementSpacing": "2 nan 4"}, "2 x nan x 4 mm"), ({"ElementSpacing": "2 -3 4"}, "2 x -3 x 4 mm"),
        ({"ElementSpacing": "2 3e9 4"}, r"2 x 3e\+09 x 4 mm"), ({"Offset": "nan 0 0"}, "position nan"),
        ({"DistanceUnits": "inch"}, 'positions in "inch"'), ({"ElementNumberOfChannels": "3"}, "3 values per voxel"),
        ({"NDims": 2, "DimSize": "6 20", "ElementSpacing": "2 3", "Offset": "0 0"}, "single picture"),
        ({"NDims": 4, "DimSize": "6 5 2 2", "ElementSpacing": "2 3 4 1", "Offset": "0 0 0 0"}, "2 volumes"),
        ({"ElementType": "MET_FLOAT_ARRAY"}, "type MET_FLOAT_ARRAY"), ({"DimSize": None}, 'lacks "DimSize"'),
        ({"DimSize": "6 5 400"}, "states 12000 voxels, but only 120 could be read"), ({"DimSize": "6 5 x"}, "damaged"),
        ({"CompressedData": "True"}, "damaged"), ({"TransformMatrix": "1 0 0"}, "damaged"),
    ],
)  # fmt: skip
def test_a_metaimage_header_that_cannot_be_right_is_refused(tmp_path, changes, sentence):
    with pytest.raises(InputError, match=sentence):
        load(metaimage(tmp_path / "a.mha", **changes))


def test_a_file_of_another_format_is_refused(tmp_path):
    for name in ("a.nii", "a.nii.gz", "a.nrrd", "a.nhdr", "a.mha", "a.mhd"):
        (tmp_path / name).write_bytes(struct.pack("<6i", *range(6)) * 100)
        with pytest.raises(InputError, match="damaged"):
            load(tmp_path / name)
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match="not an image that OncoTrack can read"):
        read_image(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="does not exist"):
        read_image(tmp_path / "b.nii")


# Writing --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int16, np.uint16, np.int32, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nifti_is_written_for_every_other_program(tmp_path, dtype, name):
    turned = np.array([[0, -3.0, 0, 5], [1.2, 0, -3.2, 6], [-1.6, 0, -2.4, 7], [0, 0, 0, 1]])
    for affine in (AFFINE, turned, turned * [1, 1, -1, 1]):
        array = (np.arange(120).reshape(SIZE[::-1]) % 100).astype(dtype)
        path = save(Volume(array, Geometry.from_matrix(SIZE, affine)), tmp_path / name)
        written = nibabel.load(path)
        assert np.array_equal(np.asarray(written.dataobj).T, array)
        assert np.allclose(written.get_sform(coded=True)[0], affine) and written.get_qform(coded=True)[1] == 1
        assert np.allclose(written.get_qform(), affine, atol=1e-4) and written.header.get_xyzt_units()[0] == "mm"
        image = sitk.ReadImage(str(path))
        assert np.array_equal(sitk.GetArrayFromImage(image), array)
        assert np.allclose(
            image.TransformIndexToPhysicalPoint((3, 2, 1)),
            (np.diag([-1, -1, 1, 1]) @ affine @ [3, 2, 1, 1])[:3],
            atol=1e-4,
        )

"""Readers of PNG, JSON and NIfTI data sets, each on tiny files of its true format."""

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk

from oncotrack.datasets import Case, deeplesion, dls, folder, nih_lymph_nodes, prostatex
from oncotrack.datasets.case import observe_labels, renumber, voxel_box
from oncotrack.errors import InputError
from oncotrack.findings.finding import Kind
from oncotrack.findings.finding_list import FindingList
from oncotrack.images.files import save
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

HEADER = (
    "File_name,Patient_index,Study_index,Series_ID,Key_slice_index,Measurement_coordinates,Bounding_boxes,"
    "Lesion_diameters_Pixel_,Normalized_lesion_location,Coarse_lesion_type,Possibly_noisy,Slice_range,Spacing_mm_px_,"
    "Image_size,DICOM_windows,Patient_gender,Patient_age,Train_Val_Test"
)
COLUMNS = HEADER.split(",")


def deeplesion_row(**changes):
    row = dict(zip(COLUMNS, [
        "000001_01_01_004.png", 1, 1, 1, 4, "11, 13, 19, 13, 15, 11, 15, 15", "6, 6, 24, 20", "8, 4",
        "0.4, 0.3, 0.4", 3, 0, "3, 6", "0.5, 0.5, 2.5", "32, 24", "-175, 275", "F", 62.0, 3,
    ], strict=True))  # fmt: skip
    return row | changes


@pytest.fixture
def deeplesion_set(tmp_path):
    generator = np.random.default_rng(1)
    hu = generator.integers(-1000, 1500, (4, 24, 32)).astype(np.int32)
    series = tmp_path / "Images_png" / "000001_01_01"
    series.mkdir(parents=True)
    for index, plane in enumerate(hu, 3):
        sitk.WriteImage(sitk.GetImageFromArray((plane + 32768).astype(np.uint16)), str(series / f"{index:03d}.png"))
    info = tmp_path / "DL_info.csv"
    with info.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerow(deeplesion_row())
        writer.writerow(deeplesion_row(File_name="000001_01_01_005.png", Key_slice_index=5, Coarse_lesion_type=5))
    return tmp_path / "Images_png", info, hu


def test_deeplesion_slices_become_a_volume_in_hu_with_every_lesion_of_the_range(deeplesion_set):
    images, info, hu = deeplesion_set
    (case,) = deeplesion.cases(images, info)
    ct = case.images["ct"]
    assert case.name == "000001_01_01_003-006" and ct.modality == "CT"
    assert np.array_equal(ct.array, hu) and ct.spacing == (0.5, 0.5, 2.5)
    first, second = (finding.at("ct") for finding in case.truth)
    # columns run to the left, rows to the back, slices to the feet; pixels count from 1, key slice 4 is second of 3..6
    assert first.centre == pytest.approx((-14 * 0.5, -12 * 0.5, -1 * 2.5))
    assert first.long_axis.length_mm == pytest.approx(8 * 0.5) and first.short_axis.length_mm == pytest.approx(2.0)
    assert first.radius_mm == pytest.approx(2.0)
    assert first.box.low == pytest.approx((-23.5 * 0.5, -19.5 * 0.5, -1.5 * 2.5))
    assert second.centre[2] == pytest.approx(-5.0)
    assert [finding.site for finding in case.truth] == ["mediastinum", "lung"]


def test_deeplesion_reads_only_the_requested_split_and_only_key_slices(deeplesion_set):
    images, info, hu = deeplesion_set
    assert list(deeplesion.cases(images, info, "train")) == []
    cases = list(deeplesion.cases(images, info, "test", key_slices=True))
    assert [case.name for case in cases] == ["000001_01_01_004", "000001_01_01_005"]
    assert np.array_equal(cases[1].images["ct"].array[0], hu[2])
    assert cases[1].truth.findings[0].at("ct").centre[2] == 0


def test_deeplesion_names_the_missing_slice_the_damaged_slice_and_the_bad_row(deeplesion_set, tmp_path):
    images, info, _ = deeplesion_set
    path = images / "000001_01_01" / "005.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match=r"005\.png is missing or damaged"):
        list(deeplesion.cases(images, info))
    path.unlink()
    with pytest.raises(InputError, match="Slice 5 of 000001_01_01 is missing"):
        list(deeplesion.cases(images, info))
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((24, 32), np.uint8)), str(path))
    with pytest.raises(InputError, match="16 bits"):
        list(deeplesion.cases(images, info))
    text = info.read_text().replace('"0.5, 0.5, 2.5"', '"0.5, 0.5"')
    info.write_text(text)
    with pytest.raises(InputError, match="line 2: the column Spacing_mm_px_ holds 2 numbers"):
        deeplesion.read_info(info)


def dls_record(source="000004_02_01_007-010.nii.gz", target="000004_03_01_002-006.nii.gz", **changes):
    record = {"source": source, "target": target}
    for end, centre, spacing in (
        ("source", [10.0, 8.0, 1.0], [0.5, 0.5, 5.0]),
        ("target", [12.0, 9.0, 3.0], [0.8, 0.8, 2.0]),
    ):
        record |= {
            f"{end} center": centre,
            f"{end} box": [centre[0] - 3, centre[1] - 2, centre[2] - 1, 6.0, 4.0, 2.0],
            f"{end} spacing": spacing,
            f"{end} recist diameter": [6.0, 4.0],
        }
    return record | {"predict target center": [11.0, 9.0, 3.0]} | changes


def write_dls_image(path, size, spacing, *, rows_first):
    """Write a sub-volume as DeepLesion's own export stores it (rows first), or columns first with the slices in reverse order."""
    x, y, z = np.meshgrid(*(np.arange(n) for n in size), indexing="ij")
    array = (x + 100 * y + 10000 * z).astype(np.float32)  # the value encodes the annotation's voxel
    if rows_first:
        directions = np.array([[0, -1, 0], [-1, 0, 0], [0, 0, -1]], float)
        geometry = Geometry((size[1], size[0], size[2]), (spacing[1], spacing[0], spacing[2]), (0, 0, 0), directions)
        stored = array.transpose(2, 0, 1)  # [slice, column, row]
    else:
        geometry = Geometry(size, spacing, (0, 0, -(size[2] - 1) * spacing[2]), np.diag([-1.0, -1, 1]))
        stored = array.transpose(2, 1, 0)[::-1]
    save(Volume(np.ascontiguousarray(stored), geometry), path)


@pytest.mark.parametrize("rows_first", [True, False])
def test_dls_points_lie_in_their_voxels_for_both_axis_orders_of_the_export(tmp_path, rows_first):
    record = dls_record()
    write_dls_image(tmp_path / record["source"], (32, 24, 4), (0.5, 0.5, 5.0), rows_first=rows_first)
    write_dls_image(tmp_path / record["target"], (32, 24, 5), (0.8, 0.8, 2.0), rows_first=rows_first)
    (tmp_path / "valid.json").write_text(json.dumps({"0001": record}))
    (case,) = dls.cases(tmp_path / "valid.json", tmp_path)
    (finding,) = case.truth
    for key, (x, y, z), spacing in (("baseline", (10, 8, 1), 0.5), ("follow-up", (12, 9, 3), 0.8)):
        seen = finding.at(key)
        assert case.images[key].sample([seen.centre]) == pytest.approx(x + 100 * y + 10000 * z)
        assert seen.radius_mm == pytest.approx(3 * spacing), "diameters are in pixels"
        assert np.subtract(seen.box.high, seen.box.low)[0] == pytest.approx(6 * spacing)


def test_dls_names_what_does_not_fit(tmp_path):
    record = dls_record()
    path = tmp_path / "valid.json"
    path.write_text(json.dumps({"0001": record}))
    with pytest.raises(InputError, match=r"000004_02_01_007-010\.nii\.gz does not exist"):
        list(dls.cases(path, tmp_path))
    write_dls_image(tmp_path / record["source"], (32, 24, 4), (0.7, 0.7, 5.0), rows_first=True)
    write_dls_image(tmp_path / record["target"], (32, 24, 5), (0.8, 0.8, 2.0), rows_first=True)
    with pytest.raises(InputError, match="annotation gives"):
        list(dls.cases(path, tmp_path))
    with pytest.raises(InputError, match="holds 1 directed pairs; the released test set has 960"):
        dls.read_pairs(path, "test")
    path.write_text(json.dumps({"0001": dls_record(**{"target spacing": [0.8, float("nan"), 2.0]})}))
    with pytest.raises(InputError, match=r'pair 0001: "target spacing" holds \[0.8, nan, 2.0\]'):
        dls.read_pairs(path)
    path.write_text(path.read_text()[:50])
    with pytest.raises(InputError, match="not JSON or is cut off"):
        dls.read_pairs(path)


def test_dls_as_released_has_480_test_pairs_in_both_directions(tmp_path):
    path = tmp_path / "test.json"
    path.write_text(json.dumps({f"{n:04d}": dls_record() for n in range(960)}))
    assert len(dls.read_pairs(path, "test")) == dls.DIRECTED_PAIRS["test"] == 2 * 480
    with pytest.raises(InputError, match="906"):
        dls.read_pairs(path, "valid")


def block_labels(shape=(6, 12, 14)):
    labels = np.zeros(shape, np.uint8)
    labels[1:3, 2:5, 3:9] = 1
    labels[4:6, 8:10, 1:3] = 2
    return labels


OBLIQUE = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1.0]])


def test_observations_of_a_label_map_hold_their_voxels_on_any_grid():
    geometry = Geometry((14, 12, 6), (0.7, 0.8, 2.5), (5, -4, 3), OBLIQUE)
    labels = Volume(block_labels(), geometry)
    for value, seen in observe_labels(labels, "test").items():
        kji = np.argwhere(labels.array == value)
        corners = np.concatenate([geometry.to_ras(kji[:, ::-1] + np.array(step)) for step in np.ndindex(2, 2, 2)])
        corners = corners - geometry.to_ras((0.5, 0.5, 0.5)) + geometry.to_ras((0, 0, 0))
        assert (corners >= np.array(seen.box.low) - 1e-6).all() and (corners <= np.array(seen.box.high) + 1e-6).all()
        assert seen.volume_mm3 == pytest.approx(len(kji) * 0.7 * 0.8 * 2.5)
        assert seen.centre == pytest.approx(tuple(geometry.to_ras(kji.mean(0)[::-1])))
        assert [box.slice_index for box in seen.tracklet.boxes] == sorted(set(kji[:, 0]))
    straight = voxel_box(Geometry((4, 4, 4), (2, 2, 2)), (1, 1, 1), (2, 2, 2))
    assert straight.low == (1, 1, 1) and straight.high == (5, 5, 5)


def test_label_values_are_numbered_without_gaps():
    labels = Volume(block_labels() * 7, Geometry((14, 12, 6)))
    assert np.unique(renumber(labels).array).tolist() == [0, 1, 2]


def test_a_folder_of_pairs_is_read_by_name_and_binary_masks_are_split(tmp_path):
    geometry = Geometry((14, 12, 6), (0.7, 0.8, 2.5), (5, -4, 3), np.diag([-1.0, -1, 1]))
    image = Volume(np.random.default_rng(0).normal(size=(6, 12, 14)).astype(np.float32), geometry)
    save(image, tmp_path / "A_CT_image.nii.gz")
    save(Volume((block_labels() > 0).astype(np.uint8), geometry), tmp_path / "A_CT_mask.nii.gz")
    save(image, tmp_path / "imagesTr" / "B_0000.nii.gz")
    save(Volume(block_labels(), geometry), tmp_path / "labelsTr" / "B.nii.gz")
    save(image, tmp_path / "C_image.nrrd")
    save(Volume(np.zeros((6, 12, 14), np.uint8), geometry), tmp_path / "C_seg.nrrd")
    cases = {case.name: case for case in folder.cases(tmp_path, Kind.LYMPH_NODE)}
    assert [len(case.truth) for case in cases.values()] == [2, 0, 2]
    case = cases["A_CT"]
    assert isinstance(case, Case) and isinstance(case.truth, FindingList)
    assert [finding.label for finding in case.truth] == ["LN 1", "LN 2"]
    for n, finding in enumerate(case.truth, 1):
        kji = np.argwhere(case.masks["image"].array == n)
        assert finding.at("image").centre == pytest.approx(tuple(geometry.to_ras(kji.mean(0)[::-1])), abs=1e-4)
    again = {c.name: c for c in folder.cases(tmp_path, Kind.LYMPH_NODE)}["A_CT"]
    assert [f.uid for f in again.truth] == [f.uid for f in case.truth], "two reads give the same tracking UIDs"


def test_a_folder_without_masks_or_with_a_mask_on_another_grid_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no pairs"):
        folder.pairs(tmp_path)
    image = Volume(np.arange(1008, dtype=np.float32).reshape(6, 12, 14), Geometry((14, 12, 6)))
    save(image, tmp_path / "A_image.nii.gz")
    with pytest.raises(InputError, match=r"A_image\.nii\.gz has 0 masks; exactly one is needed"):
        folder.pairs(tmp_path)
    save(Volume(block_labels(), Geometry((14, 12, 6), origin=(3, 0, 0))), tmp_path / "A_mask.nii.gz")
    with pytest.raises(InputError, match="does not lie on the grid"):
        list(folder.cases(tmp_path))
    with pytest.raises(InputError, match="does not exist"):
        folder.pairs(tmp_path / "elsewhere")


@pytest.mark.parametrize("read", [deeplesion.read_info, dls.read_records, prostatex.read_findings])
def test_a_folder_or_a_picture_instead_of_a_table_is_refused(read, tmp_path):
    with pytest.raises(InputError, match=r"is a folder, not .*Choose the file"):
        read(tmp_path)
    picture = tmp_path / "table.csv"
    for content in (bytes(range(256)) * 4, b'"' + b"a" * 200_000):
        picture.write_bytes(content)
        with pytest.raises(InputError, match=r"table\.csv"):
            read(picture)


def test_nih_masks_follow_their_axis_directions_and_not_their_origin():
    ct = Volume(np.zeros((6, 12, 14), np.int16), Geometry((14, 12, 6), (1, 1, 2), (9, 9, 9), np.diag([-1.0, -1, 1])))
    turned = Volume(
        np.ascontiguousarray(block_labels()[::-1].transpose(0, 2, 1)),
        Geometry((12, 14, 6), (1, 1, 2), (0, 0, 0), [[0, -1, 0], [-1, 0, 0], [0, 0, -1]]),
    )
    assert np.array_equal(nih_lymph_nodes._map_to_scan(turned, ct).array, block_labels())

"""Masks and axes in files: segmentations, tables, training pairs, rows of DeepLesion; and the evaluation of masks."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner

from oncotrack.cli.app import app
from oncotrack.datasets import folder
from oncotrack.errors import InputError
from oncotrack.evaluation.pseudo_masks import evaluate_pseudo_masks
from oncotrack.findings.finding import Axis, Kind
from oncotrack.images.files import load, save
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.axes_table import ENDS, ResultRow, read_table, write_table
from oncotrack.masks.findings import observation
from oncotrack.masks.label_files import write_labels
from oncotrack.masks.label_reader import read_labels
from oncotrack.masks.training_pairs import write_pair

GRID = Geometry((60, 54, 9), (0.8, 0.8, 3.0), (10.0, 20.0, -5.0), np.diag([-1.0, -1.0, 1.0]))


def lump(centre_ijk, half_mm=(12, 8, 9)) -> Volume:
    k, j, i = np.indices(GRID.shape)
    offset = (np.stack([i, j, k], -1) - centre_ijk) * GRID.spacing
    return Volume((((offset / half_mm) ** 2).sum(-1) < 1).astype(np.uint8), GRID)


def axes_of(centre_ijk, half_mm=(12, 8)) -> RecistAxes:
    middle = GRID.to_ras(centre_ijk)
    (a, b), (c, d) = ((middle - way, middle + way) for way in np.diag([*half_mm, 0])[:2])
    return RecistAxes(Axis(tuple(a), tuple(b)), Axis(tuple(c), tuple(d)))


def scan(truth: Volume) -> Volume:
    noise = np.random.default_rng(1).normal(size=truth.array.shape) * 12
    return Volume((np.where(truth.array, 60, -100) + noise).astype(np.int16), GRID, "ct", "CT")


def ends_row(axes: RecistAxes, **more) -> dict:
    return {**dict(zip(ENDS, axes.ends.ravel().tolist(), strict=True)), **more}


def write_csv(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize("name", ["m.seg.nrrd", "m.nii.gz", "m.mha"])
def test_masks_are_written_as_one_label_map_and_read_again(tmp_path, name):
    masks = {"LN 1": lump((15, 20, 4), (6, 5, 7)), "Leber, links": lump((42, 30, 5), (8, 6, 7))}
    small = masks["LN 1"].cropped((5, 8, 0), (30, 40, 9))
    path = write_labels(tmp_path / name, GRID, {**masks, "LN 1": small}, Kind.LYMPH_NODE)
    whole = load(path)
    assert whole.geometry.size == GRID.size and set(np.unique(whole.array)) == {0, 1, 2}
    again = read_labels(path)
    assert list(again) == (list(masks) if name == "m.seg.nrrd" else ["1", "2"])
    for mask, wanted in zip(again.values(), masks.values(), strict=True):
        assert np.array_equal(mask.resampled(GRID, fill=0, nearest=True).array, wanted.array)
        assert mask.array.size < wanted.array.size


def test_slicer_finds_its_segments_in_the_header(tmp_path):
    path = write_labels(tmp_path / "m.seg.nrrd", GRID, {"LN 1": lump((15, 20, 4), (6, 5, 7))}, Kind.LYMPH_NODE)
    header = sitk.ReadImage(str(path))
    kji = np.argwhere(lump((15, 20, 4), (6, 5, 7)).array)
    (k0, j0, i0), (k1, j1, i1) = kji.min(0), kji.max(0)
    assert header.GetMetaData("Segment0_Extent") == f"{i0} {i1} {j0} {j1} {k0} {k1}"
    assert header.GetMetaData("Segment0_Name") == "LN 1"
    assert header.GetMetaData("Segment0_LabelValue") == "1"
    assert "SCT^59441001^Lymph node" in header.GetMetaData("Segment0_Tags")
    assert header.GetMetaData("Segmentation_MasterRepresentation") == "Binary labelmap"


def test_files_that_are_not_label_maps_are_refused_with_a_message(tmp_path):
    (tmp_path / "x.nrrd").write_text("nothing")
    with pytest.raises(InputError, match="damaged"):
        read_labels(tmp_path / "x.nrrd")
    empty = Volume(np.zeros(GRID.shape, np.uint8), GRID)
    with pytest.raises(InputError, match="holds no labels"):
        read_labels(save(empty, tmp_path / "e.nrrd"))
    fractions = Volume(np.full(GRID.shape, 0.5, np.float32), GRID)
    with pytest.raises(InputError, match="not a label map"):
        read_labels(save(fractions, tmp_path / "f.nrrd"))


def test_a_table_is_read_row_by_row_and_its_own_output_again(tmp_path):
    axes = axes_of((30, 27, 4))
    lps = RecistAxes.of(axes.ends[:2] * [-1, -1, 1], axes.ends[2:] * [-1, -1, 1])
    rows = [
        ends_row(axes, label="A", coordinates="RAS"),
        ends_row(lps, label="B", coordinates="LPS"),
        {**ends_row(axes, label="C"), "long_start_r": "left"},
        ends_row(axes, label="D", coordinates="XYZ"),
    ]
    read = read_table(write_csv(tmp_path / "axes.csv", rows))
    assert [row.label for row in read] == ["A", "B", "C", "D"]
    assert np.allclose(read[0].axes.ends, axes.ends) and np.allclose(read[1].axes.ends, axes.ends)
    assert "Line 4" in read[2].error and read[2].axes is None
    assert "XYZ" in read[3].error
    seen = observation(lump((30, 27, 4)), axes)
    written = write_table(tmp_path / "out.csv", [("=L 1", seen), ResultRow("L 2", error="No slice.")])
    assert "'=L 1," in written.read_text()
    first, second = read_table(written)
    assert (first.label, second.label) == ("=L 1", "L 2")
    assert np.allclose(first.axes.ends, axes.ends, atol=1e-3)
    assert second.axes is None
    with pytest.raises(InputError, match="lacks the columns"):
        read_table(write_csv(tmp_path / "bad.csv", [{"label": "A"}]))
    with pytest.raises(InputError, match="does not exist"):
        read_table(tmp_path / "none.csv")


def test_each_pair_of_lines_of_slicer_is_read_as_a_lesion(tmp_path):
    both = [axes_of((20, 27, 4)), axes_of((38, 27, 4), (9, 6))]
    lines = [
        {"type": "Line", "coordinateSystem": "RAS", "controlPoints": [{"position": end.tolist()} for end in pair]}
        for axes in both
        for pair in np.split(axes.ends, 2)
    ]
    path = tmp_path / "lines.mrk.json"
    path.write_text(json.dumps({"markups": lines}))
    assert [row.axes.long.length_mm for row in read_table(path)] == pytest.approx([24, 18])
    path.write_text(json.dumps({"markups": lines[:3]}))
    with pytest.raises(InputError, match="holds 3 lines"):
        read_table(path)


def test_a_training_pair_is_what_the_folder_reader_reads(tmp_path):
    truth = lump((30, 27, 4), (9, 6, 5))
    path = write_pair(tmp_path, "LN 1, left", scan(truth), truth)
    (case,) = folder.cases(tmp_path)
    assert path.name == "LN-1-left_image.nii.gz"
    assert case.masks["image"].array.sum() == truth.array.sum()
    report = json.loads((tmp_path / "LN-1-left_box.json").read_text())
    inside = np.argwhere(case.masks["image"].array)[:, ::-1]
    assert report["voxels"] == [inside.min(0).tolist(), inside.max(0).tolist()]
    assert np.allclose(report["box_ras"][1], next(iter(case.truth)).at("image").box.high, atol=0.01)
    with pytest.raises(InputError, match="empty"):
        write_pair(tmp_path, "x", scan(truth), lump((30, 27, 4), (0.1, 0.1, 0.1)).cropped((0, 0, 0), (3, 3, 3)))


def test_a_batch_continues_after_a_bad_row(tmp_path):
    truth = lump((30, 27, 4))
    image = save(scan(truth), tmp_path / "ct.nii.gz")
    axes = axes_of((30, 27, 4))
    outside = RecistAxes.of(axes.ends[:2] + 500, axes.ends[2:] + 500)
    table = write_csv(tmp_path / "axes.csv", [ends_row(outside, label="far"), ends_row(axes, label="L 1")])
    out, pairs = tmp_path / "out", tmp_path / "pairs"
    result = CliRunner().invoke(
        app, ["mask", str(image), "--batch", str(table), "--out", str(out), "--pairs", str(pairs), "--json", "-"]
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["rows"], report["masks"]) == (2, 1)
    assert "outside the image" in report["failed"][0]["error"]
    assert list(read_labels(out / "ct.seg.nrrd")) == ["L 1"]
    assert [row.label for row in read_table(out / "masks.csv")] == ["far", "L 1"]
    assert (out / "ct.findings.json").is_file() and (pairs / "L-1_mask.nii.gz").is_file()


def test_rows_of_deeplesion_are_masked_on_their_own_slices(tmp_path):
    header = ["File_name", "Key_slice_index", "Measurement_coordinates", "Bounding_boxes", "Lesion_diameters_Pixel_",
              "Coarse_lesion_type", "Possibly_noisy", "Slice_range", "Spacing_mm_px_", "Train_Val_Test"]  # fmt: skip
    good = ["000001_01_01_007.png", 7, "21,31,41,31,31,25,31,37", "15,20,47,42", "20,12", 5, 0, "5,9", "0.8,0.8,5", 1]
    rows = [good, [*good[:2], "1,2", *good[3:]], ["000001_01_01_008.png", 8, *good[2:]]]
    write_csv(tmp_path / "DL_info.csv", [dict(zip(header, row, strict=True)) for row in rows])
    rows, columns = np.indices((60, 64))
    inside = ((columns - 30) / 10) ** 2 + ((rows - 30) / 6) ** 2 < 1  # pixels from 0 here, from 1 in the table
    pixels = np.where(inside, 60, -100).astype(np.int32) + 32768
    (tmp_path / "slices").mkdir()
    sitk.WriteImage(sitk.GetImageFromArray(pixels.astype(np.uint16)), str(tmp_path / "slices/000001_01_01_007.png"))
    result = CliRunner().invoke(
        app,
        ["mask", str(tmp_path / "slices"), "--batch", str(tmp_path / "DL_info.csv"), "--out", str(tmp_path / "out"),
         "--json", "-"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["rows"], report["masks"]) == (3, 1)
    assert ["2 are needed" in report["failed"][0]["error"] or "8 are needed" in report["failed"][0]["error"],
            "Slice 8" in report["failed"][1]["error"]] == [True, True]  # fmt: skip
    ((_name, mask),) = read_labels(tmp_path / "out" / "000001_01_01_007.seg.nrrd").items()
    made = mask.array.sum()
    assert abs(int(made) - int(inside.sum())) < 0.06 * inside.sum()


def test_pseudo_masks_are_evaluated_next_to_ellipse_and_box_of_the_axes(tmp_path):
    truth = lump((30, 27, 4))
    save(scan(truth), tmp_path / "a_image.nii.gz")
    save(truth, tmp_path / "a_mask.nii.gz")
    result = evaluate_pseudo_masks(folder.cases(tmp_path))
    assert result["findings"] == 1
    slices, deep = result["in slice"], result["in 3D"]
    assert result["Dice"] == slices["pseudo-mask"]["Dice"] > 93
    assert slices["pseudo-mask"]["ASD"] < 0.5
    assert slices["ellipse"]["Dice"] > 93 > slices["RECIST box"]["Dice"] > 75, "pi / 4 of a box is its ellipse"
    assert deep["pseudo-mask"]["Dice"] > 80
    off = evaluate_pseudo_masks(folder.cases(tmp_path), jitter_voxels=2.0, in_3d=False)
    assert off["in slice"]["ellipse"]["Dice"] < slices["ellipse"]["Dice"]
    with pytest.raises(InputError, match="no lesion with a short axis"):
        evaluate_pseudo_masks(folder.cases(tmp_path), least_short_mm=50)


def test_the_command_evaluates_a_folder_and_names_what_is_missing(tmp_path):
    truth = lump((30, 27, 4))
    save(scan(truth), tmp_path / "a_image.nii.gz")
    save(truth, tmp_path / "a_mask.nii.gz")
    command = ["evaluate", "masks", "--data", str(tmp_path), "--slice", "--out", str(tmp_path / "out"), "--json", "-"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["Dice"] > 93
    assert (tmp_path / "out" / "per_case.csv").is_file()
    with pytest.raises(InputError, match="A_CT_image"):
        app(["evaluate", "masks", "--data", "sts", "--scans", str(tmp_path)], standalone_mode=False)
    for wrong, words in ((["--data", "nothing"], "no data nothing"), ([], "Give two mask files")):
        with pytest.raises(InputError, match=words):
            app(["evaluate", "masks", *wrong], standalone_mode=False)

"""Many masks in one run: no result replaces another one, whatever scans and lesions are called."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from oncotrack.cli.app import app
from oncotrack.findings.finding_list import FindingList
from oncotrack.images.files import load, save
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.axes_table import ENDS, read_table
from oncotrack.masks.label_reader import read_labels

GRID = Geometry((48, 40, 4), (0.8, 0.8, 3.0), (10.0, 20.0, -5.0), np.diag([-1.0, -1.0, 1.0]))
MIDDLES = (14, 18), (30, 18)


def scan(seed: int) -> Volume:
    """Return a slab of fat with two bright ellipses of 16 x 10 mm."""
    k, j, i = np.indices(GRID.shape)
    bright = np.zeros(GRID.shape, bool)
    for x, y in MIDDLES:
        bright |= ((i - x) / 10) ** 2 + ((j - y) / 6.25) ** 2 < 1
    noise = np.random.default_rng(seed).normal(size=GRID.shape) * 12
    return Volume((np.where(bright & (k > 0), 60, -100) + noise).astype(np.int16), GRID, "ct", "CT")


def axes(lesion: int, shift=0.0) -> list[float]:
    x, y = MIDDLES[lesion]
    x += shift
    ends = [(x - 10, y, 2), (x + 10, y, 2), (x, y - 6.25, 2), (x, y + 6.25, 2)]
    return GRID.to_ras(ends).ravel().tolist()


def write_rows(path, *rows):
    """Write rows of label, image, and lesion or end points."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "image", *ENDS])
        writer.writerows(
            [label, image, *(ends if isinstance(ends, list) else axes(ends))] for label, image, ends in rows
        )
    return path


def run(tmp_path, image, *rows):
    """Run the batch; return the report, what was said, the folder of results and the names of the training pairs."""
    table, out, pairs = write_rows(tmp_path / "axes.csv", *rows), tmp_path / "out", tmp_path / "pairs"
    arguments = ["mask", str(image), "--batch", str(table), "--out", str(out), "--pairs", str(pairs), "--json", "-"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    names = sorted(path.name.removesuffix("_image.nii.gz") for path in pairs.glob("*_image.nii.gz"))
    return json.loads(result.stdout), result.stderr, out, names


def volumes(path) -> dict[str, float]:
    return {name: int(mask.array.sum()) * mask.geometry.voxel_mm3 for name, mask in read_labels(path).items()}


@pytest.fixture
def alike(tmp_path):
    """Write scans of several patients whose files and folders have the same name, or only differ behind a point."""
    names = ("PAT1/ct.nii.gz", "PAT2/ct.nii.gz", "1.2.840.1.nii.gz", "1.2.840.2.nii.gz", "pat1-CT.nii.gz")
    for n, name in enumerate(names):
        (tmp_path / "scans" / name).parent.mkdir(parents=True, exist_ok=True)
        save(scan(n), tmp_path / "scans" / name)
    return tmp_path / "scans", names


def test_scans_that_are_called_alike_have_results_of_their_own(tmp_path, alike):
    folder, names = alike
    rows = [("node", f"./{names[0]}", 0), *(("node", name, 0) for name in names[1:]), ("other", names[0], 1)]
    report, said, out, pairs = run(tmp_path, folder, *rows)
    assert report["masks"] == 6 and "more than once" not in said, "labels are numbered within a scan only"
    files = [finding["segmentation"] for finding in report["findings"]]
    assert files[:5] == [
        "PAT1-ct.seg.nrrd", "PAT2-ct.seg.nrrd", "1.2.840.1.seg.nrrd", "1.2.840.2.seg.nrrd", "pat1-CT-2.seg.nrrd",
    ]  # fmt: skip
    assert files[5] == files[0]
    assert [sorted(volumes(out / file)) for file in files[:2]] == [["node", "other"], ["node"]]
    lists = [FindingList.open(out / file.replace(".seg.nrrd", ".findings.json")) for file in files[:5]]
    assert [[finding.label for finding in each] for each in lists[:2]] == [["node", "other"], ["node"]]
    prints = [each.time_points[0].fingerprint for each in lists]
    assert prints == [load(folder / name).fingerprint for name in names]
    assert pairs == [
        "1.2.840.1-node",
        "1.2.840.2-node",
        "PAT1-ct-node",
        "PAT1-ct-other",
        "PAT2-ct-node",
        "pat1-CT-2-node",
    ]
    again = read_table(out / "masks.csv")
    assert [row.image for row in again] == [*names, names[0]], "the table can be run again"


def test_lesions_with_the_same_label_are_kept_and_numbered(tmp_path):
    image = save(scan(0), tmp_path / "ct.nii.gz")
    report, said, out, pairs = run(tmp_path, image, ("LN 1", "", 0), ("LN 1", "", 1), ("LN-1", "", 0))
    assert [finding["label"] for finding in report["findings"]] == ["LN 1", "LN 1 (2)", "LN-1"]
    assert "LN 1 occurs more than once; this one is called LN 1 (2)." in said
    assert pairs == ["LN-1", "LN-1-2", "LN-1-3"]
    found = volumes(out / "ct.seg.nrrd")
    assert found == {f["label"]: pytest.approx(f["volume_mm3"]) for f in report["findings"]}
    assert len(FindingList.open(out / "ct.findings.json")) == 3


def test_masks_that_overlap_have_the_volumes_of_the_table(tmp_path):
    image = save(scan(0), tmp_path / "ct.nii.gz")
    report, _said, out, _pairs = run(tmp_path, image, ("A", "", 0), ("B", "", axes(0, 5.0)))
    found = volumes(out / "ct.seg.nrrd")
    assert found == {f["label"]: pytest.approx(f["volume_mm3"]) for f in report["findings"]}
    table = {row["label"]: float(row["volume_mm3"]) for row in csv.DictReader((out / "masks.csv").open())}
    assert table == {label: pytest.approx(volume, abs=0.1) for label, volume in found.items()}


def test_rows_of_another_scan_are_refused_where_one_scan_is_given(tmp_path, alike):
    folder, names = alike
    rows = ("A", names[0], 0), ("B", names[1], 1), ("C", "", 1), ("D", "ct.nii.gz", 1)
    report, _said, _out, _pairs = run(tmp_path, folder / names[0], *rows)
    assert [finding["label"] for finding in report["findings"]] == ["A", "C", "D"]
    assert "belongs to the scan PAT2/ct.nii.gz" in report["failed"][0]["error"]


def test_a_pair_that_cannot_be_written_does_not_stop_the_others(tmp_path, monkeypatch):
    from oncotrack.errors import InputError
    from oncotrack.masks import training_pairs

    whole = training_pairs.write_pair

    def write_pair(folder, name, image, mask):
        if name == "A":
            raise InputError("A: the mask is smaller than a voxel of the image. Draw it larger.")
        return whole(folder, name, image, mask)

    monkeypatch.setattr(training_pairs, "write_pair", write_pair)
    image = save(scan(0), tmp_path / "ct.nii.gz")
    report, said, _out, pairs = run(tmp_path, image, ("A", "", 0), ("B", "", 1))
    assert report["masks"] == 2 and pairs == ["B"]
    assert "smaller than a voxel" in said and "1 training pair," in said

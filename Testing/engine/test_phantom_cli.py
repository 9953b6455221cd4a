"""``oncotrack phantom`` and ``oncotrack bench phantom`` write the files that they announce."""

from __future__ import annotations

import csv
import json

import numpy as np
from typer.testing import CliRunner

from oncotrack.cli.app import app
from oncotrack.errors import InputError
from oncotrack.findings.finding_list import FindingList
from oncotrack.images.files import load

TABLES = {
    "hu": [{"tissue": "liver", "phase": "portal", "phantom": 113.0, "real": 114, "difference": -1.0}],
    "noise": [{"kernel": "soft", "phantom_std_hu": 9.0}, {"kernel": "real: scan", "real_std_hu": 8.0}],
    "nodes": [{"region": "abdomen", "measure": "volume_mm3", "percentile": 50, "phantom": 2000.0, "real": 2043.5,
               "difference_percent": -2.1}],
    "seconds": [{"what": "one visit", "seconds": 3.0}],
}  # fmt: skip


def test_phantom_writes_images_findings_truth_and_dicom(tmp_path):
    arguments = ["phantom", "--seed", "3", "--out", str(tmp_path), "--size", "28", "26", "16", "--dicom"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    names = {path.name for path in tmp_path.iterdir()}
    for visit in ("t0", "t1"):
        assert {f"{visit}_{what}.nii.gz" for what in ("CT", "masks", "organs", "tumour")} <= names
        image, series = load(tmp_path / f"{visit}_CT.nii.gz"), load(tmp_path / f"{visit}_CT_dicom")
        assert image.array.shape == (16, 26, 28)
        assert np.array_equal(series.array, image.array)
        assert np.allclose(series.geometry.ijk_to_ras, image.geometry.ijk_to_ras, atol=1e-3)
    findings = FindingList.open(tmp_path / "findings.json")
    truth = json.loads((tmp_path / "truth.json").read_text())
    assert len(findings) and [t.id for t in findings.time_points] == ["t0", "t1"]
    assert truth["seed"] == 3 and len(truth["visits"]) == 2


def test_phantom_draws_the_whole_body_on_request_and_refuses_an_unknown_region(tmp_path, monkeypatch, whole_body):
    requested = {}

    def make(seed, **rest):
        requested.update(rest, seed=seed)
        return whole_body

    arguments = ["phantom", "--seed", "7", "--out", str(tmp_path), "--visits", "1", "--size", "80", "70", "110"]
    with monkeypatch.context() as patched:
        patched.setattr("oncotrack.phantom.make_patient", make)
        done = CliRunner().invoke(app, [*arguments, "--region", "whole-body", "--modality", "PT"])
    assert done.exit_code == 0, done.output
    assert requested["region"] == "whole-body" and tuple(requested["modalities"]) == ("PT",)
    assert requested["visits"] == 1 and tuple(requested["size"]) == (80, 70, 110)
    organs = load(tmp_path / "t0_organs.nii.gz")
    assert organs.array.shape[0] * organs.spacing[2] > 900
    names = json.loads((tmp_path / "truth.json").read_text())["organs"]
    assert {"brain", "bladder", "liver"} <= {names[n] for n in np.unique(organs.array)}
    refused = CliRunner().invoke(app, [*arguments, "--region", "leg"])
    assert isinstance(refused.exception, InputError) and "not a region" in str(refused.exception)


def test_bench_phantom_prints_and_returns_its_rows(tmp_path, monkeypatch):
    requested = {}

    def bench(patients, **rest):
        requested.update(rest, patients=patients)
        return TABLES

    monkeypatch.setattr("oncotrack.bench.phantom.bench", bench)
    scan = tmp_path / "scan.nii.gz"
    _save_small_scan(scan)
    arguments = ["bench", "phantom", "--out", str(tmp_path), "--real", str(scan), "--patients", "2"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert requested["patients"] == 2 and requested["picture"] == tmp_path / "phantom.png"
    assert len(requested["real"]) == 1
    assert "-2.1" in done.output and "volume mm3" in done.output
    with (tmp_path / "nodes.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["difference_percent"]) == -2.1
    given = CliRunner().invoke(app, [*arguments, "--json", str(tmp_path / "all.json")])
    assert given.exit_code == 0 and json.loads((tmp_path / "all.json").read_text()) == TABLES


def _save_small_scan(path) -> None:
    from oncotrack.images.files import save
    from oncotrack.images.geometry import Geometry
    from oncotrack.images.volume import Volume

    save(
        Volume(np.arange(256, dtype=np.int16).reshape(4, 8, 8), Geometry((8, 8, 4), (1.0, 1.0, 2.0)), modality="CT"),
        path,
    )

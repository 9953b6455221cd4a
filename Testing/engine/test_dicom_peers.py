"""What we write, as other programs see it: the validator of dicom3tools, DCMTK, OHIF's adapter, pydicom and highdicom."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_visits import write_visits

from oncotrack.dicom_objects.export import Choice, export, save
from oncotrack.dicom_objects.lesion_groups import TOOLS
from oncotrack.images.files import load
from oncotrack.images.volume import lps_to_ras

hd = pytest.importorskip("highdicom")

OHIF = Path(sys.prefix) / "ohif"
HYDRATE = Path(__file__).resolve().parents[1] / "ohif" / "hydrate.mjs"


BESIDE = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
"""Where programs are looked for: also those of this Python's packages."""


def needs(program, package):
    return pytest.mark.skipif(
        shutil.which(program, path=BESIDE) is None, reason=f"needs {program} of {package} (make peers)"
    )


@pytest.fixture(scope="module")
def visits(tmp_path_factory):
    return write_visits(tmp_path_factory.mktemp("visits"))


@pytest.fixture(scope="module")
def written(visits, tmp_path_factory):
    """Return the files: reports, binary segmentations, and label maps."""
    points, findings = visits.findings.time_points, visits.findings.findings
    binary = export(points, findings, visits.scans).objects
    maps = export(points, findings, visits.scans, Choice(reports=False, is_label_map=True)).objects
    return save([*binary, *maps], tmp_path_factory.mktemp("written"))


@needs("dciodvfy", "Debian's dicom3tools")
def test_the_validator_of_dicom3tools_finds_no_error(written):
    said = {}
    for path in written:
        done = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, check=False)
        lines = (done.stdout + done.stderr).splitlines()
        said[path.name] = lines
        if any("Information Object Not found" in line for line in lines):
            assert pydicom.dcmread(path, stop_before_pixels=True).SegmentationType == "LABELMAP"
            continue  # the validator of 2022 does not know this kind of object, of 2024
        assert [line for line in lines if line.startswith("Error")] == [], path
    warnings = {line.split(" - ", 2)[-1] for lines in said.values() for line in lines if line.startswith("Warning")}
    assert warnings <= {"Unrecognized defined term = <99ONCOTRACK>"}


@needs("dsrdump", "Debian's dcmtk")
def test_dcmtk_reads_the_reports(written):
    reports = [path for path in written if path.name.startswith("sr-")]
    assert len(reports) == 4
    for path in reports:
        done = subprocess.run(["dsrdump", "-Ec", path], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "E:" not in done.stderr, done.stderr
        assert "Imaging Measurement Report" in done.stdout


@pytest.mark.skipif(
    not (OHIF / "node_modules").exists() or shutil.which("node", path=BESIDE) is None,
    reason="needs OHIF's adapter and Node (make peers)",
)
def test_ohif_reads_the_diameters(visits, written):
    node = shutil.which("node", path=BESIDE)
    for path in (each for each in written if each.name.startswith("sr-20250101")):
        report = pydicom.dcmread(path)
        time_point = report.ClinicalTrialTimePointID
        images = visits.scans[time_point].files
        done = subprocess.run(
            [node, HYDRATE, path, *images],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "OHIF_PACKAGES": str(OHIF)},
        )
        found = {each["uid"]: each for each in json.loads(done.stdout.splitlines()[-1])}
        if "volumes" in report.SeriesDescription:
            assert all(each["tool"] != "Bidirectional" for each in found.values())
            continue
        seen = {f.uid: (f, f.at(time_point)) for f in visits.findings if f.at(time_point).long_axis}
        assert set(found) == set(seen) and len(seen) >= 2
        for uid, (finding, observation) in seen.items():
            each = found[uid]
            assert each["tool"] == "Bidirectional" and each["label"].startswith(finding.label)
            for n, axis in ((0, observation.long_axis), (2, observation.short_axis)):
                ends = lps_to_ras(each["points"][n : n + 2])
                assert math.dist(*ends) == pytest.approx(axis.length_mm, abs=0.01)
                assert math.dist(ends[0], axis.start) < 0.01
            assert each["stated"]["length"] == pytest.approx(observation.long_axis.length_mm)
            assert each["stated"]["width"] == pytest.approx(observation.short_axis.length_mm)


def test_highdicom_reads_the_groups_and_segments(visits, written):
    uids = {finding.uid for finding in visits.findings}
    for path in written:
        if path.name.startswith("seg-"):
            seg = hd.seg.segread(path)
            assert {uid for _, uid in seg.get_tracking_ids()} <= uids
            continue
        report = hd.sr.srread(path)
        if "measurements" in report.SeriesDescription:
            planar = report.content.get_planar_roi_measurement_groups()
            assert {group.tracking_uid for group in planar} <= uids and planar
            assert all(group.tracking_identifier.startswith(TOOLS) for group in planar)
        else:
            volumes = report.content.get_volumetric_roi_measurement_groups()
            assert volumes and all(group.referenced_segment for group in volumes)


def dcmqi(program, *arguments):
    """Run a program of dcmqi, the library behind Slicer's own reader of these objects."""
    run = [shutil.which(program, path=BESIDE), *map(str, arguments)]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs("tid1500reader", "the package dcmqi")
def test_dcmqi_reads_the_reports(visits, written, tmp_path):
    for path in (each for each in written if each.name.startswith("sr-")):
        dcmqi("tid1500reader", "--inputDICOM", path, "--outputMetadata", tmp_path / "report.json")
        report = json.loads((tmp_path / "report.json").read_text())
        if "measurements" not in pydicom.dcmread(path).SeriesDescription:
            assert report["Measurements"]
            continue
        time_point = pydicom.dcmread(path).ClinicalTrialTimePointID
        for group in report["Measurements"]:
            axes = {
                each["quantity"]["CodeMeaning"]: float(each["value"])
                for each in group["measurementItems"]
                if each["quantity"]["CodeMeaning"].endswith("Axis")
            }
            seen = visits.findings[group["TrackingUniqueIdentifier"]].at(time_point)
            assert axes["Long Axis"] == pytest.approx(seen.long_axis.length_mm)
            assert axes["Short Axis"] == pytest.approx(seen.short_axis.length_mm)


@needs("segimage2itkimage", "the package dcmqi")
def test_dcmqi_reads_the_segments_voxel_for_voxel(visits, written, tmp_path):
    count = 0
    for path in (each for each in written if each.name.startswith("seg-")):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        if header.SegmentationType == "LABELMAP":
            continue  # dcmqi 1.5 does not know this kind of object
        folder = tmp_path / path.stem
        folder.mkdir()
        dcmqi("segimage2itkimage", "--inputDICOM", path, "--outputDirectory", folder, "-t", "nrrd")
        about = json.loads((folder / "meta.json").read_text())
        for number, (segment,) in enumerate(about["segmentAttributes"], 1):
            finding = visits.findings[segment["TrackingUniqueIdentifier"]]
            assert segment["SegmentLabel"] == finding.label
            mask = finding.at(header.ClinicalTrialTimePointID).mask.volume()
            there = load(folder / f"{number}.nrrd")
            assert places(there) == places(mask)
            count += 1
    assert count == 5


def places(mask) -> set[tuple[float, ...]]:
    """Return the positions of a mask's voxels, RAS in hundredths of a mm."""
    return {tuple(row) for row in np.round(mask.geometry.to_ras(np.argwhere(mask.array)[:, ::-1]) * 100).astype(int)}

"""Measurements: lengths, angle, area and statistics against hand-worked numbers; drags keep the right angle; files and undo."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oncotrack.errors import InputError
from oncotrack.findings import measurement_table
from oncotrack.findings.finding import Observation, TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.measurement import (
    Measurement,
    RegionStatistics,
    Tool,
    bidirectional_points,
    ellipse_outline,
    ellipse_points,
)
from oncotrack.findings.measurement_list import MeasurementList
from oncotrack.findings.region_statistics import ellipse_statistics
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.report.measurements import measurements_section

RIGHT, UP, NORMAL = np.eye(3)


def ruler(**fields) -> Measurement:
    return Measurement(tool=Tool.RULER, time_point="t0", points_ras=((0, 0, 0), (3, 4, 12)), label="M 1", **fields)


def bidirectional() -> Measurement:
    points = bidirectional_points((0.0, 0.0, 5.0), (20.0, 0.0, 5.0), NORMAL)
    return Measurement(tool=Tool.BIDIRECTIONAL, time_point="t0", points_ras=points, label="M 2")


def ellipse(**fields) -> Measurement:
    points = ellipse_points((-10.0, -6.0, 0.0), (10.0, 6.0, 0.0), RIGHT, UP)
    return Measurement(tool=Tool.ELLIPSE, time_point="t0", points_ras=points, label="M 3", **fields)


def angle(*points) -> Measurement:
    return Measurement(tool=Tool.ANGLE, time_point="t0", points_ras=points, label="M 4")


@pytest.fixture
def findings() -> FindingList:
    return FindingList([TimePoint("t0", "baseline"), TimePoint("t1", "follow-up")])


def test_each_tool_measures_what_its_name_says():
    assert ruler().lengths_mm == (13.0,) and ruler().text == "13.0 mm"
    assert bidirectional().lengths_mm == (20.0, 10.0) and bidirectional().text == "20.0 mm x 10.0 mm"
    assert ellipse().area_mm2 == pytest.approx(math.pi * 10 * 6)
    assert ellipse().text == "1.88 cm²"
    assert angle((1, 0, 0), (0, 0, 0), (0, 2, 0)).text == "90.0°"
    assert angle((1, 0, 0), (0, 0, 0), (-1, 1e-9, 0)).angle_degrees == pytest.approx(180)
    assert angle((5, 1, 1), (1, 1, 1), (5, 5, 1)).angle_degrees == pytest.approx(45)


def test_words_of_a_region_have_the_unit_of_the_scan():
    for unit, text in (("HU", "mean 45.2, SD 12.0 HU; 1.88 cm²"), ("SUV", "mean 45.25, SD 12.00 SUV; 1.88 cm²"),
                       ("", "mean 45.25, SD 12; 1.88 cm²")):  # fmt: skip
        assert ellipse(statistics=RegionStatistics(45.246, 12.0, 1.0, 90.0, 44, unit)).text == text
    assert ellipse(statistics=RegionStatistics(45.246, 12.0, 1.0, 90.0, 44, "HU")).short_text == "45.2 ± 12.0 HU"
    assert ellipse().short_text == "1.88 cm²" and ruler().short_text == "13.0 mm"


def test_a_wrong_number_of_points_and_points_in_one_place_are_refused():
    with pytest.raises(InputError, match="needs 3"):
        angle((0, 0, 0), (1, 0, 0))
    with pytest.raises(InputError, match="too small"):
        replace(ruler(), points_ras=((0, 0, 0), (0, 0.1, 0))).checked()
    with pytest.raises(InputError, match="too small"):
        angle((0, 0, 0), (0, 0, 0), (1, 0, 0)).checked()
    with pytest.raises(InputError, match="no extent"):
        bidirectional_points((0, 0, 0), (0, 0, 0), NORMAL)
    with pytest.raises(InputError, match="not a point"):
        replace(ruler(), points_ras=((0, 0, math.nan), (1, 0, 0)))


position = st.tuples(*(st.floats(-50, 50),) * 2, st.just(5.0))


@given(st.integers(0, 3), position)
def test_the_short_diameter_stays_perpendicular_and_crosses_the_long_one(index, to):
    try:
        dragged = bidirectional().with_point(index, to)
        long, short = (np.subtract(*dragged.points_ras[n : n + 2][::-1]) for n in (0, 2))
        dragged.checked()
    except InputError:
        return  # both ends in one place
    assert abs(long @ short) <= 1e-6 * np.linalg.norm(long) * np.linalg.norm(short)
    assert np.allclose(np.asarray(dragged.points_ras)[:, 2], 5.0), "in its slice"
    if index < 2:
        assert dragged.points_ras[index] == pytest.approx(to)
        assert dragged.lengths_mm[1] == pytest.approx(10.0)
    else:
        assert dragged.points_ras[:2] == bidirectional().points_ras[:2]


def test_an_end_of_the_short_diameter_slides_along_the_long_one():
    dragged = bidirectional().with_point(3, (15.0, 9.0, 5.0))
    assert np.allclose(dragged.points_ras[2:], [(15, -5, 5), (15, 9, 5)])


@given(st.integers(0, 3), st.tuples(*(st.floats(-50, 50),) * 2, st.just(0.0)))
def test_an_ellipse_stays_an_ellipse(index, to):
    other = ellipse().points_ras[index ^ 1]
    if math.dist(to, other) < 1:
        return
    dragged = ellipse().with_point(index, to)
    a, b, c, d = map(np.array, dragged.points_ras)
    assert abs((b - a) @ (d - c)) < 1e-6 * max(math.dist(a, b) * math.dist(c, d), 1)
    assert np.allclose(a + b, c + d, atol=1e-9), "both diameters have one middle"
    assert dragged.points_ras[index] == pytest.approx(to) and dragged.points_ras[index ^ 1] == pytest.approx(other)
    assert dragged.lengths_mm[1 - index // 2] == pytest.approx((20.0, 12.0)[1 - index // 2])
    assert dragged.statistics is None


def test_the_outline_goes_through_the_ends_of_the_diameters():
    points = ellipse().points_ras
    outline = ellipse_outline(points, 8)
    assert np.allclose(outline[[0, 4, 2, 6]], points)
    assert np.allclose((outline[:, 0] / 10) ** 2 + (outline[:, 1] / 6) ** 2, 1)


def volume(direction=None, spacing=(1.0, 1.0, 2.0), size=(41, 41, 9), **fields) -> Volume:
    """Make a scan around the origin whose value is 10 in the middle slice, plus 1 for each mm along R."""
    direction = np.eye(3) if direction is None else np.asarray(direction, float)
    origin = -direction @ (np.multiply(np.subtract(size, 1), spacing) / 2)
    geometry = Geometry.from_values(size, spacing, origin, direction)
    k, j, i = np.meshgrid(*(np.arange(n) for n in geometry.shape), indexing="ij")
    place = geometry.to_ras(np.stack([i, j, k], -1))
    array = np.where(np.abs(place[..., 2]) < 1, 10 + place[..., 0], 1000).astype(np.float32)
    return Volume(array, geometry, "scan", fields.pop("modality", "CT"), fields)


@pytest.mark.parametrize("direction", [np.eye(3), np.diag([-1, -1, 1]), [[0, 1, 0], [1, 0, 0], [0, 0, 1]]])
def test_statistics_are_those_of_the_voxels_of_one_slice_in_any_storage_order(direction):
    seen = ellipse_statistics(volume(direction), ellipse().points_ras)
    x, y = np.meshgrid(np.arange(-20, 21), np.arange(-20, 21))
    values = (10 + x)[(x / 10) ** 2 + (y / 6) ** 2 <= 1]
    assert seen.voxels == len(values) and seen.unit == "HU"
    assert (seen.mean, seen.sd) == (pytest.approx(10), pytest.approx(values.std()))
    assert (seen.lowest, seen.highest) == (0, 20)


def test_a_region_in_a_coronal_or_oblique_plane_takes_one_voxel_of_each_column():
    coronal = ellipse_points((-6.0, 0.0, -5.0), (6.0, 0.0, 5.0), RIGHT, NORMAL)
    seen = ellipse_statistics(volume(), coronal)
    assert seen.voxels == sum(1 for x in range(-20, 21) for z in range(-8, 9, 2) if (x / 6) ** 2 + (z / 5) ** 2 <= 1)
    tilt = np.array([0.0, math.cos(0.3), math.sin(0.3)])
    small = Volume(np.ones((41, 41, 41), np.float32), Geometry((41,) * 3, (1.0,) * 3, (-20.0,) * 3), "ones", "CT")
    seen = ellipse_statistics(small, ellipse_points((-8.0, *(-8 * tilt[1:])), (8.0, *(8 * tilt[1:])), RIGHT, tilt))
    assert seen.voxels == pytest.approx(math.pi * 8 * 8 * math.cos(0.3), rel=0.05)
    assert (seen.mean, seen.sd) == (1, 0)


def test_a_region_smaller_than_a_voxel_and_one_outside_the_scan():
    tiny = ellipse_points((3.3, 2.3, 0.3), (3.9, 2.9, 0.3), RIGHT, UP)
    seen = ellipse_statistics(volume(), tiny)
    assert (seen.voxels, seen.mean, seen.sd) == (1, 14, 0)
    far = ellipse_points((100.0, 0.0, 0.0), (110.0, 10.0, 0.0), RIGHT, UP)
    assert ellipse_statistics(volume(), far) is None


def test_the_unit_is_that_of_the_scan():
    assert volume().unit == "HU"
    assert volume(modality="PT", suv="bw").unit == "SUV"
    assert volume(modality="PT", units="BQML").unit == "Bq/ml"
    assert volume(modality="MR").unit == ""


def test_every_command_is_one_step_of_undo(findings):
    measurements = MeasurementList(findings)
    first = measurements.add(ruler())
    assert measurements.next_label() == "M 2" and findings.undo_text == "measure M 1"
    measurements.rename(first.uid, " Aorta ")
    measurements.replace(measurements[first.uid].shifted((1, 0, 0)))
    measurements.remove(first.uid)
    assert len(measurements) == 0
    states = []
    while findings.can_undo:
        findings.undo()
        states.append([(each.label, each.points_ras[0][0]) for each in measurements])
    assert states == [[("Aorta", 1.0)], [("Aorta", 0.0)], [("M 1", 0.0)], []]
    findings.redo()
    assert [each.label for each in measurements] == ["M 1"]
    assert not findings.is_saved
    findings.mark_saved()
    assert findings.is_saved


def test_wrong_commands_are_refused(findings):
    measurements = MeasurementList(findings)
    one, two = measurements.add(ruler()), measurements.add(bidirectional())
    for label, words in (("", "at least one character"), ("M 2", "already called")):
        with pytest.raises(InputError, match=words):
            measurements.rename(one.uid, label)
    with pytest.raises(InputError, match="no bidirectional"):
        measurements.make_finding(one.uid)
    with pytest.raises(InputError, match="not in the list"):
        measurements.remove("1.2.3")
    measurements.remove(two.uid)
    with pytest.raises(InputError, match="not in the list"):
        measurements.replace(two)


def test_two_diameters_become_a_lesion_in_one_step(findings):
    measurements = MeasurementList(findings)
    made = measurements.add(bidirectional())
    lesion = measurements.make_finding(made.uid)
    seen = findings[lesion.uid].at("t0")
    assert (seen.long_axis.length_mm, seen.short_axis.length_mm) == (20.0, 10.0)
    assert seen.centre == (10.0, 0.0, 5.0) and len(measurements) == 0
    findings.undo()
    assert len(findings) == 0 and measurements[made.uid] == made


def test_measurements_are_kept_in_the_file_and_older_files_have_none(findings):
    measurements = MeasurementList(findings)
    for each in (ruler(), bidirectional(), ellipse(statistics=RegionStatistics(45.2, 12.0, 1.0, 90.0, 44, "HU"))):
        measurements.add(each)
    again = FindingList.from_json(findings.to_json())
    assert again.measurements == findings.measurements
    old = json.loads(findings.to_json())
    del old["measurements"]
    old["version"] = 2
    opened = FindingList.from_json(json.dumps(old))
    assert opened.measurements == () and json.loads(opened.to_json())["version"] > 2
    twice = json.loads(findings.to_json())
    twice["measurements"].append(twice["measurements"][0])
    with pytest.raises(InputError, match="two measurements"):
        FindingList.from_json(json.dumps(twice))


def test_the_table_and_the_report_have_every_measurement(findings):
    measurements = MeasurementList(findings)
    assert measurements_section(findings) == ""
    for each in (ruler(), bidirectional(), angle((1, 0, 0), (0, 0, 0), (0, 2, 0)),
                 ellipse(statistics=RegionStatistics(45.25, 12.0, 1.0, 90.0, 44, "HU"))):  # fmt: skip
        measurements.add(each)
    measurements.rename(findings.measurements[0].uid, "<Aorta>")
    table = list(csv.DictReader(io.StringIO(measurement_table.to_csv(findings.measurements, findings.time_points))))
    by_tool = {row["Tool"]: row for row in table}
    assert by_tool["ruler"]["length or long diameter (mm)"] == "13.0" and by_tool["ruler"]["Scan"] == "baseline"
    assert by_tool["bidirectional"]["short diameter (mm)"] == "10.0"
    assert by_tool["angle"]["angle (degrees)"] == "90.0" and by_tool["angle"]["unit"] == ""
    region = by_tool["ellipse"]
    assert (region["area (mm2)"], region["mean"], region["SD"], region["voxels"]) == ("188.5", "45.25", "12", "44")
    section = measurements_section(findings)
    assert "&lt;Aorta&gt;" in section and "mean 45.2, SD 12.0 HU; 1.88 cm²" in section and "baseline" in section


def test_a_scan_with_a_measurement_alone_counts_as_used(findings):
    assert findings.used_time_points == set()
    MeasurementList(findings).add(ruler())
    findings.add("t1", Observation(centre=(0.0, 0.0, 0.0)))
    assert findings.used_time_points == {"t0", "t1"}

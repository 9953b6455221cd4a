"""Remarks on what does not conform to RECIST 1.1; volumes, and PERCIST's thresholds."""

from dataclasses import replace

import pytest
from response_courses import PRESENT, course, lesion, new, node, non_target

from oncotrack.response.conformity import conformity, smallest_target_mm
from oncotrack.response.course import Course, Reading, Visit
from oncotrack.response.percist import percist_texts, threshold_text
from oncotrack.response.volumes import doubling_days, volume_changes


def remarks(*lesions, **baseline) -> list[str]:
    found = course(*lesions)
    return [
        each.text
        for each in conformity(replace(found, visits=(replace(found.baseline, **baseline), *found.visits[1:])))
    ]


def test_a_course_that_conforms_has_no_remark():
    assert remarks(lesion("L1", 10, 10, organ="liver"), node("N1", 15, 12), non_target("N2", 12, 8, node=True)) == []


def test_target_lesions_need_their_size():
    assert remarks(lesion("L1", 9, 9)) == ["The long axis of L1 is 9.0 mm at baseline; a target lesion needs 10 mm."]
    assert remarks(node("N1", 14, 14)) == [
        "The short axis of N1 is 14.0 mm at baseline; a target lesion needs 15 mm as a lymph node (non-target from 10 mm)."
    ]
    assert remarks(node("N1", 9, 9))[0].endswith("15 mm as a lymph node (normal).")


@pytest.mark.parametrize(("slice_mm", "smallest"), [(None, 10), (1.0, 10), (5.0, 10), (6.0, 12), (8.0, 16)])
def test_thick_slices_raise_the_smallest_size(slice_mm, smallest):
    assert smallest_target_mm(lesion("L1", 20), slice_mm) == smallest
    assert smallest_target_mm(node("N1", 20), slice_mm) == 15


def test_thick_slices_are_named():
    assert remarks(lesion("L1", 15, 15), slice_mm=8.0) == [
        "The long axis of L1 is 15.0 mm at baseline; a target lesion needs 16 mm, two slices of 8.0 mm.",
        "Slices of 8.0 mm at Baseline; 5 mm or less are recommended.",
    ]


def test_at_most_five_targets_and_two_an_organ():
    five = [
        lesion(f"L{n}", 20, 20, organ=organ) for n, organ in enumerate(("liver", "liver", "lung", "lung", "kidney"))
    ]
    assert remarks(*five) == []
    assert remarks(*five, lesion("L6", 20, 20, organ="spleen")) == ["There are 6 target lesions; RECIST 1.1 allows 5."]
    assert remarks(*five[:4], lesion("L6", 20, 20, organ="Liver ")) == [
        "3 target lesions are in one organ (liver: L0, L1, L6); RECIST 1.1 allows 2."
    ]


def test_all_lymph_nodes_are_one_organ_and_fragments_do_not_count():
    nodes = [node(f"N{n}", 20, 20, organ=station) for n, station in enumerate(("axillary", "inguinal", "mediastinal"))]
    assert remarks(*nodes) == ["3 target lesions are in one organ (lymph nodes: N0, N1, N2); RECIST 1.1 allows 2."]
    parts = [lesion(f"L1{n}", None, 10, organ="liver", split_from="L1") for n in "abc"]
    assert remarks(lesion("L1", 50, None, organ="liver"), *parts) == []


def test_missing_measurements_are_named():
    assert remarks(lesion("L1", 20, None, 20)) == ["L1 has no measurement at Week 8."]
    assert remarks(lesion("L1", 20, PRESENT)) == ["L1 has no measurement at Week 8."]


def test_other_remarks():
    assert remarks(lesion("L1", 20, 20, organ="bone")) == [
        "L1 is in bone: only a soft tissue component can be measured."
    ]
    assert remarks(lesion("L1", 20, 20), new("X1", PRESENT, PRESENT)) == ["X1 is new but was seen at baseline."]
    assert remarks(non_target("N1", 8, 8, node=True)) == [
        "N1 is a lymph node of 8.0 mm; below 10 mm it is normal and not recorded."
    ]
    assert remarks(lesion("L1", 20, 20), day=None) == ["Baseline has no date, so that durations are not checked there."]
    planes = [Reading(long_mm=20, short_mm=10, plane=plane) for plane in ("axial", "oblique")]
    assert remarks(lesion("L1", *planes)) == [
        "L1 was measured in an oblique plane at Week 8 and in an axial one at baseline."
    ]
    proposal = Reading(long_mm=20, short_mm=10, is_proposal=True)
    assert remarks(lesion("L1", 20, proposal)) == ["L1 at Week 8 is a proposal that no reader accepted yet."]


def test_slices_of_another_thickness_than_at_baseline_are_named():
    visits = (Visit("v0", "Baseline", None, 1.0), Visit("v1", "Week 8", None, 5.0))
    texts = [each.text for each in conformity(Course(visits, ()))]
    assert "Slices of 5.0 mm at Week 8 and of 1.0 mm at Baseline." in texts


# volumes


def test_a_volume_that_doubles_in_hundred_days_has_that_doubling_time():
    assert doubling_days(1000, 2000, 100) == pytest.approx(100)
    assert doubling_days(1000, 4000, 100) == pytest.approx(50)
    assert doubling_days(2000, 1000, 100) == pytest.approx(-100)


@pytest.mark.parametrize(
    ("before", "now", "days"), [(0, 10, 10), (10, 0, 10), (10, 10, 10), (10, 20, None), (10, 20, 0)]
)
def test_without_growth_dates_or_volumes_there_is_no_doubling_time(before, now, days):
    assert doubling_days(before, now, days) is None


def test_volumes_are_compared_with_the_last_visit_that_has_one():
    readings = [Reading(long_mm=20, volume_mm3=volume) for volume in (1000.0, None, 2000.0)]
    (change,) = volume_changes(course(lesion("L1", *readings)))
    assert (change.since, change.index, change.percent, change.days) == (0, 2, 100, 112)
    assert change.doubling_days == pytest.approx(112)


# PERCIST


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (10, 7, "reaches PERCIST's thresholds for partial metabolic response"),
        (10, 7.1, "below PERCIST's thresholds of 30 % and 0.8 units"),
        (2, 1.3, "below PERCIST's thresholds of 30 % and 0.8 units"),
        (10, 13, "reaches PERCIST's thresholds for metabolic progression"),
        (2, 2.7, "below PERCIST's thresholds of 30 % and 0.8 units"),
    ],
)
def test_percist_needs_thirty_per_cent_and_eight_tenths(before, now, expected):
    assert threshold_text(before, now) == expected


def test_percist_follows_the_hottest_lesion_of_each_visit():
    first = lesion("L1", *(Reading(long_mm=20, sul_peak=sul) for sul in (10.0, 4.0)))
    second = lesion("L2", *(Reading(long_mm=20, sul_peak=sul) for sul in (5.0, 6.0)))
    assert percist_texts(course(first, second)) == [
        "Week 8: SULpeak of the hottest lesion (L2, at baseline L1) 10.0 to 6.0, -4.0 (-40.0 %): reaches PERCIST's thresholds "
        "for partial metabolic response."
    ]
    assert percist_texts(course(lesion("L1", 20, 20))) == []

"""Remarks on what does not conform to RECIST 1.1; volumes, and PERCIST's thresholds."""

from dataclasses import replace

import pytest
from response_courses import PRESENT, course, lesion, new, node, non_target

from oncotrack.findings.contrast import contrast_phase
from oncotrack.findings.finding import Finding, Observation, Role, TimePoint
from oncotrack.findings.uptake import Uptake
from oncotrack.response.conformity import conformity, smallest_target_mm
from oncotrack.response.course import Course, Reading, Visit
from oncotrack.response.course_of_findings import course_of_findings
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
    assert remarks(lesion("L1", 20, 20), day=None) == [
        "Baseline has no date, so that the days between visits are not checked there."
    ]
    planes = [Reading(long_mm=20, short_mm=10, plane=plane) for plane in ("axial", "oblique")]
    assert remarks(lesion("L1", *planes)) == [
        "L1 was measured in an oblique plane at Week 8 and in an axial one at baseline."
    ]
    proposal = Reading(long_mm=20, short_mm=10, is_proposal=True)
    assert remarks(lesion("L1", 20, proposal)) == ["L1 at Week 8 is a proposal that no reader accepted yet."]
    doubtful = Reading(long_mm=20, short_mm=10, doubts=("30 % of the mask is air.",))
    assert remarks(lesion("L1", 20, doubtful)) == ["The mask of L1 at Week 8 is doubtful. 30 % of the mask is air."]


def test_slices_of_another_thickness_than_at_baseline_are_named():
    visits = (Visit("v0", "Baseline", None, 1.0), Visit("v1", "Week 8", None, 5.0))
    texts = [each.text for each in conformity(Course(visits, ()))]
    assert "Slices of 5.0 mm at Week 8 and of 1.0 mm at Baseline." in texts


@pytest.mark.parametrize(
    ("description", "agent", "phase"),
    [
        ("Abdomen portal venous 3.0", "", "portal venous phase"),
        ("ABD ART 2mm", "IOPAMIDOL", "arterial phase"),
        ("late arterial", "", "arterial phase"),
        ("Thorax venös", "", "portal venous phase"),
        ("LIVER_DELAYED", "", "delayed phase"),
        ("Thorax nativ 5.0", "", "without contrast"),
        ("chest w/o contrast", "Omnipaque", "without contrast"),
        ("Cartilage 3D", "", ""),
        ("Chest 1.0 B70f", "APPLIED", "with contrast"),
        ("Chest", "NONE", "without contrast"),
        ("Chest", "", ""),
    ],
)
def test_the_contrast_phase_is_that_of_the_description_or_the_agent(description, agent, phase):
    assert contrast_phase({"description": description, "contrast": agent}) == phase


def test_another_contrast_phase_than_at_baseline_is_named():
    def texts(first, second):
        visits = (Visit("v0", "Baseline", None, None, first), Visit("v1", "Week 8", None, None, second))
        return [each.text for each in conformity(Course(visits, ())) if "date" not in each.text]

    assert texts("portal venous phase", "without contrast") == [
        "The scan of Week 8 is without contrast, that of Baseline of the portal venous phase: lesions may look larger or "
        "smaller."
    ]
    assert len(texts("arterial phase", "portal venous phase")) == 1
    assert texts("with contrast", "arterial phase") == texts("", "arterial phase") == texts("arterial phase", "") == []


def test_a_measurement_in_another_window_than_at_baseline_is_named():
    def texts(first, second):
        return remarks(lesion("L1", *(Reading(long_mm=20, short_mm=9, window=each) for each in (first, second))))

    assert texts((400.0, 40.0), (1500.0, -600.0)) == [
        "L1 was measured in the window W 1500 L -600 at Week 8 and in W 400 L 40 at baseline; use one window for all visits."
    ]
    assert texts((400.0, 40.0), (450.0, 60.0)) == texts(None, (400.0, 40.0)) == texts((400.0, 40.0), None) == []


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


def test_without_sul_the_suv_is_compared_without_thresholds():
    readings = [Reading(long_mm=20, suv_peak=suv) for suv in (10.0, 4.0)]
    assert percist_texts(course(lesion("L1", *readings))) == [
        "Week 8: SUVpeak of the hottest lesion (L1) 10.0 to 4.0, -6.0 (-60.0 %): PERCIST's thresholds apply to uptake by lean "
        "body mass (SUL)."
    ]


@pytest.mark.parametrize(("kind", "name"), [("LBM", "SULpeak"), ("LBMJANMA", "SULpeak"), ("BW", "SUVpeak")])
def test_the_peak_of_uptake_that_was_measured_is_used(kind, name):
    points = [TimePoint("v0", "Baseline"), TimePoint("v1", "Week 8")]
    uptakes = [
        Uptake(suv_max=9, suv_peak=each, suv_mean=3, metabolic_volume_ml=1, tlg_ml=3, kind=kind) for each in (8, 4)
    ]
    seen = {point.id: Observation(centre=(0, 0, 0), uptake=each) for point, each in zip(points, uptakes, strict=True)}
    found = course_of_findings(points, [Finding(label="L1", role=Role.TARGET, observations=seen)])
    (text,) = percist_texts(found)
    assert text.startswith(f"Week 8: {name} of the hottest lesion (L1) 8.0 to 4.0, -4.0 (-50.0 %)")

"""RECIST 1.1 at each visit, worked out by hand from the guideline (E. Eisenhauer et al., Eur J Cancer 45, 2009)."""

from datetime import date

import pytest
from response_courses import (
    ABSENT,
    NOT_EVALUABLE,
    PRESENT,
    PROGRESSED,
    SUSPECTED,
    TOO_SMALL,
    course,
    lesion,
    merged,
    new,
    node,
    non_target,
)

from oncotrack.errors import InputError
from oncotrack.response.course import Course, Reading, Visit
from oncotrack.response.criteria import Response, Settings
from oncotrack.response.recist import assess, overall


def targets(*lesions, settings=None) -> list[str]:
    return [each.target.verdict.response.value for each in assess(course(*lesions), settings)]


def patient(*lesions, settings=None) -> list[str]:
    return [each.overall.response.value for each in assess(course(*lesions), settings)]


def why(*lesions) -> list[str]:
    return [each.target.verdict.why for each in assess(course(*lesions))]


# the sum of diameters


def test_the_sum_adds_long_axes_and_short_axes_of_nodes():
    seen = assess(course(lesion("L1", 30, 20), node("N1", 20, 12)))[0]
    assert (seen.target.baseline_mm, seen.target.total.mm) == (50, 32)


@pytest.mark.parametrize(
    ("now", "expected"),
    [(70.0, "PR"), (70.1, "SD"), (119.9, "SD"), (120.0, "PD"), (0.0, "CR"), (100.0, "SD")],
)
def test_thresholds_of_partial_response_and_progression(now, expected):
    assert targets(lesion("L1", 100, now)) == [expected]


def test_thresholds_hold_for_lengths_that_floats_cannot_hold():
    assert targets(lesion("L1", 10.1, 10.1 * 0.7)) == ["PR"]
    assert targets(lesion("L1", 30.3, 30.3 * 1.2)) == ["PD"]


def test_twenty_per_cent_without_five_millimetres_is_no_progression():
    assert targets(lesion("L1", 20, 24.9), lesion("L2", 0, 0)) == ["SD"]
    assert targets(lesion("L1", 20, 25)) == ["PD"]


def test_five_millimetres_without_twenty_per_cent_are_no_progression():
    assert targets(lesion("L1", 60, 71)) == ["SD"]


def test_progression_counts_from_the_smallest_sum_and_partial_response_from_baseline():
    assert targets(lesion("L1", 100, 50, 59, 61)) == ["PR", "PR", "PD"]  # 61 is 22 % and 11 mm above 50


def test_baseline_is_the_nadir_where_nothing_shrank():
    seen = assess(course(lesion("L1", 50, 55, 60)))
    assert [each.target.nadir_mm for each in seen] == [50, 50]
    assert [each.overall.response for each in seen] == [Response.SD, Response.PD]


def test_progression_takes_precedence_over_partial_response():
    assert targets(lesion("L1", 100, 20, 40)) == ["PR", "PD"]  # 60 % below baseline, twice the nadir


def test_a_confirmed_partial_response_continues_until_progression():
    assert targets(lesion("L1", 100, 70, 70, 80, 80)) == ["PR", "PR", "PR", "PR"]  # questions and clarifications, EORTC
    assert targets(lesion("L1", 100, 70, 80)) == ["PR", "SD"]  # not confirmed yet
    assert targets(lesion("L1", 100, 70, 70, 90, 90)) == ["PR", "PR", "PD", "PD"]


def test_stable_disease_says_what_it_was_measured_against():
    assert why(lesion("L1", 90, 74)) == [
        "The sum of target diameters is 74.0 mm, -17.8 % from the baseline of 90.0 mm and -16.0 mm (-17.8 %) from the "
        "smallest sum of 90.0 mm (Baseline): neither PR (-30 %) nor PD (+20 % and +5 mm)."
    ]


# lymph nodes


def test_nodes_below_ten_millimetres_with_a_sum_that_is_not_zero_are_a_complete_response():
    assert targets(node("N1", 16, 9.9), lesion("L1", 20, 0)) == ["CR"]
    assert targets(node("N1", 16, 10.0), lesion("L1", 20, 0)) == ["PR"]
    assert "N1 9.9 mm" in why(node("N1", 16, 9.9), lesion("L1", 20, 0))[0]


def test_normal_nodes_that_grow_and_stay_normal_are_no_progression():
    assert targets(node("N1", 16, 3, 9.5)) == ["CR", "CR"]


def test_a_node_that_is_pathological_again_after_complete_response_is_progression():
    assert targets(node("N1", 16, 9, 10)) == ["CR", "PD"]


# nadir 0, lesions that come back, too small to measure


def test_any_lesion_that_comes_back_after_complete_response_is_progression():
    assert patient(lesion("L1", 20, 0, 3)) == ["CR", "PD"]


def test_with_a_nadir_of_zero_five_millimetres_are_progression_where_the_patient_had_no_complete_response():
    rest = non_target("NT1", PRESENT, PRESENT, PRESENT)
    assert targets(lesion("L1", 20, 0, 4), rest) == ["CR", "PR"]
    assert targets(lesion("L1", 20, 0, 5), rest) == ["CR", "PD"]


def test_a_lesion_that_comes_back_while_others_remain_is_added_to_the_sum():
    assert targets(lesion("L1", 40, 40, 40), lesion("L2", 20, 0, 5)) == ["PR", "SD"]  # 60, 40, 45: +12.5 %
    assert targets(lesion("L1", 40, 40, 40), lesion("L2", 20, 0, 8)) == ["PR", "PD"]  # 48: +20 %, +8 mm


def test_a_lesion_too_small_to_measure_counts_five_millimetres():
    seen = assess(course(lesion("L1", 20, TOO_SMALL)))[0]
    assert (seen.target.total.mm, seen.overall.response) == (5, Response.PR)


def test_the_size_of_a_lesion_too_small_to_measure_can_be_set():
    seen = assess(course(lesion("L1", 20, TOO_SMALL)), Settings(too_small_mm=3))[0]
    assert seen.target.total.mm == 3
    with pytest.raises(InputError, match="too small to measure cannot count 0 mm"):
        Settings(too_small_mm=0)


def test_a_lesion_too_small_to_measure_that_was_measured_keeps_its_size():
    from oncotrack.response.course import Seen

    assert assess(course(lesion("L1", 20, Reading(seen=Seen.TOO_SMALL, long_mm=4))))[0].target.total.mm == 4


def test_a_node_too_small_to_measure_is_normal():
    assert targets(node("N1", 16, TOO_SMALL)) == ["CR"]


# not evaluable


def test_a_missing_target_makes_the_visit_not_evaluable():
    assert patient(lesion("L1", 30, None), lesion("L2", 20, 10)) == ["NE"]
    assert patient(lesion("L1", 30, NOT_EVALUABLE), lesion("L2", 20, 10)) == ["NE"]


def test_progression_although_a_target_is_missing_when_the_rest_alone_exceeds():
    lesions = (lesion("L1", 20, None), lesion("L2", 15, 40), lesion("L3", 15, 40))
    assert patient(*lesions) == ["PD"]  # the guideline's example: 50 mm at baseline, 80 mm in two of three lesions
    assert why(*lesions) == [
        "The sum of target diameters is 80.0 mm, 30.0 mm (+60.0 %) above the smallest sum of 50.0 mm (Baseline), although "
        "L1 was not measured; PD from 20 % and 5 mm."
    ]


def test_an_incomplete_sum_is_no_nadir():
    assert targets(lesion("L1", 50, 40, 40), lesion("L2", 50, None, 50)) == ["NE", "SD"]
    assert assess(course(lesion("L1", 50, 10, 50), lesion("L2", 50, None, 50)))[1].target.nadir_mm == 100


def test_without_a_sum_at_baseline_nothing_can_be_said():
    assert why(lesion("L1", None, 20)) == ["There is no sum at baseline: L1 was not measured."]


# split and merged lesions


def test_the_fragments_of_a_split_lesion_are_added_up():
    fragment = lesion("L1b", None, 15, 20, split_from="L1")
    assert targets(lesion("L1", 40, 20, 30), fragment) == ["SD", "PD"]  # 40, 35, 50


def test_a_split_lesion_may_be_measured_by_its_fragments_alone():
    parts = (lesion("L1a", None, 15, split_from="L1"), lesion("L1b", None, 10, split_from="L1"))
    seen = assess(course(lesion("L1", 40), *parts))[0]
    assert (seen.target.total.mm, seen.overall.response) == (25, Response.PR)


def test_a_fragment_that_is_not_measured_later_is_missing():
    assert targets(lesion("L1", 40, 20, 20), lesion("L1b", None, 15, None, split_from="L1")) == ["SD", "NE"]


def test_merged_lesions_are_measured_once_and_keep_both_names():
    seen = assess(course(lesion("L1", 20, 45), lesion("L2", 20, merged("L1"))))[0]
    assert (seen.target.total.mm, seen.overall.response) == (45, Response.SD)
    assert seen.target.total.missing == ()


def test_lesions_merged_with_one_that_was_not_measured_are_not_evaluable():
    seen = assess(course(lesion("L1", 20, NOT_EVALUABLE), lesion("L2", 20, merged("L1"))))[0]
    assert seen.target.total.missing == ("L1", "L2")


def test_lesions_cannot_merge_in_a_circle():
    with pytest.raises(InputError, match="Measure one of them"):
        course(lesion("L1", 20, merged("L2")), lesion("L2", 20, merged("L1")))


# non-target and new lesions


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ((ABSENT, ABSENT), Response.CR),
        ((PRESENT, ABSENT), Response.NON),
        ((PROGRESSED, ABSENT), Response.PD),
        ((NOT_EVALUABLE, PRESENT), Response.NE),
        ((None, ABSENT), Response.NE),
        ((PROGRESSED, None), Response.PD),
        ((SUSPECTED, PRESENT), Response.NON),
        ((Reading(seen=PROGRESSED.seen, equivocal=True), ABSENT), Response.NON),
    ],
)
def test_the_response_of_non_target_lesions(readings, expected):
    lesions = (non_target(f"NT{n}", PRESENT, each) for n, each in enumerate(readings))
    assert assess(course(*lesions, count=2))[0].non_target.response is expected


def test_non_target_nodes_below_ten_millimetres_are_gone():
    assert assess(course(non_target("N1", 12, 9, node=True)))[0].non_target.response is Response.CR
    assert assess(course(non_target("N1", 12, 10, node=True)))[0].non_target.response is Response.NON


def test_a_non_target_lesion_that_comes_back_after_complete_response_is_progression():
    assert patient(lesion("L1", 20, 0, 0), non_target("NT1", PRESENT, ABSENT, PRESENT)) == ["CR", "PD"]


def test_a_new_lesion_is_progression_whatever_the_target_lesions_do():
    assert patient(lesion("L1", 100, 50, 0), new("X1", None, None, PRESENT)) == ["PR", "PD"]


def test_an_equivocal_new_lesion_is_no_progression_until_it_is_confirmed():
    assert patient(lesion("L1", 100, 50, 50), new("X1", None, SUSPECTED, PRESENT)) == ["PR", "PD"]


def test_a_new_node_below_ten_millimetres_is_not_pathological():
    assert patient(lesion("L1", 100, 50), new("X1", None, 9, node=True)) == ["PR"]
    assert patient(lesion("L1", 100, 50), new("X1", None, 11, node=True)) == ["PD"]


def test_a_new_lesion_that_was_not_assessed_again_is_still_there():
    assert patient(lesion("L1", 100, 100, 100), new("X1", None, 12, None)) == ["PD", "PD"]
    assert patient(lesion("L1", 100, 100, 100), new("X1", None, 12, ABSENT)) == ["PD", "SD"]


# tables 1 and 2

CR, PR, SD, PD, NON, NE, NONE, NED = (
    Response.CR, Response.PR, Response.SD, Response.PD, Response.NON, Response.NE, Response.NONE, Response.NED,
)  # fmt: skip


@pytest.mark.parametrize(
    ("target", "non_target", "has_new", "expected"),
    [
        (CR, CR, False, CR),
        (CR, NON, False, PR),
        (CR, NE, False, PR),
        (PR, NON, False, PR),
        (PR, CR, False, PR),
        (PR, NE, False, PR),
        (SD, NON, False, SD),
        (SD, NE, False, SD),
        (NE, NON, False, NE),
        (NE, CR, False, NE),
        *((PD, any_, has_new, PD) for any_ in (CR, NON, PD, NE, NONE) for has_new in (False, True)),
        *((any_, PD, has_new, PD) for any_ in (CR, PR, SD, PD, NE) for has_new in (False, True)),
        *((one, other, True, PD) for one in (CR, PR, SD, PD, NE) for other in (CR, NON, PD, NE)),
        (CR, NONE, False, CR),
        (PR, NONE, False, PR),
        (NE, NONE, False, NE),
    ],
)
def test_table_1(target, non_target, has_new, expected):
    assert overall(target, non_target, has_new).response is expected


@pytest.mark.parametrize(
    ("non_target", "has_new", "expected"),
    [
        (CR, False, CR),
        (NON, False, NON),
        (NE, False, NE),
        (PD, False, PD),
        (PD, True, PD),
        *((any_, True, PD) for any_ in (CR, NON, NE)),
        (NONE, False, NED),
        (NONE, True, PD),
    ],
)
def test_table_2(non_target, has_new, expected):
    found = overall(NONE, non_target, has_new)
    assert found.response is expected
    assert found.why.startswith("Table 2")


# bad input


def test_dates_that_do_not_rise_are_refused():
    with pytest.raises(InputError, match="Put the visits in the order of their dates"):
        Course((Visit("a", "A", date(2025, 2, 1)), Visit("b", "B", date(2025, 1, 1))), ())


@pytest.mark.parametrize("size", [-1, float("nan"), float("inf")])
def test_a_size_that_is_no_length_is_refused(size):
    with pytest.raises(InputError, match="is no size"):
        Reading(long_mm=size)

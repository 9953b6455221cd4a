"""iRECIST, worked out by hand from L. Seymour et al., Lancet Oncol 18, 2017, and the working group's answers."""

import pytest
from response_courses import ABSENT, LARGER, NOT_EVALUABLE, PRESENT, PROGRESSED, course, lesion, new, node, non_target

from oncotrack.response.course import Reading, Seen
from oncotrack.response.criteria import Settings
from oncotrack.response.irecist import IResponse, best_immune
from oncotrack.response.irecist_course import assess_immune
from oncotrack.response.result import respond

WORSE = Reading(seen=Seen.PROGRESSED, increased=True)


def responses(*lesions, weeks: int = 8) -> list[str]:
    return [each.overall.response.value for each in assess_immune(course(*lesions, weeks=weeks))]


def last_why(*lesions) -> str:
    return assess_immune(course(*lesions))[-1].overall.why


def test_progression_is_unconfirmed_first():
    assert responses(lesion("L1", 100, 120)) == ["iUPD"]


@pytest.mark.parametrize(
    ("next_mm", "expected"), [(124.9, "iUPD"), (125, "iCPD"), (120, "iUPD"), (100, "iSD"), (70, "iPR")]
)
def test_target_lesions_confirm_by_five_millimetres_and_reset_by_shrinking(next_mm, expected):
    assert responses(lesion("L1", 100, 120, next_mm)) == ["iUPD", expected]


def test_growth_in_several_steps_adds_up():
    assert responses(lesion("L1", 100, 120, 124, 126)) == ["iUPD", "iUPD", "iCPD"]


def test_after_a_reset_progression_has_to_be_unconfirmed_again():
    assert responses(lesion("L1", 100, 130, 100, 130, 140)) == ["iUPD", "iSD", "iUPD", "iCPD"]


def test_progression_counts_from_the_smallest_sum_after_a_reset_too():
    assert responses(lesion("L1", 100, 130, 60, 75)) == ["iUPD", "iPR", "iUPD"]


def test_progression_in_another_category_confirms():
    assert responses(lesion("L1", 100, 120, 120), new("X1", None, None, PRESENT)) == ["iUPD", "iCPD"]
    assert responses(lesion("L1", 100, 120, 120), non_target("NT1", PRESENT, PRESENT, PROGRESSED)) == ["iUPD", "iCPD"]


def test_non_target_progression_is_confirmed_by_any_further_growth():
    rest = lesion("L1", 100, 100, 100)
    assert responses(rest, non_target("NT1", PRESENT, PROGRESSED, LARGER)) == ["iUPD", "iCPD"]
    assert responses(rest, non_target("NT1", PRESENT, PROGRESSED, WORSE)) == ["iUPD", "iCPD"]
    assert responses(rest, non_target("NT1", PRESENT, PROGRESSED, PROGRESSED)) == ["iUPD", "iUPD"]
    assert responses(rest, non_target("NT1", PRESENT, PROGRESSED, PRESENT)) == ["iUPD", "iSD"]


@pytest.mark.parametrize(("next_mm", "expected"), [(16.9, "iUPD"), (17, "iCPD"), (12, "iUPD")])
def test_measured_new_lesions_confirm_by_five_millimetres(next_mm, expected):
    assert responses(lesion("L1", 100, 100, 100), new("X1", None, 12, next_mm)) == ["iUPD", expected]


def test_new_lesions_without_a_measurable_size_confirm_by_any_growth_that_the_reader_sees():
    rest = lesion("L1", 100, 100, 100)
    assert responses(rest, new("X1", None, PRESENT, PRESENT)) == ["iUPD", "iUPD"]
    assert responses(rest, new("X1", None, PRESENT, LARGER)) == ["iUPD", "iCPD"]
    assert responses(rest, new("X1", None, 7, 11)) == ["iUPD", "iUPD"], "7 mm is not measurable, so it has no sum"


def test_another_new_lesion_confirms():
    lesions = lesion("L1", 100, 100, 100), new("X1", None, PRESENT, PRESENT), new("X2", None, None, PRESENT)
    assert responses(*lesions) == ["iUPD", "iCPD"]
    assert last_why(*lesions) == "The progression of Week 8 is confirmed at Week 16: New at Week 16: X2."


def test_at_most_two_new_lesions_of_an_organ_are_measured():
    lesions = [new(f"X{n}", None, 20, 22, organ="liver") for n in range(3)]
    assert responses(lesion("L1", 100, 100, 100), *lesions) == ["iUPD", "iUPD"]  # 40 to 44 mm
    lesions = [new(f"X{n}", None, 20, 22, organ=organ) for n, organ in enumerate(("liver", "lung", "brain"))]
    assert responses(lesion("L1", 100, 100, 100), *lesions) == ["iUPD", "iCPD"]  # 60 to 66 mm


def test_new_lesions_that_stay_allow_a_response_only_where_the_target_lesions_shrink():
    stays = new("X1", None, PRESENT, PRESENT)
    assert responses(lesion("L1", 100, 100, 60), stays) == ["iUPD", "iPR"]  # scenario B of the paper
    stays = new("X1", None, None, PRESENT, PRESENT)
    assert responses(lesion("L1", 100, 60, 60, 60), stays) == ["iPR", "iUPD", "iUPD"]  # scenario F


def test_new_lesions_that_stay_exclude_a_complete_response():
    assert responses(lesion("L1", 100, 100, 0), new("X1", None, PRESENT, PRESENT)) == ["iUPD", "iPR"]
    assert responses(lesion("L1", 100, 100, 0), new("X1", None, PRESENT, ABSENT)) == ["iUPD", "iCR"]


def test_new_lesions_of_before_a_reset_progress_again_by_their_own_sum():
    target = lesion("L1", 100, 100, 60, 60)
    assert responses(target, new("X1", None, 20, 20, 24.9)) == ["iUPD", "iPR", "iPR"]
    assert responses(target, new("X1", None, 20, 20, 25)) == ["iUPD", "iPR", "iUPD"]


def test_a_visit_that_is_not_evaluable_leaves_the_progression_open():
    assert responses(lesion("L1", 100, 120, NOT_EVALUABLE, 125)) == ["iUPD", "NE", "iCPD"]


def test_progression_is_not_confirmed_within_four_weeks_unless_another_lesion_is_new():
    assert responses(lesion("L1", 100, 120, 140), weeks=2) == ["iUPD", "iUPD"]
    assert responses(lesion("L1", 100, 120, 120), new("X1", None, None, PRESENT), weeks=2) == ["iUPD", "iCPD"]


def test_visits_after_confirmed_progression_do_not_undo_it():
    result = respond(course(lesion("L1", 100, 120, 130, 130, 60)), "irecist")
    assert [each.overall.response.value for each in result.visits] == ["iUPD", "iCPD", "iCPD", "iPR"]
    assert result.best.response is IResponse.ICPD


def test_nodes_and_complete_response():
    assert responses(node("N1", 20, 9, 10)) == ["iCR", "iUPD"]


# progression date and best response


def test_confirmed_progression_is_dated_to_the_unconfirmed_one():
    found = respond(course(lesion("L1", 100, 80, 100, 110)), "irecist").progression
    assert found.visit.label == "Week 16"


def test_an_unconfirmed_progression_that_was_reset_does_not_count():
    assert respond(course(lesion("L1", 100, 120, 100)), "irecist").progression is None


def test_an_unconfirmed_progression_without_a_later_visit_counts():
    found = respond(course(lesion("L1", 100, 100, 120)), "irecist").progression
    assert (found.visit.label, "not confirmed yet" in found.why) == ("Week 16", True)


def best(text: str) -> str:
    steps = [(IResponse(word), f"visit {n}", 56 * n) for n, word in enumerate(text.split(), 1)]
    return best_immune(steps, Settings()).response.value


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("iCR iPR iUPD iUPD iCPD", "iCR"),
        ("iUPD iPR iCR iUPD iCPD", "iCR"),
        ("iUPD iPR iSD iUPD iCPD", "iPR"),
        ("iUPD iSD iPR iUPD iCPD", "iPR"),
        ("iUPD iSD iSD iUPD iCPD", "iSD"),
        ("iUPD iCPD iPR iPR iCR", "iCPD"),
        ("iUPD iUPD iCPD iPR iPR", "iCPD"),
        ("iUPD NE NE NE NE", "iUPD"),
    ],
)
def test_table_3_of_irecist(steps, expected):
    assert best(steps) == expected

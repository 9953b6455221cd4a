"""Best overall response (RECIST 1.1, table 3), and the date of progression."""

from __future__ import annotations

import pytest
from response_courses import ABSENT, NOT_EVALUABLE, PRESENT, PROGRESSED, SUSPECTED, course, lesion, new, non_target

from oncotrack.response.best import Step, best_of
from oncotrack.response.course import Reading, Seen
from oncotrack.response.criteria import Response, Settings
from oncotrack.response.result import respond

CR, PR, SD, PD, NON, NE, NED = (Response(name) for name in ("CR", "PR", "SD", "PD", "Non-CR/Non-PD", "NE", "NED"))
MET, NOT_MET = Settings(stable_days=42), Settings(stable_days=400)
SUSPECTED_PROGRESSION = Reading(seen=Seen.PROGRESSED, equivocal=True)


def steps(*responses: Response, every: int = 56) -> list[Step]:
    return [Step(f"visit {n}", response, every * n) for n, response in enumerate(responses, 1)]


def best(*responses: Response, confirmed: bool = True, settings: Settings = MET, every: int = 56) -> Response:
    return best_of(steps(*responses, every=every), confirmed=confirmed, settings=settings).response


@pytest.mark.parametrize(
    ("first", "second", "met", "not_met"),
    [
        (CR, CR, CR, CR),
        (CR, PR, SD, PD),
        (CR, SD, SD, PD),
        (CR, PD, SD, PD),
        (CR, NE, SD, NE),
        (PR, CR, PR, PR),
        (PR, PR, PR, PR),
        (PR, SD, SD, SD),
        (PR, PD, SD, PD),
        (PR, NE, SD, NE),
        (NE, NE, NE, NE),
    ],
)
def test_table_3(first, second, met, not_met):
    """`met`: the time to SD that the protocol needs has passed at the first visit."""
    assert best(first, second) is met
    assert best(first, second, settings=NOT_MET) is not_met


@pytest.mark.parametrize(
    ("responses", "expected"),
    [
        ((SD, PR, PD), PR),
        ((PR, CR, PD), CR),
        ((SD, SD), SD),
        ((SD, PD), SD),
        ((PD,), PD),
        ((NE, PR), PR),
        ((NE, NE), NE),
        ((NON, NON), NON),
        ((NON, CR), CR),
        ((NED, NED), NED),
        ((), NE),
    ],
)
def test_without_confirmation_the_best_response_counts(responses, expected):
    assert best(*responses, confirmed=False) is expected


def test_a_response_is_confirmed_over_a_visit_that_was_not_evaluable():
    assert best(PR, NE, PR) is PR
    assert best(CR, NE, CR) is CR
    assert best(PR, SD, PR) is SD


def test_a_response_is_confirmed_from_four_weeks_later_on():
    assert best(PR, PR, every=27) is SD
    assert best(PR, PR, every=28) is PR


def test_without_dates_only_the_order_counts():
    undated = [Step("one", PR), Step("two", PR)]
    assert best_of(undated, confirmed=True, settings=NOT_MET).response is PR


def test_stable_disease_needs_the_days_of_the_protocol():
    assert best(SD, PD, every=35) is PD
    assert best(SD, every=35) is NE
    assert best(SD, PD, every=42) is SD


def test_a_sentence_says_what_was_not_confirmed():
    found = best_of(steps(PR, PD), confirmed=True, settings=MET)
    assert found.why == (
        "No progression until visit 1, 56 days after baseline (at least 42 days are needed). PR at visit 1 was not confirmed."
    )


# the date of progression


def progressed(*lesions) -> tuple[str, str]:
    found = respond(course(*lesions)).progression
    return (found.visit.label, found.why) if found else ("", "")


def test_progression_is_dated_to_its_visit():
    when, why = progressed(lesion("L1", 50, 50, 70))
    assert (when, why.startswith("The sum of target diameters is 70.0 mm")) == ("Week 16", True)
    assert progressed(lesion("L1", 50, 50, 50)) == ("", "")


def test_an_equivocal_new_lesion_that_is_confirmed_dates_the_progression_back():
    lesions = lesion("L1", 100, 50, 50, 50), new("X1", None, SUSPECTED, SUSPECTED, PRESENT)
    assert progressed(*lesions) == ("Week 8", "X1 was suspected as a new lesion at Week 8 and confirmed at Week 24.")
    result = respond(course(*lesions))
    assert [each.overall.response for each in result.visits] == [PR, PR, PD], "what was said at each visit stays"
    assert (result.best.response, result.best_confirmed.response) == (PD, PD)


def test_an_equivocal_new_lesion_that_goes_away_is_forgotten():
    when, _why = progressed(lesion("L1", 100, 90, 90, 90), new("X1", None, SUSPECTED, ABSENT, PRESENT))
    assert when == "Week 24"


def test_a_visit_without_the_suspected_lesion_does_not_end_the_suspicion():
    lesions = lesion("L1", 100, 90, 90, 90), new("X1", None, SUSPECTED, NOT_EVALUABLE, PRESENT)
    assert progressed(*lesions)[0] == "Week 8"


def test_suspected_progression_of_a_non_target_lesion_is_dated_back_too():
    lesions = lesion("L1", 100, 90, 90), non_target("NT1", PRESENT, SUSPECTED_PROGRESSION, PROGRESSED)
    assert progressed(*lesions) == ("Week 8", "NT1 was suspected as progression at Week 8 and confirmed at Week 16.")


def test_responses_after_progression_do_not_count():
    result = respond(course(lesion("L1", 50, 70, 10)))
    assert [each.overall.response for each in result.visits] == [PD, PR]
    assert result.best.response is PD
    assert result.best_change_percent == pytest.approx(40)


def test_the_best_change_is_the_largest_decrease():
    assert respond(course(lesion("L1", 100, 80, 60, 90))).best_change_percent == pytest.approx(-40)
    assert respond(course(lesion("L1", 100, None), lesion("L2", 20, 20))).best_change_percent is None

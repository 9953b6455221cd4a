"""Properties that hold for every course: order of lesions, units, and later visits change no earlier response."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from response_courses import ABSENT, LARGER, NOT_EVALUABLE, PRESENT, PROGRESSED, SUSPECTED, TOO_SMALL, course, lesion

from oncotrack.response.course import Course, Reading
from oncotrack.response.result import CRITERIA, CourseResponse, as_json, respond
from oncotrack.response.table import plain_text, table

_VISITS = 5
_sizes = st.integers(0, 600).map(lambda tenths: tenths / 10)
_of_target = st.one_of(_sizes, st.sampled_from([ABSENT, TOO_SMALL, NOT_EVALUABLE, None]))
_of_others = st.one_of(st.sampled_from([PRESENT, ABSENT, PROGRESSED, LARGER, SUSPECTED, NOT_EVALUABLE, None]), _sizes)
_organs = st.sampled_from(["liver", "lung", ""])


@st.composite
def courses(draw) -> Course:
    lesions = []
    for n in range(draw(st.integers(1, 5))):
        role = draw(st.sampled_from(["target", "target", "non-target", "new"]))
        first = {"target": st.integers(100, 600).map(lambda t: t / 10), "non-target": _of_others, "new": st.none()}[
            role
        ]
        later = _of_target if role == "target" else _of_others
        readings = [draw(first), *(draw(later) for _ in range(_VISITS - 1))]
        lesions.append(lesion(f"L{n}", *readings, role=role, node=draw(st.booleans()), organ=draw(_organs)))
    return course(*lesions, count=_VISITS)


def numbers(result: CourseResponse) -> list:
    """What a reader takes from a result: the sums, the responses and the dates, not the sentences."""
    visits = [
        (
            each.overall.response.value,
            each.target.verdict.response.value,
            each.non_target.response.value,
            sorted(lesion.label for lesion in each.new.certain),
            each.target.total.mm and round(each.target.total.mm, 6),
        )
        for each in result.visits
    ]
    end = result.progression.visit.label if result.progression else None
    confirmed = result.best_confirmed.response.value if result.best_confirmed else None
    return [*visits, end, result.best.response.value, confirmed]


@pytest.mark.parametrize("criteria", CRITERIA)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_the_order_of_the_lesions_changes_nothing(criteria, data):
    one = data.draw(courses())
    other = replace(one, lesions=tuple(data.draw(st.permutations(one.lesions))))
    assert numbers(respond(other, criteria)) == numbers(respond(one, criteria))


@pytest.mark.parametrize("criteria", CRITERIA)
@settings(max_examples=150, deadline=None)
@given(one=courses())
def test_lengths_in_centimetres_change_nothing(criteria, one):
    def in_cm(reading: Reading) -> Reading:
        long, short = (mm and mm / 10 * 10 for mm in (reading.long_mm, reading.short_mm))
        return replace(reading, long_mm=long, short_mm=short)

    lesions = (
        replace(each, readings={key: in_cm(reading) for key, reading in each.readings.items()}) for each in one.lesions
    )
    other = replace(one, lesions=tuple(lesions))
    assert numbers(respond(other, criteria)) == numbers(respond(one, criteria))


@pytest.mark.parametrize("criteria", CRITERIA)
@settings(max_examples=150, deadline=None)
@given(one=courses(), count=st.integers(2, _VISITS - 1))
def test_a_later_visit_changes_no_earlier_response(criteria, one, count):
    before, after = respond(one.until(count), criteria), respond(one, criteria)
    assert before.visits == tuple(
        replace(each, new=_without_later(each.new, one, count), target=_cut(each.target, one, count))
        for each in after.visits[: count - 1]
    )


@settings(max_examples=100, deadline=None)
@given(one=courses())
def test_every_response_has_a_sentence_and_every_table_is_complete(one):
    for criteria in CRITERIA:
        result = respond(one, criteria)
        verdicts = [v for each in result.visits for v in (each.overall, each.target.verdict, each.non_target, each.new)]
        assert all(each.why.endswith(".") for each in [*verdicts, result.best])
        assert len({len(row) for row in table(result)}) == 1
        assert plain_text(result)
        assert as_json(result)["criteria"] == CRITERIA[criteria]


def _cut(target, one: Course, count: int):
    lesions = {each.id: each for each in one.until(count).lesions}
    parts = tuple(replace(part, lesion=lesions[part.lesion.id]) for part in target.total.parts)
    return replace(target, total=replace(target.total, parts=parts))


def _without_later(new, one: Course, count: int):
    lesions = {each.id: each for each in one.until(count).lesions}
    certain, equivocal = (tuple(lesions[each.id] for each in group) for group in (new.certain, new.equivocal))
    return replace(new, certain=certain, equivocal=equivocal)

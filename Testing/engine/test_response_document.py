"""The course that docs/response.md works out by hand."""

import re
from pathlib import Path

import pytest
from response_courses import NOT_EVALUABLE, PRESENT, SUSPECTED, TOO_SMALL, course, lesion, new, node, non_target

from oncotrack.response.result import respond

PAGE = Path(__file__).resolve().parents[2] / "docs" / "response.md"
LESIONS = (
    lesion("L1", 42, 30, 22, NOT_EVALUABLE, 29, organ="liver"),
    lesion("L2", 18, 14, TOO_SMALL, 0, 0, organ="lung"),
    node("N1", 20, 16, 9, 8, 9, organ="axillary lymph node"),
    non_target("NT1", *[PRESENT] * 5, organ="bone"),
)


@pytest.fixture
def rows() -> dict[str, list[str]]:
    """The table of the page: the name of each row, and its cells."""
    lines = PAGE.read_text(encoding="utf-8").split("## One course by hand")[1].splitlines()
    cells = (
        [cell.strip().replace("**", "") for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("|")
    )
    return {name: values for name, *values in cells}


def numbers(cells: list[str], pattern: str) -> list[float | None]:
    found = (re.search(pattern, cell) for cell in cells)
    return [float(match[1]) if match else None for match in found]


def test_the_numbers_of_the_page_are_those_of_the_program(rows):
    result = respond(course(*LESIONS, new("X1", None, None, None, None, SUSPECTED)))
    targets = [each.target for each in result.visits]
    assert numbers(rows["sum"], r"^(\d+)$") == [80, *(each.total.mm for each in targets)]
    shown = numbers(rows["change from baseline"], r"(-?[\d.]+) %")
    assert shown == [None, *(each.baseline_percent and round(each.baseline_percent, 1) for each in targets)]
    assert numbers(rows["smallest sum before"], r"(\d+)") == [None, *(each.nadir_mm for each in targets)]
    assert numbers(rows["change from it"], r"([+-]\d+) mm") == [None, *(each.nadir_change_mm for each in targets)]
    assert rows["target response"][1:] == [each.verdict.response.value for each in targets]
    assert rows["non-target response"][1:] == [each.non_target.response.value for each in result.visits]
    assert rows["response"][1:] == [each.overall.response.value for each in result.visits] == ["SD", "PR", "NE", "PR"]
    assert result.best_confirmed.why == "PR at Week 16 was confirmed at Week 32."


def test_a_new_lesion_that_is_confirmed_changes_the_best_response_as_the_page_says():
    later = (each.readings["v4"] for each in LESIONS)
    lesions = [
        lesion(e.label, *e.readings.values(), r, role=e.role.value, node=e.is_node)
        for e, r in zip(LESIONS, later, strict=True)
    ]
    result = respond(course(*lesions, new("X1", None, None, None, None, SUSPECTED, PRESENT)))
    assert result.progression.visit.label == "Week 32"
    assert (result.best.response.value, result.best_confirmed.response.value) == ("PR", "SD")

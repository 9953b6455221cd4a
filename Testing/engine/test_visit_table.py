"""The text for an observation is the same wherever it is shown."""

from __future__ import annotations

import pytest

from oncotrack.findings.finding import Axis, MatchEvidence, Observation, Provenance, State
from oncotrack.findings.visit_table import cell, check_sentence, off_text, reverse_check, tip


def match(error_mm: float | None = None, reason: str = "", **fields) -> Observation:
    evidence = MatchEvidence((0, 0, 0), 5.0, error_mm, (), reason)
    return Observation(centre=(0, 0, 0), evidence=evidence, provenance=Provenance(method="selfsim"), **fields)


def test_the_reverse_check_is_explained_in_the_same_words_everywhere():
    words = "3.2 mm off (good below 5)"
    assert off_text(3.21) == reverse_check(match(3.21)) == words and check_sentence(3.21) == f"Reverse check: {words}."
    assert tip(match(3.21)) == f"Reverse check: {words}. Method: selfsim."
    assert tip(match(reason="No similar tissue found.")) == "No similar tissue found. Method: selfsim."


@pytest.mark.parametrize("error_mm", [None, float("inf")])
def test_an_unknown_result_of_the_reverse_check_is_left_out(error_mm):
    assert off_text(error_mm) == check_sentence(error_mm) == ""
    assert reverse_check(match(error_mm)) == reverse_check(None) == reverse_check(Observation(centre=(0, 0, 0))) == ""


def test_a_cell_shows_size_and_state():
    measured = match(long_axis=Axis((0, 0, 0), (14.6, 0, 0)), short_axis=Axis((0, 0, 0), (0, 8.2, 0)))
    assert cell(measured) == "14.6 mm x 8.2 mm, proposed"
    assert cell(match(volume_mm3=2345.0, state=State.ACCEPTED)) == "2.3 ml, accepted"
    assert cell(match(state=State.NOT_FOUND)) == "not found (program)" and cell(None) == "-"

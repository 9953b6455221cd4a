"""The text for an observation is the same wherever it is shown."""

from __future__ import annotations

import pytest

from oncotrack.findings.finding import Axis, MatchEvidence, Observation, Provenance, State
from oncotrack.findings.visit_table import cell, cycle_error, return_match, tip, trust


def match(error_mm: float | None = None, reason: str = "", **fields) -> Observation:
    evidence = MatchEvidence((0, 0, 0), 5.0, error_mm, (), reason)
    return Observation(centre=(0, 0, 0), evidence=evidence, provenance=Provenance(method="selfsim"), **fields)


def test_the_cycle_error_is_explained_in_the_same_words_everywhere():
    sentence = "Return match ends 3.2 mm from the starting point (cycle error)."
    assert return_match(3.21) == sentence and cycle_error(3.21) == "cycle error 3.2 mm"
    assert tip(match(3.21)) == f"{sentence} Method: selfsim." and trust(match(3.21)) == "3.2 mm"
    assert tip(match(reason="No similar tissue found.")) == "No similar tissue found. Method: selfsim."


@pytest.mark.parametrize("error_mm", [None, float("inf")])
def test_an_unknown_cycle_error_is_left_out(error_mm):
    assert (return_match(error_mm), cycle_error(error_mm)) == ("", "cycle error unknown")
    assert trust(match(error_mm)) == trust(None) == trust(Observation(centre=(0, 0, 0))) == ""


def test_a_cell_shows_size_and_state():
    measured = match(long_axis=Axis((0, 0, 0), (14.6, 0, 0)), short_axis=Axis((0, 0, 0), (0, 8.2, 0)))
    assert cell(measured) == "14.6 x 8.2 mm, proposed"
    assert cell(match(volume_mm3=2345.0, state=State.ACCEPTED)) == "2.3 ml, accepted"
    assert cell(match(state=State.NOT_FOUND)) == "not found (program)" and cell(None) == "-"

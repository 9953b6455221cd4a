"""Visits of a patient that cannot be registered: they are not compared, and all else is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import stand_in_stages
from interrupted_runs import tables

from oncotrack.archive.cases import Case, cases_of
from oncotrack.archive.index import index_archive
from oncotrack.archive.plan import Plan
from oncotrack.archive.run import run_archive
from oncotrack.archive.selection import Rules
from oncotrack.errors import RegistrationError
from oncotrack.findings.finding_list import FindingList
from oncotrack.followup import tracker

PLAN = Plan(method="affine")
SENTENCE = "Baseline and follow-up were not compared. They do not show the same body region."


def cohort(root: Path, visits: int) -> list[Case]:
    """Write one patient, and return it."""
    stand_in_stages.write_cohort(root, 1, visits)
    return cases_of(index_archive(root, Rules(least_slices=4), processes=1).entries, root)


@pytest.fixture
def log(monkeypatch, tmp_path) -> Path:
    """Use quick stages, and return the file in which they write what they compute."""
    path = tmp_path / "computed.txt"
    monkeypatch.setenv("ONCOTRACK_TEST_LOG", str(path))
    stand_in_stages.install(monkeypatch.setattr)
    return path


@pytest.fixture
def unlike(monkeypatch, log) -> Callable[..., None]:
    """Return a function that makes pairs of scans, given by their names, impossible to register."""
    original = tracker.register

    def refuse(*pairs: tuple[str, str]) -> None:
        def register(baseline, followup, **options):
            if (baseline.name, followup.name) in pairs:
                raise RegistrationError("They do not show the same body region.")
            return original(baseline, followup, **options)

        monkeypatch.setattr(tracker, "register", register)

    return refuse


def test_visits_that_cannot_be_registered_are_not_compared_and_all_else_is_computed(tmp_path, unlike):
    unlike(("Baseline", "Follow-up"))
    cases, out = cohort(tmp_path / "root", 2), tmp_path / "out"
    summary = run_archive(cases, PLAN, out)
    assert (summary.computed, summary.failed, summary.incomplete) == (1, 0, 1)
    found = tables(out)
    assert [row["first_visit"] for row in found["findings"]] == [0, 0, 1, 1] and found["matches"] == []
    assert {row["role"] for row in found["findings"] if row["first_visit"]} == {"none"}, (
        "it is not known whether it is new"
    )
    assert [row["visit"] for row in found["measurements"]] == [0, 0, 1, 1]
    assert all(row["measured"] and row["short_mm"] > 10 for row in found["measurements"])
    (response,) = found["responses"]
    assert (response["overall"], response["baseline_percent"]) == ("NE", None)
    (failure,) = found["failures"]
    assert (failure["stage"], failure["reason"]) == ("register", SENTENCE)
    listed = FindingList.open(out / "patients" / "P000" / "findings.json")
    assert [note.text for note in listed.notes] == [SENTENCE]
    page = (out / "summary.html").read_text()
    assert SENTENCE in page and "failed<td>0</tr>" in page and "could not be compared<td>1</tr>" in page


def test_a_pair_that_cannot_be_registered_is_not_tried_again_and_stays_in_the_table(tmp_path, unlike, log):
    unlike(("Baseline", "Follow-up"))
    cases, out = cohort(tmp_path / "root", 2), tmp_path / "out"
    run_archive(cases, PLAN, out)
    before, computed = tables(out)["failures"], log.read_text()
    assert run_archive(cases, PLAN, out).known == 1
    assert run_archive(cases, replace(PLAN, criteria="irecist"), out).incomplete == 1
    assert tables(out)["failures"] == before and log.read_text() == computed


def test_a_visit_that_cannot_be_registered_is_passed_over(tmp_path, unlike):
    cases = cohort(tmp_path / "root", 3)
    unlike(("Baseline", "Follow-up"), ("Follow-up", "Follow-up 2"))
    run_archive(cases, PLAN, tmp_path / "out")
    found = tables(tmp_path / "out")
    seen = {
        label: [row["visit"] for row in found["measurements"] if row["label"] == label] for label in ("LN 1", "LN 2")
    }
    assert seen == {"LN 1": [0, 2], "LN 2": [0, 2]} and len(found["findings"]) == 4
    assert {(row["visit"], row["found"]) for row in found["matches"]} == {(2, True)}
    assert [row["overall"] for row in found["responses"]] == ["NE", "PD"]
    assert len(found["failures"]) == 2

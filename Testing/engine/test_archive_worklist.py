"""The worklist of an archive's results: filters, orders, and what a reader has read."""

from __future__ import annotations

import pytest

from oncotrack.archive.tables import TABLES, write_tables
from oncotrack.archive.worklist import Worklist
from oncotrack.errors import InputError


def patient(name: str, **values) -> dict:
    kinds = {"text": "", "integer": 0, "number": None, "boolean": False}
    row = {column.name: kinds[column.kind] for column in TABLES["patients"][1]}
    return row | {"patient": name, "folder": name, "visits": 2, "key": f"key of {name}"} | values


@pytest.fixture
def folder(tmp_path):
    rows = [
        patient("A", new_findings=1, last_date="20260101", best_change_percent=-40.0),
        patient("B", progression=True, last_date="20260301", best_change_percent=55.0),
        patient("C", new_findings=3, progression=True, last_date=""),
    ]
    write_tables(tmp_path, [{"patients": [row]} for row in rows])
    return tmp_path


def test_patients_are_filtered_sorted_and_searched(folder):
    worklist = Worklist(folder)
    found = {
        name: "".join(row.patient for row in worklist.select(name)) for name in ("all", "unread", "new", "progression")
    }
    assert found == {"all": "ABC", "unread": "ABC", "new": "AC", "progression": "BC"}
    orders = {
        name: "".join(row.patient for row in worklist.select(order=name))
        for name in ("patient", "new", "change", "date")
    }
    assert orders == {"patient": "ABC", "new": "CAB", "change": "BAC", "date": "BAC"}
    assert [row.patient for row in worklist.select(words=" b ")] == ["B"]


def test_what_was_read_is_kept_until_the_results_change(folder):
    Worklist(folder).mark("B", True)
    assert [row.patient for row in Worklist(folder).select("unread")] == ["A", "C"]
    Worklist(folder).mark("B", False)
    assert len(Worklist(folder).select("unread")) == 3
    Worklist(folder).mark("B", True)
    write_tables(folder, [{"patients": [patient("B", key="another key")]}])
    assert [row.patient for row in Worklist(folder).select("unread")] == ["B"]


def test_a_folder_without_results_and_an_unknown_patient_are_sentences(folder, tmp_path):
    with pytest.raises(InputError, match="holds no results of an archive"):
        Worklist(tmp_path / "nothing")
    for use in (Worklist(folder).case, Worklist(folder).reading):
        with pytest.raises(InputError, match="not in the worklist"):
            use("../../etc")
    with pytest.raises(InputError, match="is damaged"):
        Worklist(folder).case("A")

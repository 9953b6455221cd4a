"""Whose scans are put together, and in which order: what is asked, what counts as answered, what is written."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from oncotrack.cli import main
from oncotrack.cli.scan_checks import check_scans
from oncotrack.errors import InputError
from oncotrack.findings.dates import day_text, parse_day
from oncotrack.findings.finding import Observation, TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.note import (
    Subject,
    kept_order,
    order_by_date,
    order_question,
    patient_question,
    same_patient,
)
from oncotrack.findings.patient import Patient, agreement_text
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.phantom.dicom_series import write_series
from oncotrack.report.scans import scans_text

JANE = Patient("A1", "DOE^JANE", "19600102", "F")
SCANS = [("baseline", JANE), ("follow-up", Patient("B2", "DOE^JANE", "19600102", "F"))]


def visits(*dates: str) -> list[TimePoint]:
    labels = ("baseline", "follow-up", "follow-up 2")
    return [TimePoint(f"t{n}", label, date=date) for n, (label, date) in enumerate(zip(labels, dates, strict=False))]


@pytest.mark.parametrize(
    "other",
    [
        {"name": "Doe^Jane^^"},
        {"name": "DOE, JANE"},
        {"name": "DOE^JANE=ドウ^ジェーン"},
        {"id": " a1 "},
        {"birth_date": "1960.01.02"},
        {"name": "", "birth_date": ""},
        {"id": "", "name": "", "birth_date": "", "sex": ""},
    ],
)
def test_the_same_patient_written_in_another_way_or_incompletely_is_not_asked_about(other):
    assert patient_question([("baseline", JANE), ("follow-up", replace(JANE, **other))]) == ""


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"id": "B2"}, "the patient ID is A1 in baseline and B2 in follow-up"),
        ({"name": "ROE^JANE"}, "the name is DOE, JANE in baseline and ROE, JANE in follow-up"),
        ({"birth_date": "19610102"}, "the birth date is 1960-01-02 in baseline and 1961-01-02 in follow-up"),
        ({"sex": "M"}, "the sex is F in baseline and M in follow-up"),
    ],
)
def test_each_difference_is_asked_about_by_name(other, words):
    sentence = patient_question([("baseline", JANE), ("follow-up", replace(JANE, **other))])
    assert sentence == f"The scans may be of different patients: {words}."


def test_a_reason_in_words_answers_for_these_patients_and_no_others():
    note = same_patient(SCANS, "  The ID changed with the new archive. ")
    assert note.answer == "The ID changed with the new archive." and note.subject is Subject.PATIENT
    assert patient_question(SCANS, [note]) == ""
    third = ("follow-up 2", Patient("C3", "DOE^JANE"))
    assert "C3 in follow-up 2" in patient_question([*SCANS, third], [note])
    for reason in ("", "  ", "ok", "12345", "?!"):
        with pytest.raises(InputError, match="A reason in words is needed"):
            same_patient(SCANS, reason)


def test_scans_without_identity_are_named():
    unknown = ("ct.nii.gz", Patient())
    assert agreement_text([SCANS[0], unknown]) == (
        "ct.nii.gz has no patient data, so it was not checked that the scans belong to one patient."
    )
    assert agreement_text([SCANS[0], SCANS[0]]) == "The patient ID, name, birth date and sex agree."
    assert "not checked" in agreement_text([("a", Patient(id="1")), ("b", Patient(name="DOE"))])
    assert Patient().text == "no patient data" and JANE.text == "DOE, JANE, ID A1, born 1960-01-02, F"


@pytest.mark.parametrize("text", ["", "20251341", "00000000", "2025", "yesterday", "20250230"])
def test_a_date_that_is_no_day_is_never_compared(text):
    assert parse_day(text) is None
    assert day_text(text) == (f"invalid date {text}" if text else "")
    assert order_question(visits("20260101", text)) == order_question(visits(text, "20250101")) == ""


def test_a_later_baseline_is_asked_about_once():
    assert order_question(visits("20250101", "20260101")) == order_question(visits("20250101", "20250101")) == ""
    later = visits("20260301", "20251102")
    assert order_question(later) == (
        "The scan opened as baseline is dated later (2026-03-01) than the one opened as follow-up (2025-11-02)."
    )
    note = kept_order(later)
    assert order_question(later, [note]) == ""
    assert order_question(visits("20260301", "20251102", "20270101"), [note]) == ""
    assert "follow-up" in order_question(visits("20260301", "20251102", "20240101"), [note])


def test_the_order_by_date_leaves_visits_without_a_date_in_their_place():
    assert order_by_date(visits("20260101", "", "20250101")) == [2, 1, 0]
    assert order_by_date(visits("20250101", "20250101", "20240101")) == [2, 0, 1]


def test_notes_and_the_order_are_no_steps_of_undo_and_count_as_unsaved():
    findings = FindingList(visits("20260301", "20251102"))
    findings.add("t0", Observation(centre=(0, 0, 0)))
    findings.mark_saved()
    findings.set_notes([same_patient(SCANS, "Name changed by marriage")])
    assert not findings.is_saved
    findings.mark_saved()
    findings.arrange_time_points(findings.time_points[::-1])
    assert not findings.is_saved
    findings.undo()
    findings.redo()
    assert [each.id for each in findings.time_points] == ["t0", "t1"], "the scene arranges them again"
    assert len(findings.notes) == 1
    again = FindingList.from_json(findings.to_json())
    assert again.notes == findings.notes
    other = FindingList(notes=[kept_order(visits("20260301", "20251102"))])
    findings.load_json(other.to_json())
    assert {note.subject for note in findings.notes} == {Subject.PATIENT, Subject.ORDER}


def test_a_file_without_notes_opens():
    document = json.loads(FindingList(visits("20250101")).to_json())
    del document["notes"]
    assert FindingList.from_json(json.dumps(document)).notes == ()


def test_the_report_names_scans_patients_and_answers():
    geometry = Geometry((2, 2, 2), (1, 1, 1), (0, 0, 0))
    about = {
        "patient_id": "A1",
        "patient_name": "DOE^JANE",
        "date": "20251341",
        "notice": "Tilt of 12 degrees removed.",
    }
    first = Volume(np.zeros((2, 2, 2)), geometry, "CT", metadata={**about, "description": "Thorax"})
    text = scans_text([("baseline", first), ("follow-up", replace(first, metadata={}))])
    assert text.splitlines() == [
        "Baseline: CT; invalid date 20251341; Thorax; DOE, JANE, ID A1; Tilt of 12 degrees removed.",
        "Follow-up: CT; no date; no patient data",
        "follow-up has no patient data, so it was not checked that the scans belong to one patient.",
    ]
    other = replace(first, metadata={"patient_id": "B2"})
    note = same_patient(SCANS, "New archive")
    assert f"Answer (reader, {note.provenance.when[:10]}" in scans_text([("a", first), ("b", other)], [note])
    assert "the patient ID is A1 in a and B2 in b" in scans_text([("a", first), ("b", other)], [note])


# the command line


@pytest.fixture
def folders(tmp_path):
    """Write two tiny series of different patients; the baseline is dated later."""
    geometry = Geometry((12, 12, 6), (4.0, 4.0, 5.0), (-22.0, -22.0, -12.5))
    array = np.random.default_rng(1).normal(0, 30, geometry.shape).astype(np.float32)
    series = {"first": ("A1", "20260301"), "second": ("B2", "20251102")}
    return [
        write_series(Volume(array, geometry, name, "CT", {"patient_id": patient, "date": date}), tmp_path / name)
        for name, (patient, date) in series.items()
    ]


def follow(monkeypatch, capsys, folders, *options) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["oncotrack", "follow", *map(str, folders), "--at", "0", "0", "900", *options])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code, capsys.readouterr().err


@pytest.mark.parametrize("count", [2, 3])
def test_the_command_line_refuses_different_patients_and_names_the_option(monkeypatch, capsys, folders, count):
    scans = [*folders, folders[1]][:count]
    code, text = follow(monkeypatch, capsys, scans, "--method", "affine")
    assert code == 2 and "A1 in first (baseline) and B2 in second (follow-up" in text and "--same-patient" in text
    code, text = follow(monkeypatch, capsys, scans, "--method", "affine", "--same-patient", "?")
    assert code == 2 and "A reason in words is needed" in text
    code, text = follow(monkeypatch, capsys, scans, "--method", "affine", "--same-patient", "New archive")
    assert code == 2 and "different patients" not in text, "only the click outside the scan is refused"
    assert "dated later (2026-03-01)" in text and "The order of the arguments is kept." in text


def test_the_command_line_keeps_reason_and_order_as_notes(folders, capsys):
    from oncotrack.images.files import load

    volumes = [load(folder) for folder in folders]
    checked = check_scans(folders, volumes, "New archive")
    assert [note.subject for note in checked.notes] == [Subject.PATIENT, Subject.ORDER]
    assert "A1" not in checked.patient and "New archive" in checked.patient
    assert check_scans(folders[:1] * 2, volumes[:1] * 2, "").patient == "The patient ID, name and sex agree."

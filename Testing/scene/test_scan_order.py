"""The order of the visits is the reader's, in every output, whatever the dates; different patients stop the session."""

from __future__ import annotations

import csv
import io
import re
import sys

import numpy as np
import pytest

from oncotrack.cli import main
from oncotrack.errors import InputError
from oncotrack.findings.finding import Observation
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.note import Subject
from oncotrack.followup.tracker import ScanPair
from oncotrack.images.files import load
from oncotrack.images.geometry import Geometry
from oncotrack.phantom.dicom_series import write_series
from oncotrack.report import write_report
from oncotrack.scene.files.storage import open_scene, save_scene
from oncotrack.scene.followup import panel
from oncotrack.scene.followup.follow_up import FollowUpScene
from oncotrack.scene.nodes.table import to_csv
from oncotrack.scene.nodes.volumes import add_volume, metadata
from oncotrack.scene.views.application import new_scene
from oncotrack.web import table_rows

PATTERNS = {
    "later": ("20251102", "20260301", False),
    "equal": ("20260301", "20260301", False),
    "missing": ("20260301", "", False),
    "shifted": ("21260301", "20251102", True),
    "impossible": ("20261341", "00000000", False),
}
"""Dates of the scans opened as baseline and as follow-up, and whether they contradict that order."""
GRID = Geometry((40, 40, 24), (2.4, 2.4, 3.5), (-46.8, -46.8, -40.25))
LESION = (12.0, -8.0, 6.0)


@pytest.fixture(scope="module")
def write_pair(tmp_path_factory, request):
    """Return a function that writes two series with these dates; their voxels, and so their registration, are the same."""
    from Testing.scene.conftest import phantom

    folder = tmp_path_factory.mktemp("series")
    scans = [phantom(LESION, GRID, "first"), phantom(tuple(np.add(LESION, 4.0)), GRID, "second", (4.0, 4.0, 4.0), 4)]

    def write(name: str, *dates: str) -> list:
        return [
            write_series(
                type(scan)(scan.array, scan.geometry, scan.name, "CT", {"date": date, "patient_id": "A1"}),
                folder / name / scan.name,
                visit=n,
            )
            for n, (scan, date) in enumerate(zip(scans, dates, strict=True))
        ]

    return write


def course(findings: FindingList) -> list[tuple]:
    """Return series, date, label and position of the one finding, in the order of the list."""
    (finding,) = findings
    return [
        (each.series_uid, each.date, each.label, tuple(np.round(finding.observation(each.id).centre, 1)))
        for each in findings.time_points
    ]


def in_report(page: str) -> list[tuple]:
    """Return what the report says of each scan: its line, and the position of the lesion."""
    lines = [re.search(rf"{label}: (\w+); ([^;]*);", page).groups() for label in ("Baseline", "Follow-up")]
    cells = re.findall(r"R (-?[\d.]+) A (-?[\d.]+) S (-?[\d.]+) mm", page)
    return [(name, date, tuple(map(float, at))) for (name, date), at in zip(lines, cells, strict=True)]


@pytest.mark.filterwarnings("ignore:Invalid value for VR DA")
@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_output_has_the_readers_order(pattern, write_pair, scene, monkeypatch, tmp_path):
    *dates, contradicts = PATTERNS[pattern]
    folders = write_pair(pattern, *dates)
    monkeypatch.setattr(
        sys, "argv", ["oncotrack", "follow", *map(str, folders), "--at", *map(str, LESION), "--method", "affine",
                      "--out", str(tmp_path / "cli")],
    )  # fmt: skip
    with pytest.raises(SystemExit, match="0"):
        main()
    expected = course(FindingList.open(tmp_path / "cli" / "findings.json"))
    assert [each[1] for each in expected] == dates and expected[0][3] == LESION

    session = FollowUpScene(scene)
    session.set_scans(*(add_volume(scene, load(folder)) for folder in folders))
    assert bool(session.questions.ask_order()) == contradicts
    if contradicts:
        session.questions.keep_order()
        assert session.questions.ask_order() == "", "it is asked once"
    session.choose_method("affine").run()
    session.follow(LESION).run()
    assert [volume.GetName() for volume in session.visits] == ["first", "second"]
    assert course(session.findings) == expected
    findings = FindingList.open(session.findings.save(tmp_path / "findings.json"))
    assert course(findings) == expected
    (row,) = table_rows.rows(session)
    assert [tuple(np.round(row[scan], 1)) for scan in ("baseline", "followup")] == [each[3] for each in expected]
    (table,) = csv.DictReader(io.StringIO(to_csv(findings)))
    assert [tuple(map(float, table[f"{each[2]}: position (R A S)"].split())) for each in expected] == [
        each[3] for each in expected
    ]
    assert [heading.split(":")[0] for heading in table if "position" in heading] == ["baseline", "follow-up"]
    assert [each.split()[0] for each in panel.visit_table(session)[0]] == ["baseline", "follow-up"]

    page = write_report(tmp_path / "report.html", ScanPair(*map(load, folders), session.registration), findings)
    shown = in_report(page.read_text())
    assert shown == in_report((tmp_path / "cli" / "report.html").read_text())
    assert [(name, at) for name, _date, at in shown] == [("first", expected[0][3]), ("second", expected[1][3])]

    for path in (save_scene(scene, tmp_path / "scene.mrb"), tmp_path / "cli" / "scene.mrb"):
        other = new_scene()
        open_scene(other.scene, path)
        again = FollowUpScene(other.scene)
        assert course(again.findings) == expected
        assert [metadata(each)["series_uid"] for each in (again.baseline, again.followup)] == [e[0] for e in expected]
        assert again.questions.ask_order() == "", "the answer is kept in the scene"
        assert [note.subject for note in again.findings.notes] == [Subject.ORDER] * contradicts
        again.close()
    session.close()


def dated(session, make_phantom, *dates: str):
    """Add scans named by their number, with these dates."""
    volumes = [add_volume(session.scene, make_phantom(name=f"CT {n}")) for n in range(1, len(dates) + 1)]
    for volume, date in zip(volumes, dates, strict=True):
        volume.SetAttribute("OncoTrack.date", date)
    return volumes


@pytest.fixture
def empty(scene, trackers):
    session = FollowUpScene(scene, trackers=trackers)
    yield session
    session.close()


def names(session) -> list[tuple[str, str]]:
    return [(volume.GetName(), each.label) for volume, each in zip(session.visits, session.time_points, strict=True)]


def test_dated_visits_keep_the_order_of_the_reader_until_ordered_by_date(empty, make_phantom):
    empty.set_visits(dated(empty, make_phantom, "20250301", "20240101", "20240901"))
    assert names(empty) == [("CT 1", "baseline"), ("CT 2", "follow-up"), ("CT 3", "follow-up 2")]
    assert "opened as baseline is dated later (2025-03-01)" in empty.questions.ask_order()
    empty.order_by_date()
    assert names(empty) == [("CT 2", "baseline"), ("CT 3", "follow-up"), ("CT 1", "follow-up 2")]
    assert (empty.baseline.GetName(), empty.followup.GetName()) == ("CT 2", "CT 3")
    assert empty.questions.ask_order() == ""
    headings = panel.visit_table(empty)[0]
    assert headings == ["baseline 2024-01-01", "follow-up 2024-09-01", "follow-up 2 2025-03-01"]


def test_swapped_scans_swap_labels_in_the_list_and_undo_does_not_swap_them_back(empty, make_phantom):
    first, second = dated(empty, make_phantom, "20260301", "20251102")
    empty.set_scans(first, second)
    empty.findings.add(empty.baseline_id, Observation(centre=(1.0, 2.0, 3.0)))
    with empty.findings.group("observe"):
        empty._choice.name_time_points()
    empty.order_by_date()
    order = [("CT 2", "baseline"), ("CT 1", "follow-up")]
    assert [(each.image, each.label) for each in empty.findings.time_points] == names(empty) == order
    empty.undo()
    empty.redo()
    assert [(each.image, each.label) for each in empty.findings.time_points] == order


def test_two_chosen_visits_follow_the_choice_of_baseline_and_follow_up(empty, make_phantom):
    first, second = dated(empty, make_phantom, "", "")
    empty.set_visits([first, second])
    empty.set_scans(second, second)  # as the panel does, one selector after the other
    empty.set_scans(second, first)
    assert names(empty) == [("CT 2", "baseline"), ("CT 1", "follow-up")]


def test_a_new_scan_takes_the_place_of_the_old_one_among_the_visits(empty, make_phantom):
    first, second, third, fourth = dated(empty, make_phantom, *[""] * 4)
    empty.set_visits([first, second, third])
    empty.set_scans(fourth, second)
    assert [volume.GetName() for volume in empty.visits] == ["CT 4", "CT 2", "CT 3"]
    empty.show_visit(2)
    assert [volume.GetName() for volume in empty.visits] == ["CT 4", "CT 2", "CT 3"], "showing others changes nothing"


def test_a_closed_scan_without_findings_is_no_visit_and_gives_its_name_back(empty, make_phantom):
    first, second, other = dated(empty, make_phantom, "", "", "")
    empty.set_scans(first, second)
    with empty.findings.group("add"):
        empty._choice.name_time_points()
        empty.findings.add(empty.baseline_id, Observation(centre=(1.0, 2.0, 3.0)))
    empty.remove_everywhere()
    empty.set_scans(other, second)
    assert names(empty) == [("CT 3", "baseline"), ("CT 2", "follow-up")]
    assert [each.label for each in empty.findings.time_points] == ["follow-up"]


# whose scans


def of_patients(session, make_phantom, *ids: str):
    volumes = [add_volume(session.scene, make_phantom(name=f"CT {n}")) for n in range(1, len(ids) + 1)]
    for volume, patient_id in zip(volumes, ids, strict=True):
        volume.SetAttribute("OncoTrack.patient_id", patient_id or None)
    return volumes


def test_different_patients_are_neither_registered_nor_followed_before_a_reason_is_given(
    empty, make_phantom, tmp_path, trackers
):
    empty.set_scans(*of_patients(empty, make_phantom, "A1", "B2"))
    for start in (empty.register, empty.begin_placing, lambda: empty.follow((0.0, 0.0, 0.0)),
                  lambda: empty.place((0.0, 0.0, 0.0))):  # fmt: skip
        with pytest.raises(InputError, match="A1 in CT 1 and B2 in CT 2"):
            start()
    assert "A1 in baseline and B2 in follow-up" in empty.questions.ask_patient()
    with pytest.raises(InputError, match="in words"):
        empty.questions.confirm_patient("12")
    empty.questions.confirm_patient("The archive gave a new number")
    assert empty.questions.ask_patient() == ""
    empty.begin_placing()
    other = new_scene()
    open_scene(other.scene, save_scene(empty.scene, tmp_path / "scene.mrb"))
    again = FollowUpScene(other.scene, trackers=trackers)
    assert again.questions.ask_patient() == "", "the answer is kept in the scene"
    assert again.findings.notes[0].answer == "The archive gave a new number"
    again.close()


def test_a_third_visit_of_another_patient_stops_the_chain(empty, make_phantom):
    empty.set_visits(of_patients(empty, make_phantom, "A1", "A1", "C3"))
    empty.findings.add(empty.baseline_id, Observation(centre=(12.0, -8.0, 6.0)))
    with pytest.raises(InputError, match="C3 in CT 3"):
        empty.follow_all_through()
    empty.questions.confirm_patient("Name changed by marriage")
    empty.questions.forget_others()
    assert len(empty.findings.notes) == 1
    empty.set_visits(empty.visits[:2])
    empty.questions.forget_others()
    assert empty.findings.notes == (), "an answer about scans that were closed is not kept"


def test_scans_that_slicer_read_are_compared_by_the_subject_hierarchy(empty, make_phantom):
    import slicer

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(empty.scene)
    volumes = of_patients(empty, make_phantom, "", "")
    for number, volume in enumerate(volumes):
        patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), f"patient {number}")
        study = hierarchy.CreateStudyItem(patient, f"study {number}")
        hierarchy.CreateItem(study, volume)
        hierarchy.SetItemAttribute(patient, "DICOM.PatientID", f"P{number}")
        hierarchy.SetItemAttribute(study, "DICOM.StudyDate", f"2026030{2 - number}")
    empty.set_scans(*volumes)
    assert "P0 in baseline and P1 in follow-up" in empty.questions.ask_patient()
    assert "2026-03-02" in empty.questions.ask_order()


@pytest.mark.parametrize("name", ["DOE^JANE", "Müller^Jörg", "山田^太郎", "a;b:c %20<&>\"'"])
def test_patient_data_are_kept_in_a_saved_scene(scene, make_phantom, tmp_path, name):
    about = {"patient_id": "A:1;2", "patient_name": name, "birth_date": "19600102", "sex": "F", "thickness": "5.0",
             "description": "Thorax, 3 mm; B30f", "notice": "Tilt: 12 degrees", "date": "20260301"}  # fmt: skip
    scan = make_phantom()
    add_volume(scene, type(scan)(scan.array, scan.geometry, "CT", "CT", about))
    other = new_scene()
    open_scene(other.scene, save_scene(scene, tmp_path / "scene.mrb"))
    node = other.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    assert {key: value for key, value in metadata(node).items() if value} == about

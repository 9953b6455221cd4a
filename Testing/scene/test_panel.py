"""The contents of a follow-up panel, and the commands that are possible."""

from __future__ import annotations

from dataclasses import replace

import pytest
import slicer

from oncotrack.errors import OncoTrackError
from oncotrack.findings.finding import Axis, Observation, Provenance, State
from oncotrack.scene.followup import panel
from oncotrack.scene.followup.follow_up import FollowUpScene
from oncotrack.scene.nodes.sample_data import sources
from oncotrack.scene.views.layout import are_rows_shown, register_rows, show_rows
from oncotrack.scene.views.view_rows import BASELINE_VIEWS, FOLLOWUP_VIEWS, LAYOUT_ID


@pytest.fixture
def followed(session, lesion):
    """Return a session with one lesion, placed and matched."""
    session.follow(lesion).run()
    return session


def cells(session, shown="all"):
    return [line.cells for line in panel.lines(session, shown)]


def test_a_match_is_shown_with_its_state_and_reverse_check(followed):
    check = "0.0 mm off (good below 5)"
    assert cells(followed) == [("L 1", "proposed", check, "")]
    assert panel.match_text(followed) == f"L 1: proposed. Reverse check: {check}."
    followed.accept()
    assert cells(followed) == [("L 1", "accepted", check, "")]


def test_axes_of_both_scans_are_shown_in_one_cell(followed):
    uid = followed.current.uid
    axis = Axis((0, 0, 0), (12.0, 0, 0))
    followed.findings.observe(uid, followed.followup_id, replace(followed.match, long_axis=axis))
    assert cells(followed)[0][3] == "- → 12.0 mm"


def test_a_lesion_that_was_not_found_is_listed_with_the_reason(followed):
    evidence = replace(followed.match.evidence, reason="The tissue there differs.")
    lost = replace(followed.match, state=State.NOT_FOUND, evidence=evidence, provenance=Provenance(method="selfsim"))
    followed.findings.observe(followed.current.uid, followed.followup_id, lost)
    assert cells(followed)[0][1] == "not found (program)"
    assert panel.match_text(followed) == "L 1 was not found by the program. The tissue there differs."
    assert panel.lines(followed)[0].tip == panel.match_text(followed)


def test_a_lesion_that_the_reader_marked_absent_is_listed_as_such(followed):
    followed.mark_absent()
    assert cells(followed)[0][1] == "absent (reader)"
    assert panel.match_text(followed) == "L 1: absent (reader)."


def test_the_filter_shows_its_states_only(followed):
    followed.findings.add(followed.baseline_id, Observation(centre=(5.0, 5.0, 5.0)))
    assert [c[1] for c in cells(followed)] == ["proposed", "not followed"]
    assert len(cells(followed, "to review")) == 2
    followed.accept()
    assert [c[0] for c in cells(followed, "to review")] == ["L 2"]
    assert [c[0] for c in cells(followed, "accepted")] == ["L 1"]
    assert cells(followed, "rejected") == cells(followed, "absent") == []
    assert {state for states in panel.SHOWN.values() for state in states} == set(State)


def test_alternatives_are_lettered_as_in_the_views(followed):
    node = followed.scene.GetFirstNodeByName("Alternatives")
    (text,) = panel.alternatives(followed)
    assert node.GetNthControlPointLabel(0) == text[0]
    assert text == "b: score 0.40, 16 mm away"


def test_nothing_is_possible_without_scans(scene, trackers):
    session = FollowUpScene(scene, trackers=trackers)
    assert panel.possible_methods(session) == frozenset()
    assert panel.match_text(session) == ""
    session.close()


def test_possible_methods_succeed_and_others_fail_or_do_nothing(session, lesion):
    assert panel.possible_methods(session) == {"begin_placing", "register"}
    session.follow(lesion).run()
    session.measure_all().run()
    session.undo()
    session.measure().run()
    later = {"measure", "measure_all", "remove_everywhere", "undo", "take_alternative", "rematch"}
    for name in sorted(panel.possible_methods(session) - later):
        outcome = getattr(session, name)()
        if outcome is not None:
            outcome.run()
    assert {"undo", "take_alternative", "remove_everywhere"} <= panel.possible_methods(session)
    session.take_alternative(0)
    session.remove_everywhere()
    able = panel.possible_methods(session)
    assert "undo" in able
    assert not {"accept", "reject", "mark_absent", "remove_everywhere", "next", "follow_again", "redo"} & able
    for name in ("accept", "remove_everywhere", "follow_again", "follow_missing"):
        with pytest.raises(OncoTrackError):
            getattr(session, name)()
    session.undo()
    assert "redo" in panel.possible_methods(session)


def test_volumes_that_oncotrack_created_are_not_offered_as_scans(followed):
    assert panel.own_volumes(followed) == []
    followed.overlays.is_map_shown = True
    assert panel.own_volumes(followed) == [followed.scene.GetFirstNodeByName("Anatomy map").GetID()]


def test_the_layout_is_registered_once_and_the_one_before_is_known(scene):
    node = slicer.vtkMRMLLayoutNode()
    scene.AddNode(node)
    node.AddLayoutDescription(500, "<layout></layout>")
    node.SetViewArrangement(500)
    assert not are_rows_shown(node)
    assert show_rows(node) == 500
    assert are_rows_shown(node)
    register_rows(node)
    assert node.GetViewArrangement() == LAYOUT_ID
    description = node.GetLayoutDescription(LAYOUT_ID)
    assert all(name in description for name in BASELINE_VIEWS + FOLLOWUP_VIEWS)
    root = node.GetLayoutRootElement()
    assert root is not None, "Slicer's own parser reads it"


def test_every_sample_is_offered_with_its_hashes_and_a_module_for_one_scan_gets_the_baseline(tmp_path):
    (pair,) = sources("Lesion Follow-Up", tmp_path / "icon.png")
    (alone,) = sources("LN-Tracker", tmp_path / "icon.png", scans=1)
    assert (alone["category"], alone["fileNames"]) == ("LN-Tracker", pair["fileNames"][:1])
    assert pair["sampleName"] == "lung-pair"
    assert len(pair["uris"]) == len(pair["fileNames"]) == len(pair["nodeNames"]) == len(pair["checksums"]) == 2
    assert all(value.startswith("SHA256:") and len(value) == 71 for value in pair["checksums"])


def test_only_the_rows_of_changed_findings_are_made_again(session, lesion, monkeypatch):
    from oncotrack.web import table_rows

    for n in range(4):
        session.findings.add(session.baseline_id, Observation(centre=(lesion[0] + n, *lesion[1:])))
    known: table_rows.Known = {}
    before = table_rows.rows(session, known)
    assert before == table_rows.rows(session)
    made = []
    make = table_rows._row
    monkeypatch.setattr(table_rows, "_row", lambda *about: (made.append(about[0].label), make(*about))[1])
    first = session.findings.findings[0]
    session.findings.rename(first.uid, "renamed")
    rows = table_rows.rows(session, known)
    assert made == ["renamed"] and rows[0]["label"] == "renamed"
    stamps = [row["stamp"] for row in rows]
    assert [stamp == row["stamp"] for stamp, row in zip(stamps, before, strict=True)] == [False, True, True, True]
    session.nodes.select(first.uid)
    rows = table_rows.rows(session, known)
    assert [row["stamp"] for row in rows] == stamps
    assert made == ["renamed"] and [row["is_current"] for row in rows] == [True, False, False, False]
    session.set_scans(session.followup, session.baseline)
    assert table_rows.rows(session, known) == table_rows.rows(session)

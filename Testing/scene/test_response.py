"""The response session: roles, judgements, criteria and new lesions over three visits, all undoable and kept with the findings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from three_visits import LESIONS, place, scan

from oncotrack.errors import InputError
from oncotrack.findings.assessment import Judgement
from oncotrack.findings.finding import Axis, Observation, Role, State
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.packed_mask import PackedMask
from oncotrack.scene.followup import measure_tasks
from oncotrack.scene.followup.follow_up import FollowUpScene
from oncotrack.scene.nodes.fiducials import label_with_state
from oncotrack.scene.nodes.table import to_csv
from oncotrack.scene.nodes.time_points import time_point_of, volumes_by_time_point
from oncotrack.scene.nodes.volumes import add_volume
from oncotrack.scene.response import panel
from oncotrack.scene.response.response import ResponseScene
from oncotrack.scene.views.application import new_scene
from oncotrack.web import table_rows

SIZES = ((40.0, 24.0, 32.0), (20.0, 18.0, 19.0))  # long axes of two lesions at three visits, mm


@pytest.fixture(scope="module")
def opened():
    """Open three visits."""
    application = new_scene()
    session = FollowUpScene(application.scene)
    session.set_visits([add_volume(application.scene, scan(visit)) for visit in range(3)])
    response = ResponseScene(session)
    yield response
    response.close()
    session.close()


@pytest.fixture
def response(opened) -> ResponseScene:
    """Return a session with two measured lesions at all visits, none of which has a role."""
    session = opened.session
    while session.findings.can_undo:
        session.undo()
    session.show_visit(1)
    with session.findings.group("measure"):
        session.name_time_points()
        for number, sizes in enumerate(SIZES):
            finding = None
            for visit, (time_point, mm) in enumerate(zip(session.time_points, sizes, strict=True)):
                seen = measured(place(number, visit), mm)
                if finding is None:
                    finding = session.findings.add(time_point.id, seen, site=("liver", "lung")[number])
                else:
                    session.findings.observe(finding.uid, time_point.id, seen)
    return opened


def measured(at, mm: float, state: State = State.ACCEPTED) -> Observation:
    at, along, across = np.asarray(at), np.array([mm / 2, 0, 0]), np.array([0, mm / 3, 0])
    long, short = (Axis(tuple(at - half), tuple(at + half)) for half in (along, across))
    return Observation(centre=tuple(at), state=state, radius_mm=mm / 2, long_axis=long, short_axis=short)


def uids(response: ResponseScene) -> list[str]:
    return [finding.uid for finding in response.session.findings]


def row(response: ResponseScene, head: str) -> tuple[str, ...]:
    return next(line.cells for line in panel.lines(response) if line.head.startswith(head))


def choose_targets(response: ResponseScene) -> None:
    for uid in uids(response):
        response.toggle_target(uid)


def test_without_a_role_a_sentence_says_what_to_do(response):
    assert response.result is None and panel.headline(response) == ""
    assert panel.explanation(response) == [response.problem] and "Choose the target lesions" in response.problem
    assert panel.copied(response) == ("", "")


def test_target_lesions_give_sums_changes_and_responses_with_their_rule(response):
    choose_targets(response)
    assert row(response, "L 1")[1:] == ("24.0", "32.0")
    assert row(response, "Sum of diameters") == ("60.0", "42.0", "51.0")
    assert row(response, "Change from baseline") == ("", "-30.0", "-15.0")
    assert row(response, "Change from nadir (%)")[2] == "+21.4"
    assert row(response, "Response (RECIST 1.1)") == ("", "PR", "PD")
    assert "PD (progressive disease) at follow-up 2; best overall response PR" in panel.headline(response)
    assert any("30.0 %" in sentence for sentence in panel.explanation(response))
    assert "follow-up 42.0" in panel.plot_words(response.result)


def test_the_plot_of_lesions_that_nobody_measured_is_a_sentence(response):
    choose_targets(response)
    findings = response.session.findings
    for uid in uids(response):
        for visit in response.visits:
            findings.observe(uid, visit.id, replace(findings[uid].at(visit.id), long_axis=None, short_axis=None))
    assert not response.result.is_measured
    assert panel.plot_words(response.result) == "No target lesion is measured yet, so no diameters are drawn."


def test_every_choice_and_judgement_is_one_step_of_undo_and_is_kept_with_the_findings(response):
    choose_targets(response)
    first, findings = uids(response)[0], response.session.findings
    response.judge(Judgement.NOT_EVALUABLE, first, 2)
    assert row(response, "Response")[2] == "NE" and row(response, "L 1")[2] == "not evaluable"
    response.session.undo()
    assert row(response, "Response")[2] == "PD"
    response.choose_criteria("irecist")
    assert row(response, "Response (iRECIST)")[2] == "iUPD"
    kept = FindingList.from_json(findings.to_json())
    assert (kept.criteria, kept[first].role) == ("irecist", Role.TARGET)
    response.session.undo()
    assert response.criteria == "recist11"
    response.toggle_target(first)
    assert findings[first].role is Role.NONE


def test_a_lesion_that_is_gone_counts_0_and_one_not_looked_for_can_be_judged(response):
    choose_targets(response)
    first, second = uids(response)
    response.mark_gone(first, 1)
    assert row(response, "Sum of diameters")[1] == "18.0"
    last = response.visits[2].id
    response.session.findings.observe(second, last, None)
    assert any("no measurement at follow-up 2" in text for text in panel.warnings(response))
    response.judge(Judgement.TOO_SMALL, second, 2)
    assert row(response, "Sum of diameters")[2] == "37.0"
    assert response.session.findings[second].at(last).is_decided


def test_a_new_lesion_is_added_by_a_click_at_a_later_visit_only(response):
    choose_targets(response)
    later, at = response.visits[2].id, (5.0, 5.0, 5.0)
    assert response.choose_at(later, at, Role.NEW, "bone") is None
    new = response.session.current
    assert (new.role, new.site, list(new.observations)) == (Role.NEW, "bone", [later])
    assert row(response, "New lesions") == ("", "no", new.label)
    response.set_equivocal(True, new.uid, 2)
    assert row(response, "New lesions")[2] == "no"
    with pytest.raises(InputError, match="not new"):
        response.add_new(at, 0)
    with pytest.raises(InputError, match="Click it in the baseline"):
        response.choose_at(response.visits[0].id, (40.0, 40.0, 40.0), Role.NEW)


def test_a_click_on_a_marked_lesion_gives_it_role_and_organ(response):
    assert response.choose_at(response.visits[1].id, place(0, 1) + 2, Role.TARGET, "kidney") is None
    chosen = response.session.findings.findings[0]
    assert (chosen.role, chosen.site) == (Role.TARGET, "kidney")


def test_proposals_and_changes_are_named_in_the_table(response):
    choose_targets(response)
    first, later = uids(response)[0], response.visits[1].id
    response.session.findings.observe(first, later, measured(place(0, 1), 30, State.PROPOSED))
    line = next(each for each in panel.lines(response) if each.uid == first)
    assert line.cells[1] == "30.0 (proposed)" and "long -10.0 mm (-25.0 %)" in line.tips[1]
    assert any("no reader accepted" in text for text in panel.warnings(response))


def test_merged_lesions_are_measured_once(response):
    choose_targets(response)
    first, second = uids(response)
    with pytest.raises(InputError, match="Choose the other lesion"):
        response.judge(Judgement.MERGED, second, 2)
    response.judge(Judgement.MERGED, second, 2, first)
    assert row(response, "Sum of diameters")[2] == "32.0"
    assert panel.others(response)[0]["value"] in (first, second)


# measured at every visit


@pytest.fixture
def followed(response):
    """Return a session in which the first lesion has a mask at baseline and a match without size."""
    session = response.session
    session.undo()
    session.show_visit(1)
    baseline = session.time_points[0].id
    geometry = scan(0).geometry
    k, j, i = np.indices(geometry.shape)
    inside = np.linalg.norm(geometry.to_ras(np.stack([i, j, k], -1)) - LESIONS[0], axis=-1) < 8
    from oncotrack.images.volume import Volume
    from oncotrack.masks.findings import observation

    seen = observation(Volume(inside.astype(np.uint8), geometry), state=State.ACCEPTED)
    with session.findings.group("measure"):
        session.name_time_points()
        session.findings.add(baseline, seen)
    assert isinstance(session.findings.findings[0].at(baseline).mask, PackedMask)
    return session


def test_a_match_of_a_lesion_with_a_mask_is_measured_at_every_visit_in_one_step(followed):
    followed.method.choose("affine").run()
    followed.follow_all_through().run()
    (finding,) = followed.findings.findings
    seen = [finding.at(visit.id) for visit in followed.time_points]
    assert [each.state for each in seen] == [State.ACCEPTED, State.PROPOSED, State.PROPOSED]
    assert all(each.mask is not None and each.is_measured for each in seen)
    followed.undo()
    assert list(followed.findings.findings[0].observations) == [followed.baseline_id]


def test_one_click_measures_a_lesion_without_a_mask_and_never_what_a_reader_decided(followed):
    followed.method.choose("affine").run()
    finding = followed.follow(LESIONS[1], 8.0).run()
    assert finding.at(followed.baseline_id).mask is None
    followed.measure().run()
    before, match = (followed.findings[finding.uid].at(each) for each in (followed.baseline_id, followed.followup_id))
    assert before.mask is not None and match.mask is not None
    assert (before.state, match.state) == (State.ACCEPTED, State.PROPOSED)
    followed.undo()
    assert followed.findings[finding.uid].at(followed.followup_id).mask is None
    followed.redo()
    followed.accept(finding.uid)
    with pytest.raises(InputError, match="decided by a reader"):
        followed.measure(finding.uid)
    assert finding.uid not in [each.uid for each in followed.unmeasured]


def test_the_size_of_an_accepted_match_is_a_proposal_until_it_is_accepted(followed, response):
    followed.method.choose("affine").run()
    finding = followed.follow(LESIONS[1], 8.0).run()
    followed.accept(finding.uid)
    followed.measure().run()

    def seen() -> list[Observation]:
        return [followed.findings[finding.uid].at(each) for each in (followed.baseline_id, followed.followup_id)]

    assert [each.state for each in seen()] == [State.ACCEPTED, State.ACCEPTED], "the match itself stays accepted"
    assert all(each.is_size_proposed for each in seen()) and finding.uid in [each.uid for each in followed.unmeasured]
    assert [table_rows.rows(followed)[1][name] for name in ("state", "state_text")] == [
        "accepted",
        "Size proposed",
    ]
    assert "size proposed" in label_with_state("L 2", seen()[1]) and "accepted, size proposed" in to_csv(
        followed.findings
    )
    response.toggle_target(finding.uid)
    assert any(f"{finding.label} at baseline is a proposal" in text for text in panel.warnings(response))
    written = FindingList.from_json(followed.findings.to_json())[finding.uid]
    assert written.at(followed.followup_id).is_size_proposed
    followed.accept(finding.uid)
    assert not any(each.is_size_proposed for each in seen()), "one decision for the sizes in both scans"
    assert finding.uid not in [each.uid for each in followed.unmeasured]
    followed.undo()
    assert all(each.is_size_proposed for each in seen())


def test_a_lesion_that_cannot_be_measured_does_not_stop_the_others(followed, monkeypatch):
    followed.method.choose("affine").run()
    followed.follow_missing().run()
    other = followed.follow(LESIONS[1], 8.0).run()
    measure, at, said = measure_tasks.measure_match, other.at(followed.followup_id).centre, []

    def refuse_one(pair, before, match):
        if match.centre == at:
            raise InputError("Nothing like the lesion is there.")
        return measure(pair, before, match)

    monkeypatch.setattr(measure_tasks, "measure_match", refuse_one)
    followed.refused.connect(said.append)
    (first,) = (each for each in followed.findings if each.uid != other.uid)
    followed.findings.observe(
        first.uid, followed.followup_id, replace(first.at(followed.followup_id), mask=None, long_axis=None)
    )
    followed.measure_all().run()
    seen = [followed.findings[uid].at(followed.followup_id) for uid in (first.uid, other.uid)]
    assert seen[0].mask is not None and seen[1].mask is None
    assert [str(each) for each in said] == [f"{other.label} was not measured. Nothing like the lesion is there."]
    with pytest.raises(InputError, match="was not measured"):
        followed.measure(other.uid).run()


def test_dragging_an_end_makes_the_mask_again_at_the_follow_up(followed):
    from oncotrack.scene.nodes.node_registry import NodeKey
    from oncotrack.scene.nodes.shapes import LONG_AXIS

    followed.method.choose("affine").run()
    followed.follow_missing().run()
    (finding,) = followed.findings.findings
    before = finding.at(followed.followup_id)
    node = followed.nodes.registry.find(NodeKey(LONG_AXIS, followed.followup_id, finding.uid))
    centre = np.asarray(before.long_axis.start) / 2 + np.asarray(before.long_axis.end) / 2
    end = centre + 1.4 * (np.asarray(before.long_axis.end) - centre)
    node.SetNthControlPointPositionWorld(1, *end)
    after = followed.findings[finding.uid].at(followed.followup_id)
    assert after.state is State.EDITED and after.mask is not None and after.mask != before.mask
    assert after.long_axis.length_mm == pytest.approx(1.2 * before.long_axis.length_mm, rel=0.05)
    followed.undo()
    assert followed.findings[finding.uid].at(followed.followup_id) == before


def test_fragments_of_a_lesion_are_added_up_and_a_relation_is_one_step_of_undo(response):
    choose_targets(response)
    first, second = uids(response)
    response.session.nodes.select(second)
    assert [words for words, _call in panel.relations(response)] == [
        "No part of another lesion", "Merged with L 1", "Fragment of L 1",
    ]  # fmt: skip
    name, *arguments = panel.relations(response)[2][1]
    getattr(response, name)(*arguments)
    assert response.session.findings[second].split_from == first == panel.judged(response).split_from
    assert not any("has no measurement" in text for text in panel.warnings(response))
    with pytest.raises(InputError, match="no fragment itself"):
        response.set_split(second, first)
    with pytest.raises(InputError, match="no fragment itself"):
        response.set_split(second, second)
    response.session.undo()
    assert response.session.findings[second].split_from == ""
    name, *arguments = panel.relations(response)[1][1]
    getattr(response, name)(*arguments)
    assert (panel.judged(response).merged_with, row(response, "L 2")[1]) == (first, "merged with another lesion")
    name, *arguments = panel.relations(response)[0][1]
    getattr(response, name)(*arguments)
    assert panel.judged(response).merged_with == ""


def test_the_window_in_which_a_reader_measures_is_kept_and_compared(response):
    choose_targets(response)
    session, uid = response.session, uids(response)[0]
    windows = ((400.0, 40.0), (400.0, 40.0), (1500.0, -600.0))
    for visit, (window, mm) in enumerate(zip(windows, (41.0, 25.0, 33.0), strict=True)):
        time_point = session.time_points[visit].id
        volumes_by_time_point(session.nodes.scene)[time_point].GetDisplayNode().SetWindowLevel(*window)
        session.findings.observe(uid, time_point, measured(place(0, visit), mm, State.EDITED))
        session.findings.set_state(uid, time_point, State.ACCEPTED, "R")  # is no measurement
    kept = FindingList.from_json(session.findings.to_json())[uid]
    assert tuple(seen.provenance.window for seen in kept.observations.values()) == windows
    (warning,) = (text for text in panel.warnings(response) if "window" in text)
    assert warning.startswith("L 1 was measured in the window W 1500 L -600 at follow-up 2 and in W 400 L 40")


def test_the_contrast_phase_comes_with_the_scan():
    scene = new_scene().scene
    about = {"description": "Abdomen portal venous", "contrast": "Iomeprol"}
    node = add_volume(scene, replace(scan(0), metadata=about))
    assert time_point_of(node, FindingList(), "baseline").contrast == "portal venous phase"

"""Methods of following in a scene: choosing one, finding all lesions, searching again, maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from oncotrack.errors import Cancelled, InputError, WeightsError
from oncotrack.findings.finding import Observation, State
from oncotrack.followup.methods import METHOD_INFO
from oncotrack.scene.files.storage import open_scene, save_scene
from oncotrack.scene.followup import panel
from oncotrack.scene.followup.follow_up import FollowUpScene
from oncotrack.scene.followup.overlays import PROBABILITY
from oncotrack.scene.views.application import new_scene

PLACES = ((12.0, -8.0, 6.0), (-15.0, 10.0, -12.0), (0.0, 0.0, 0.0))


@pytest.fixture
def aside(trackers):
    """Return the factory of another tracker: it matches all lesions together, 5 mm away from the first tracker's matches."""

    class Aside(trackers["affine"]):
        name = "aside"

        def match(self, pair, at, *arguments):
            match = super().match(pair, at, *arguments)
            return replace(match, position=tuple(np.add(match.position, (5.0, 0, 0))), method=self.name)

        def match_many(self, pair, lesions, progress):
            matches = []
            for number, (at, radius_mm) in enumerate(lesions):
                progress(number / len(lesions), f"Lesion {number + 1}")
                matches.append(self.match(pair, at, radius_mm))
            return matches

    return Aside


@pytest.fixture
def two(session, aside):
    """Return the session with a second method to choose, and three findings of a detector."""
    session.method.factories["aside"] = aside
    for at in PLACES:
        session.findings.add(session.baseline_id, Observation(centre=at))
    session.go_to(session.findings.findings[0].uid)
    return session


def matches(session):
    return [finding.at(session.followup_id) for finding in session.findings]


def test_every_method_has_a_description_in_one_line():
    for name, method in METHOD_INFO.items():
        assert method.title and method.about.endswith(".") and "\n" not in method.about + method.caution, name


def test_the_chosen_method_is_kept_in_the_scene_and_in_each_match(two, trackers, aside, tmp_path):
    two.choose_method("aside").run()
    two.follow(PLACES[0]).run()
    assert two.match.provenance.method == "aside"
    path = save_scene(two.scene, tmp_path / "patient.mrb")
    other = new_scene()
    open_scene(other.scene, path)
    again = FollowUpScene(other.scene, trackers={**trackers, "aside": aside})
    assert again.method.name == "aside"
    again.close()
    without = FollowUpScene(other.scene, trackers=trackers)
    assert without.method.name == "affine", "a method that is not installed is ignored"
    without.close()


def test_a_method_without_weights_is_refused_and_the_previous_one_restored(two):
    def weightless():
        raise WeightsError("There are no weights for dlt. Train them with: oncotrack train dlt.")

    two.method.factories["dlt"] = weightless
    changes = []
    two.changed.connect(lambda: changes.append(two.method.name))
    with pytest.raises(WeightsError, match="no weights"):
        two.choose_method("dlt").run()
    assert two.method.name == "affine"
    assert changes == ["dlt", "affine"], "a selector is updated both times"
    with pytest.raises(InputError, match="no method magic"):
        two.choose_method("magic")


def test_choosing_another_method_does_not_search_again(two):
    two.follow_missing().run()
    before = matches(two)
    two.choose_method("aside").run()
    assert matches(two) == before
    assert "rematch" in panel.possible_methods(two)


def test_searching_again_keeps_decisions(two):
    two.follow_missing().run()
    uids = [finding.uid for finding in two.findings]
    two.accept(uids[0])
    two.findings.move(uids[1], two.followup_id, (1.0, 2.0, 3.0))
    kept = matches(two)[:2]
    two.choose_method("aside").run()
    two.rematch().run()
    after = matches(two)
    assert after[:2] == kept
    assert after[2].provenance.method == "aside" and after[2].state is State.PROPOSED
    two.undo()
    assert matches(two)[2].provenance.method == "affine"
    for uid in uids:
        two.reject(uid)
    assert "rematch" not in panel.possible_methods(two)
    with pytest.raises(InputError, match="Every match has been accepted"):
        two.rematch()


def test_all_findings_are_matched_in_one_task_and_one_step_of_undo(two):
    two.choose_method("aside").run()
    messages = []
    two.follow_missing().run(lambda fraction, text: messages.append(text))
    assert all(match.provenance.method == "aside" for match in matches(two))
    assert {"Lesion 1", "Lesion 2", "Lesion 3"} <= set(messages)
    two.undo()
    assert matches(two) == [None] * 3


@pytest.mark.parametrize("method", ["affine", "aside"])
def test_a_cancelled_run_over_all_findings_keeps_none_of_them(two, method):
    two.choose_method(method).run()
    before = two.findings.to_json()

    def stop(_fraction, text):
        if text.startswith("Lesion 3"):
            raise Cancelled

    with pytest.raises(Cancelled):
        two.follow_missing().run(stop)
    assert two.findings.to_json() == before
    assert two.findings.undo_text == "add L 3"


def test_the_probability_map_is_shown_on_demand_and_only_for_its_finding(
    real_session, lesion, view, monkeypatch, tmp_path
):
    monkeypatch.setenv("ONCOTRACK_CACHE", str(tmp_path))
    followup_view = view("FollowUpAxial")
    real_session.follow(lesion, radius_mm=6.0).run()
    assert followup_view.composite.GetForegroundVolumeID() is None, "off by default"
    real_session.overlays.is_map_shown = True
    real_session.map_probability().run()
    node = real_session.nodes.registry.find(PROBABILITY)
    assert followup_view.composite.GetForegroundVolumeID() == node.GetID()
    assert real_session.overlays.is_probability_shown and not real_session.overlays.is_map_shown
    assert node.GetImageData().GetScalarRange()[1] > 0.5 and not node.GetSaveWithScene()
    assert node.GetID() in panel.own_volumes(real_session)
    real_session.findings.add(real_session.baseline_id, Observation(centre=(0.0, 0.0, 0.0)))
    real_session.next()
    assert not real_session.overlays.is_probability_shown
    assert followup_view.composite.GetForegroundVolumeID() is None
    assert real_session.nodes.registry.find(PROBABILITY) is None


def test_a_method_without_a_probability_map_is_refused(two):
    with pytest.raises(InputError, match="gives no probability map"):
        two.map_probability().run()
    assert "map_probability" not in panel.possible_methods(two)

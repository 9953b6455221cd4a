"""Every command in the table calls a method of its session, and is possible in some state of the session."""

from __future__ import annotations

from operator import attrgetter

from stand_in_detector import KnownNodes

from oncotrack.findings.finding import Axis, Kind, Observation
from oncotrack.scene.choices import KINDS
from oncotrack.scene.commands import FINDINGS, MASKS, NODES, PAGE, PETCT, commands_of
from oncotrack.scene.detection import panel as node_panel
from oncotrack.scene.detection.detection import DetectionScene
from oncotrack.scene.followup import panel as followup_panel
from oncotrack.scene.masks import panel as mask_panel
from oncotrack.scene.masks.recist import RecistScene
from oncotrack.scene.nodes.volumes import add_volume

ALWAYS = {"go_to", "rename", "describe", "reader", "choose_scan", "show_visit", "set_visits", "reverse_order"}
"""Methods that panels enable without asking `possible_methods`."""


def check(tool: str, session, seen_as_possible: set[str]) -> None:
    """Compare the table with the session's methods and with what was possible."""
    actions = {command.action for command in commands_of(tool).values()}
    assert actions - ALWAYS == seen_as_possible
    for action in actions - {"choose_scan", "reverse_order", "reader"}:
        assert callable(attrgetter(action)(session))


def undone(session, panel) -> set[str]:
    """Return what is possible after an undo."""
    session.undo()
    return set(panel.possible_methods(session))


def test_commands_of_the_follow_up(session, lesion, make_phantom):
    session.set_visits([session.baseline, session.followup, add_volume(session.scene, make_phantom(name="CT 2027"))])
    session.findings.add(session.baseline_id, Observation(centre=(0.0, 0.0, 0.0)))
    session.follow(lesion).run()
    possible = set(followup_panel.possible_methods(session)) | undone(session, followup_panel)
    check(FINDINGS, session, possible - {"register", "map_probability"})  # these belong to the tool VIEW


def test_commands_of_the_lymph_nodes(scene, make_phantom, add_slice_node):
    session = DetectionScene(
        scene, detectors={"known": lambda: KnownNodes([((0.0, 0.0, 5.0), 9.0), ((20.0, 0.0, 5.0), 6.0)])}
    )
    session.set_scan(add_volume(scene, make_phantom()))
    view = add_slice_node("Red")
    session.detect().run()
    possible = set()
    for place in (5.0, 7.0, 30.0):
        view.JumpSliceByCentering(0, 0, place)
        possible |= node_panel.possible_methods(session)
    possible |= undone(session, node_panel)
    check(NODES, session, possible - {command.action for command in commands_of(PETCT).values()})
    session.close()


def test_commands_of_the_masks(scene, make_phantom):
    session = RecistScene(scene)
    session.set_scan(add_volume(scene, make_phantom()))
    session.draw_axes()
    possible = set(mask_panel.possible_methods(session))
    session.cancel_drawing()
    axes = {
        "long_axis": Axis((3.0, -8.0, 5.0), (21.0, -8.0, 5.0)),
        "short_axis": Axis((12.0, -15.0, 5.0), (12.0, -1.0, 5.0)),
    }
    session.nodes.select(session.add(Observation(centre=(12.0, -8.0, 5.0), **axes)).uid)
    session.rebuild()
    possible |= mask_panel.possible_methods(session)
    possible |= undone(session, mask_panel)
    check(MASKS, session, possible - (set(commands_of(PAGE)) - set(commands_of(MASKS))))
    session.close()


def test_the_kinds_to_choose_from_are_those_of_the_findings():
    assert set(KINDS) == {kind.value for kind in Kind}

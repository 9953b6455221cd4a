"""Two diameters are drawn and dragged with real mouse events; the mask is updated, and each edit can be undone."""

from __future__ import annotations

import numpy as np
import pytest

from oncotrack.findings.finding import Box, Kind, Observation, Provenance, State
from oncotrack.scene.choices import MASK_COLUMNS
from oncotrack.scene.masks.panel import lines, measurement_text, possible_methods, summary
from oncotrack.scene.masks.recist import RecistScene
from oncotrack.scene.nodes.mask_segments import MASKS, from_segment
from oncotrack.scene.nodes.node_registry import NodeKey
from oncotrack.scene.nodes.volumes import add_volume

MIDDLE = np.array((12.0, -8.0, 5.0))
LONG, SHORT = ((-9.0, 0, 0), (9.0, 0, 0)), ((0, -7.0, 0), (0, 7.0, 0))


class Reading:
    """A session with one scan, and its messages."""

    def __init__(self, scene, volume, **options) -> None:
        self.session = RecistScene(scene, **options)
        self.messages: list[str] = []
        self.session.refused.connect(lambda error: self.messages.append(str(error)))
        self.session.warned.connect(self.messages.append)
        self.session.set_scan(add_volume(scene, volume))
        self.session.enter()

    @property
    def observation(self) -> Observation:
        return self.session.observation

    def segment(self) -> set[tuple[float, ...]]:
        """Return the positions (RAS mm) of the voxels in the current finding's segment."""
        node = self.session.nodes.registry.find(NodeKey(MASKS, self.session.time_point))
        mask = from_segment(node, self.session.current.uid)
        return set(map(tuple, mask.geometry.to_ras(np.argwhere(mask.array)[:, ::-1]).round(2).tolist()))

    def draw(self, view, *axes, at=MIDDLE) -> None:
        self.session.draw_axes()
        self.click(view, *axes, at=at)

    def click(self, view, *axes, at=MIDDLE) -> None:
        for end in (end for axis in axes for end in axis):
            view.click(at + end)

    def check_one_undoable_edit(self, edit):
        before = self.session.findings.findings
        outcome = edit()
        after = self.session.findings.findings
        assert after != before
        self.session.undo()
        assert self.session.findings.findings == before
        self.session.redo()
        assert self.session.findings.findings == after
        return outcome


@pytest.fixture
def axial(view):
    """Return an axial view of the lesion's centre."""
    axial = view("Green")
    axial.node.JumpSliceByCentering(*MIDDLE)
    return axial


@pytest.fixture
def reading(scene, make_phantom, axial):
    reading = Reading(scene, make_phantom())
    axial.composite.SetBackgroundVolumeID(reading.session.scan.GetID())
    axial.node.JumpSliceByCentering(*MIDDLE)
    yield reading
    reading.session.close()


@pytest.fixture
def drawn(reading, axial):
    """Return a session with one lesion whose axes were drawn with the mouse."""
    reading.draw(axial, LONG, SHORT)
    return reading


@pytest.mark.parametrize("order", [(LONG, SHORT), (SHORT, LONG)], ids=["long first", "short first"])
def test_two_lines_drawn_in_either_order_become_a_finding_with_its_mask(reading, axial, order):
    before = axial.picture()
    reading.session.draw_axes()
    assert reading.session.hint.startswith("Click both ends of one")
    reading.click(axial, order[0])
    assert "other diameter" in reading.session.hint
    assert not len(reading.session.findings), "one line does not make a finding"
    reading.click(axial, order[1])
    assert reading.session.hint == ""
    seen = reading.observation
    assert seen.long_axis.length_mm == pytest.approx(18, abs=0.8)
    assert seen.short_axis.length_mm == pytest.approx(14, abs=0.8)
    assert (seen.state, seen.provenance.method) == (State.PROPOSED, "RECIST pseudo-mask")
    assert np.allclose(seen.centre, MIDDLE, atol=2)
    inside = seen.mask.volume()
    assert inside.array.sum() * np.prod(inside.spacing) == pytest.approx(seen.volume_mm3)
    assert inside.geometry.size[2] == 1
    assert inside.geometry.origin[2] == pytest.approx(5.0)
    assert len(reading.segment()) == inside.array.sum()
    changed = (axial.picture() != before).any(-1)
    assert changed.sum() > 300
    assert not reading.messages


def test_the_other_views_go_to_what_was_drawn(reading, axial, view):
    sagittal = view("Yellow", "Sagittal")
    sagittal.composite.SetBackgroundVolumeID(reading.session.scan.GetID())
    sagittal.node.JumpSliceByCentering(-30, 0, 0)
    reading.draw(axial, LONG, SHORT)
    assert sagittal.centre()[0] == pytest.approx(MIDDLE[0], abs=1.0)
    assert axial.centre()[2] == pytest.approx(MIDDLE[2], abs=2.0)


def test_drawing_is_one_step_of_undo_and_leaves_no_lines(reading, axial):
    reading.check_one_undoable_edit(lambda: reading.draw(axial, LONG, SHORT))
    assert [line.cells for line in lines(reading.session)] == [
        ("L 1", "proposed", *lines(reading.session)[0].cells[2:5], "in one slice")
    ]
    assert len(lines(reading.session)[0].cells) == len(MASK_COLUMNS)
    assert summary(reading.session) == "1 finding, 1 mask."
    reading.session.undo()
    assert reading.session.nodes.registry.find(NodeKey(MASKS, reading.session.time_point)).GetSegmentation(
    ).GetNumberOfSegments() == 0  # fmt: skip
    drafts = [n for n in (reading.session.scene.GetFirstNodeByName(x) for x in ("One axis", "Other axis")) if n]
    assert all(node.GetNumberOfControlPoints() == 0 and not node.GetSaveWithScene() for node in drafts)


def test_the_mask_follows_an_end_point_while_it_is_dragged_and_becomes_one_command(drawn, axial):
    before, was = drawn.segment(), drawn.session.findings.findings
    end, held = MIDDLE + LONG[1], []

    def while_held():
        held.append((drawn.segment(), drawn.session.findings.findings))

    axial.drag(end, np.add(end, (-5, 0, 0)), while_held)
    (shown, listed), after = held[0], drawn.segment()
    assert listed == was, "the list does not change during the drag"
    assert shown != before and shown == after
    assert (
        drawn.observation.long_axis.length_mm == pytest.approx(14, abs=1.2)
        or drawn.observation.short_axis.length_mm < 14
    )
    assert drawn.observation.state is State.EDITED
    drawn.session.undo()
    assert drawn.session.findings.findings == was
    assert drawn.segment() == before


def test_queued_moves_are_drawn_once(scene, make_phantom, view, monkeypatch):
    from oncotrack.scene.masks import mask_editing, recist

    axial = view("Green")
    waiting = []
    reading = Reading(scene, make_phantom(), later=waiting.append)
    axial.node.JumpSliceByCentering(*MIDDLE)
    reading.draw(axial, LONG, SHORT)
    made = []
    original = recist.pseudo_mask
    for module in (recist, mask_editing):
        monkeypatch.setattr(module, "pseudo_mask", lambda *a, **k: made.append(1) or original(*a, **k))
    end = MIDDLE + LONG[1]
    axial.drag(end, np.add(end, (-4, 0, 0)), lambda: [waiting.pop()() for _ in range(len(waiting))])
    assert len(made) == 2, "one for four moves, one on release"
    reading.session.close()


@pytest.mark.parametrize(
    ("one", "other", "sentence"),
    [
        (LONG, ((-9, 2, 0), (9, 3, 0)), "nearly parallel"),
        (LONG, ((15, -7, 0), (15, 7, 0)), "do not cross"),
        (LONG, ((0, -7, 0), (0, 60, 0)), "outside the image"),
    ],
    ids=["parallel", "apart", "outside"],
)
def test_lines_that_do_not_fit_are_refused_and_can_be_dragged(reading, axial, one, other, sentence):
    axial.node.SetFieldOfView(200, 200, 1)
    reading.draw(axial, one, other)
    assert len(reading.messages) == 1 and sentence in reading.messages[0]
    assert not len(reading.session.findings)
    assert "Drag the ends" in reading.session.hint
    assert "cancel_drawing" in possible_methods(reading.session)
    reading.session.cancel_drawing()
    assert reading.session.hint == ""


def test_a_line_that_was_dragged_until_it_fits_is_accepted(reading, axial):
    reading.draw(axial, LONG, ((15, -7, 0), (15, 7, 0)))
    assert not len(reading.session.findings)
    axial.drag(np.add(MIDDLE, (15, -7, 0)), np.add(MIDDLE, (0, -7, 0)))
    axial.drag(np.add(MIDDLE, (15, 7, 0)), np.add(MIDDLE, (0, 7, 0)))
    assert len(reading.session.findings) == 1
    assert reading.session.hint == ""


def test_axes_of_two_slices_and_of_no_length_are_refused(reading, axial):
    reading.session.draw_axes()
    reading.click(axial, LONG)
    axial.node.JumpSliceByCentering(*np.add(MIDDLE, (0, 0, 8)))
    reading.click(axial, SHORT, at=np.add(MIDDLE, (0, 0, 8)))
    assert "two slices" in reading.messages[-1]
    axial.node.JumpSliceByCentering(*MIDDLE)
    reading.draw(axial, LONG, ((0, 0, 0), (0, 0.1, 0)))
    assert "has no length" in reading.messages[-1]


def test_an_impossible_drag_is_undone(drawn, axial):
    was = drawn.session.findings.findings
    end = MIDDLE + SHORT[1]
    axial.drag(end, np.add(end, (0, -18, 0)))
    assert drawn.session.findings.findings == was
    assert "do not cross" in drawn.messages[-1]
    line = drawn.session.scene.GetFirstNodeByName("L 1 short axis")
    assert line.GetLineLengthWorld() == pytest.approx(drawn.observation.short_axis.length_mm)


def test_oblique_axes_cause_a_warning_and_are_made_perpendicular_on_request(reading, axial):
    slanted = ((-4.0, -7.0, 0), (4.0, 7.0, 0))
    reading.draw(axial, LONG, slanted)
    assert "degrees from the right angle" in reading.messages[-1]
    assert "degrees off" in measurement_text(reading.session)
    length = reading.observation.short_axis.length_mm
    reading.check_one_undoable_edit(reading.session.make_perpendicular)
    along, across = (
        np.subtract(a.end, a.start) for a in (reading.observation.long_axis, reading.observation.short_axis)
    )
    assert abs(along @ across) < 1e-6
    assert reading.observation.short_axis.length_mm == pytest.approx(length)
    reading.session.is_square = True
    axial.drag(MIDDLE + LONG[1], np.add(MIDDLE + LONG[1], (-1, 4, 0)))
    along, across = (
        np.subtract(a.end, a.start) for a in (reading.observation.long_axis, reading.observation.short_axis)
    )
    assert abs(along @ across) < 1e-6


def test_axes_can_be_drawn_on_a_coronal_slice(reading, view):
    coronal = view("Blue", "Coronal")
    coronal.composite.SetBackgroundVolumeID(reading.session.scan.GetID())
    coronal.node.JumpSliceByCentering(*MIDDLE)
    reading.session.kind = Kind.LYMPH_NODE
    reading.draw(coronal, LONG, ((0, 0, -7), (0, 0, 7)))
    assert reading.session.current.label == "LN 1"
    assert reading.observation.mask.geometry.size[1] == 1, "one row of the image: its coronal slice"
    assert not reading.messages


def test_axes_and_mask_of_a_finding_of_another_tool_are_suggested(reading, axial):
    session, box = reading.session, Box(tuple(MIDDLE - (8, 7, 6)), tuple(np.add(MIDDLE, (8, 7, 6))))
    seen = Observation(centre=box.centre, state=State.ACCEPTED, box=box, score=0.7, provenance=Provenance("lntracker"))
    finding = session.findings.add(session.time_point, seen, kind=Kind.LYMPH_NODE)
    assert session.at(np.add(MIDDLE, (1, 1, 0))).uid == finding.uid
    reading.check_one_undoable_edit(lambda: session.suggest(finding.uid))
    new = session.findings[finding.uid].at(session.time_point)
    assert (new.state, new.score) == (State.ACCEPTED, 0.7), "the decision is kept"
    assert new.provenance.method == "lntracker, RECIST pseudo-mask"
    assert 8 < new.short_axis.length_mm <= new.long_axis.length_mm < 24
    assert new.mask is not None


def test_a_click_on_the_point_of_a_finding_suggests_its_mask(reading, axial):
    session = reading.session
    finding = session.findings.add(session.time_point, Observation(centre=tuple(MIDDLE), radius_mm=8.0))
    axial.picture()
    axial.click(MIDDLE)
    assert session.findings[finding.uid].at(session.time_point).mask is not None
    session.undo()
    session.leave()
    axial.picture()
    axial.click(MIDDLE)
    assert session.findings[finding.uid].at(session.time_point).mask is None, "another tool is in use"


def test_accept_reject_and_remove(drawn, axial):
    session = drawn.session
    drawn.draw(axial, LONG, SHORT, at=np.add(MIDDLE, (-25, 5, 0)))
    assert [line.cells[0] for line in lines(session)] == ["L 1", "L 2"]
    session.next()
    assert session.current.label == "L 1"
    session.accept()
    session.next()
    session.reject()
    session.next()
    node = session.nodes.registry.find(NodeKey(MASKS, session.time_point))
    shown = [node.GetDisplayNode().GetSegmentVisibility(finding.uid) for finding in session.shown]
    assert shown == [True, False], "a rejected mask is hidden"
    session.remove_from_scan()
    assert [line.cells[1] for line in lines(session)] == ["rejected"]
    session.undo()
    assert len(lines(session)) == 2


def test_diameters_drawn_on_a_finding_without_any_are_its_own(reading, axial):
    session = reading.session
    followed = session.add(Observation(centre=tuple(MIDDLE), state=State.ACCEPTED), label="L 1")
    session.nodes.select(followed.uid)
    reading.check_one_undoable_edit(lambda: reading.draw(axial, LONG, SHORT))
    assert [finding.label for finding in session.findings] == ["L 1"]
    assert reading.observation.is_measured and reading.observation.state is State.EDITED
    reading.draw(axial, LONG, SHORT)
    assert len(session.findings) == 2, "a finding with diameters keeps its own"


def test_diameters_drawn_elsewhere_are_a_new_finding(reading, axial):
    session = reading.session
    followed = session.add(Observation(centre=tuple(np.add(MIDDLE, (0, 0, 40.0))), state=State.ACCEPTED), label="L 1")
    session.nodes.select(followed.uid)
    reading.draw(axial, LONG, SHORT)
    assert len(session.findings) == 2

"""Labels of findings stand beside the lesion that they name, apart from one another, in every plane and at every zoom."""

from __future__ import annotations

import time
import zipfile
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk

from oncotrack.findings.finding import Axis, Box, Observation, State
from oncotrack.findings.packed_mask import PackedMask
from oncotrack.scene.files.storage import save_scene
from oncotrack.scene.nodes.volumes import to_volume
from oncotrack.scene.views import finding_labels, label_contents
from oncotrack.scene.views.cover import Cover
from oncotrack.scene.views.finding_labels import FindingLabels
from oncotrack.scene.views.label_layout import Named, places

HALF = 7.0  # of the boxes around the two lesions, which lie 20 mm apart, mm
AWAY = np.array((20.0, 4.0, 0.0))


def overlap(one, other) -> bool:
    return min(one[2], other[2]) > max(one[0], other[0]) and min(one[3], other[3]) > max(one[1], other[1])


@pytest.fixture
def labelled(session, lesion, view):
    """Return a session with two lesions near one another, and a function that opens a view with labels."""
    for index in range(2):
        at = np.asarray(lesion) + index * AWAY
        box = Box(tuple(at - HALF), tuple(at + HALF))
        across = np.array((HALF, 0, 0))
        axis = Axis(tuple(at - across), tuple(at + across))
        session.findings.add(session.baseline_id, Observation(centre=tuple(at), box=box, long_axis=axis))
    labels = FindingLabels(session.nodes)

    def open_view(orientation: str, size: int):
        opened = view(f"Baseline{orientation}", orientation, size=size)
        session.overlays.show_scans()
        opened.node.JumpSliceByCentering(*lesion)
        labels.attach(opened.node, opened.renderer)
        return opened

    yield session, labels, open_view
    labels.close()


def lesion_pixels(view, at, half=HALF):
    """Return the rectangle in a view that a box around a position covers."""
    to_xy = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(view.node.GetXYToRAS(), to_xy)
    corners = np.array([to_xy.MultiplyPoint((*(np.asarray(at) + sign * half), 1.0))[:2] for sign in (-1, 1)])
    return (*corners.min(0), *corners.max(0))


@pytest.mark.parametrize("orientation", ["Axial", "Coronal", "Sagittal"])
@pytest.mark.parametrize(("size", "field_mm"), [(450, 200.0), (450, 70.0), (220, 120.0)])
def test_labels_cover_neither_lesions_nor_one_another(labelled, lesion, orientation, size, field_mm):
    _session, labels, open_view = labelled
    view = open_view(orientation, size)
    view.node.SetFieldOfView(field_mm, field_mm, 1)
    view.picture()
    shown = labels.shown(view.node.GetLayoutName())
    both = ("L 1",) if orientation == "Sagittal" else ("L 1", "L 2")  # which lie in different sagittal slices
    assert sorted(name[:3] for name in shown) == list(both)
    assert not any(overlap(one, other) for one, other in combinations(shown.values(), 2))
    for rectangle in shown.values():
        assert rectangle[0] >= 0 and rectangle[2] <= size and rectangle[1] >= 0 and rectangle[3] <= size
        for index in range(2):
            assert not overlap(rectangle, lesion_pixels(view, np.asarray(lesion) + index * AWAY))


def test_labels_are_drawn_on_the_slices_of_the_lesion_alone_and_slicer_draws_none(labelled, lesion):
    session, labels, open_view = labelled
    view = open_view("Axial", 300)
    view.picture()
    assert set(labels.shown("BaselineAxial")) == {"L 1 proposed 14.0 mm", "L 2 proposed 14.0 mm"}
    displays = session.scene.GetNodesByClass("vtkMRMLMarkupsFiducialDisplayNode")
    displays.UnRegister(None)
    all_displays = [displays.GetItemAsObject(n) for n in range(displays.GetNumberOfItems())]
    assert all_displays and not any(each.GetPointLabelsVisibility() for each in all_displays)
    view.node.JumpSliceByOffsetting(0, 0, lesion[2] + 3 * HALF)
    view.picture()
    assert labels.shown("BaselineAxial") == {}
    session.findings.observe(
        session.current.uid, session.baseline_id, replace(session.current.at(session.baseline_id), state=State.EDITED)
    )
    view.node.JumpSliceByCentering(*lesion)
    view.picture()
    assert f"{session.current.label} edited 14.0 mm" in labels.shown("BaselineAxial")


def test_a_finding_with_mask_and_diameters_has_one_label_which_stands_at_its_long_axis(labelled, lesion):
    session, labels, open_view = labelled
    view = open_view("Axial", 300)
    first = session.findings.findings[0]
    ball = to_volume(session.baseline)
    indices = np.stack(np.meshgrid(*map(np.arange, ball.geometry.size), indexing="ij"), -1).transpose(2, 1, 0, 3)
    inside = np.linalg.norm(ball.geometry.to_ras(indices) - np.asarray(lesion), axis=-1) < HALF
    mask = PackedMask.of(replace(ball, array=inside.astype(np.uint8)))
    seen = replace(first.at(session.baseline_id), mask=mask)
    session.findings.observe(first.uid, session.baseline_id, seen)
    view.picture()
    contents = label_contents.LabelContents(session.nodes)
    labels.close()
    contents.hide_own()
    texts = [each.text for each in contents.of(view.node.GetID()).contents if each.uid == first.uid]
    contents.close()
    assert texts == ["L 1 proposed 14.0 mm"]


@pytest.fixture
def counted(monkeypatch):
    """Return a function that returns how often a function of a module was called since it was asked last."""
    calls: dict[str, int] = {}

    def watch(module, name):
        function = getattr(module, name)

        def call(*arguments, **named):
            calls[name] += 1
            return function(*arguments, **named)

        calls[name] = 0
        monkeypatch.setattr(module, name, call)

    for module, name in ((label_contents, "_around"), (finding_labels, "places"), (finding_labels, "_text_actor")):
        watch(module, name)

    def since():
        found = dict(calls)
        calls.update(dict.fromkeys(calls, 0))
        return found

    return since


def test_an_edit_of_one_finding_reads_and_writes_its_label_alone(labelled, lesion, counted):
    session, labels, open_view = labelled
    view = open_view("Axial", 400)
    others = [
        session.findings.add(session.baseline_id, Observation(centre=tuple(np.add(lesion, (0.0, 40.0, 0.5 * n)))))
        for n in range(5)
    ]
    view.picture()
    counted()
    view.picture()
    view.node.SetFieldOfView(220, 220, 1)  # other pixels, the same contents
    view.picture()
    assert counted() == {"_around": 0, "places": 1, "_text_actor": 0}
    drawn = {text: actors[0] for text, actors in labels._views["BaselineAxial"].texts.items()}
    changed = session.findings[others[2].uid]
    name, seen = changed.label, changed.at(session.baseline_id)
    session.findings.observe(changed.uid, session.baseline_id, replace(seen, state=State.EDITED))
    view.picture()
    assert counted()["_around"] == 1
    after = {text: actors[0] for text, actors in labels._views["BaselineAxial"].texts.items()}
    kept = drawn.keys() & after.keys() - {""}
    assert len(kept) > 2 and all(after[text] is drawn[text] for text in kept)
    assert not [text for text in labels.shown("BaselineAxial") if text.startswith(f"{name} proposed")]


def test_labels_follow_what_happens_to_points_without_an_edit_of_the_list(labelled, lesion):
    session, labels, open_view = labelled
    view = open_view("Axial", 300)
    view.picture()
    before = set(labels.shown("BaselineAxial"))
    session.nodes.mark_pending(session.baseline_id, tuple(np.asarray(lesion) - AWAY))
    view.picture()
    assert set(labels.shown("BaselineAxial")) == before | {"..."}
    session.nodes.discard_pending(session.baseline_id, tuple(np.asarray(lesion) - AWAY))
    node = session.nodes.fiducials(session.baseline_id)
    node.SetNthControlPointVisibility(0, False)
    view.picture()
    assert len(labels.shown("BaselineAxial")) == 1
    node.GetNthDisplayNode(0).SetVisibility(False)
    view.picture()
    assert labels.shown("BaselineAxial") == {}


def test_a_saved_scene_has_slicers_own_labels(labelled, tmp_path: Path):
    session, _labels, open_view = labelled
    open_view("Axial", 200)
    save_scene(session.scene, tmp_path / "case.mrb")
    node = session.nodes.fiducials(session.baseline_id)
    assert not node.GetNthDisplayNode(0).GetPointLabelsVisibility()
    with zipfile.ZipFile(tmp_path / "case.mrb") as packed:
        texts = {
            name: packed.read(name).decode() for name in packed.namelist() if name.endswith((".mrml", ".mrk.json"))
        }
    markups = [text for name, text in texts.items() if name.endswith(".mrk.json") and '"Fiducial"' in text]
    assert markups and all('"pointLabelsVisibility": true' in text for text in markups)
    assert not any("labelledBeside" in text for text in texts.values())


def test_closing_returns_the_labels_to_slicer(session, lesion, view):
    session.findings.add(session.baseline_id, Observation(centre=lesion))
    axial = view("BaselineAxial", size=200)
    labels = FindingLabels(session.nodes)
    labels.attach(axial.node, axial.renderer)
    display = session.nodes.fiducials(session.baseline_id).GetNthDisplayNode(0)
    assert isinstance(display, slicer.vtkMRMLMarkupsDisplayNode) and not display.GetPointLabelsVisibility()
    labels.close()
    assert display.GetPointLabelsVisibility()


def test_a_label_without_a_free_place_is_shortened_then_left_out_unless_it_must_show():
    whole = (0.0, 0.0, 100.0, 100.0)
    crowded = [Named(whole, [(60.0, 12.0), (20.0, 12.0)], must_show=True), Named(whole, [(60.0, 12.0)])]
    first, second = places(crowded, (100, 100))
    assert first is not None and second is None
    beside = (0.0, 30.0, 70.0, 60.0)
    (place,) = places([Named(beside, [(90.0, 25.0), (25.0, 12.0)])], (100, 100))
    assert place is not None and not overlap(place.rectangle, beside)


def test_the_cover_of_rectangles_is_that_of_each_of_them_together():
    random = np.random.default_rng(2)
    low = random.integers(0, 40, (30, 2))
    rectangles = np.concatenate([low, low + random.integers(1, 12, (30, 2))], 1).astype(float)
    points = np.concatenate([random.uniform(-5, 60, (300, 2)), random.integers(-2, 55, (300, 2))])  # on edges, too
    inside = (points[:, None] >= rectangles[:, :2]) & (points[:, None] <= rectangles[:, 2:])
    for some in (rectangles, rectangles[:1], rectangles[:0]):
        cover = Cover(some)
        np.testing.assert_array_equal(cover.count(points), inside[:, : len(some)].all(-1).sum(1))
        boxes = np.concatenate([points, points + random.uniform(0, 20, (600, 2))], 1)
        common = np.minimum(boxes[:, None, 2:], some[:, 2:]) - np.maximum(boxes[:, None, :2], some[:, :2])
        np.testing.assert_allclose(cover.area(boxes), np.clip(common, 0, None).prod(-1).sum(1), atol=1e-6)


def test_hundreds_of_labels_are_laid_out_quickly():
    """An edit waits for the layout of every view."""
    random = np.random.default_rng(0)
    middles = random.uniform((20, 20), (380, 280), (600, 2))
    named = [Named((x - 4, y - 4, x + 4, y + 4), [(60.0, 12.0), (22.0, 12.0)]) for x, y in middles]
    started = time.process_time()
    found = [place for place in places(named, (400, 300)) if place]
    assert time.process_time() - started < 5
    boxes = np.array([place.rectangle for place in found])
    common = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    areas = np.clip(common, 0, None).prod(-1)
    assert len(found) > 20
    assert areas[~np.eye(len(boxes), dtype=bool)].max() <= 0.02 * 60 * 12  # less than anybody sees

"""The text on the images describes the scan and the slice that a view really shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from oncotrack.findings.finding import Provenance, State
from oncotrack.findings.finding_list import FindingList
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.report.follow_up import write_report
from oncotrack.report.page import mark_finding
from oncotrack.scene.followup import panel
from oncotrack.scene.nodes.table import to_csv
from oncotrack.scene.nodes.volumes import add_volume
from oncotrack.scene.views.corner_text import CornerText
from oncotrack.scene.views.scan_text import ScanText, SliceText, shown_volume, window_text

ABOUT = {
    "patient_id": "A1", "patient_name": "DOE^JANE", "date": "20260301", "description": "Thorax venous", "thickness": "5.0",
    "resampled": "Resampled to 2 mm.", "notice": "Tilt of 12 degrees removed.",
}  # fmt: skip
SIZE, SPACING = (20, 24, 30), (1.5, 2.0, 2.5)


def volume(flip=(1, 1, 1), turned: float = 0.0, **about) -> Volume:
    """Make a volume whose voxel axes are flipped, or turned about R."""
    c, s = np.cos(turned), np.sin(turned)
    direction = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) * flip
    origin = -direction @ (np.multiply(SIZE, SPACING) - SPACING) / 2
    geometry = Geometry.from_values(SIZE, SPACING, origin, direction)
    return Volume(np.zeros(SIZE[::-1], np.int16), geometry, "scan.nii.gz", "CT", about)


@pytest.fixture
def shown(scene, view):
    """Return a function that shows a volume in an axial view, or one of another orientation, at a position."""

    def show(scan: Volume, orientation: str = "Axial", at=(0.0, 0.0, 0.0)):
        opened = view(f"Baseline{orientation}", orientation)
        node = add_volume(scene, scan)
        opened.composite.SetBackgroundVolumeID(node.GetID())
        opened.node.JumpSliceByCentering(*at)
        return opened, node

    return show


def test_what_is_known_of_a_scan_is_given_and_what_is_not_is_left_out(scene):
    known = ScanText.of(add_volume(scene, volume(**ABOUT)), "follow-up 2")
    assert known == ScanText(
        "Follow-up 2", "2026-03-01", "DOE, JANE", "ID A1", "Thorax venous", "",
        ("Resampled to 2 mm.", "Tilt of 12 degrees removed."),
    )  # fmt: skip
    unknown = ScanText.of(add_volume(scene, volume()), "baseline")
    assert unknown == ScanText("Baseline", "no date", "no patient data", "", "", "scan.nii.gz", ())
    other = ScanText.of(add_volume(scene, volume(patient_id="A1"), "A third volume"))
    assert (other.visit, other.patient, other.patient_id, other.file) == ("A third volume", "unnamed", "ID A1", "")


@pytest.mark.parametrize("flip", [(1, 1, 1), (-1, -1, 1), (1, -1, -1)])
@pytest.mark.parametrize(
    ("orientation", "axis", "letters"), [("Axial", 2, "SI"), ("Coronal", 1, "AP"), ("Sagittal", 0, "RL")]
)
def test_slices_are_counted_from_head_front_and_right_in_any_storage_order(shown, flip, orientation, axis, letters):
    last = (SIZE[axis] - 1) * SPACING[axis] / 2
    opened, node = shown(volume(flip), orientation)
    for away, number, letter in ((last, 1, letters[0]), (last - SPACING[axis], 2, letters[0]),
                                 (-last, SIZE[axis], letters[1])):  # fmt: skip
        opened.node.JumpSliceByCentering(*np.where(np.arange(3) == axis, away, 0.0))
        text = SliceText.of(opened.node, node)
        assert text.number == f"Slice {number} of {SIZE[axis]}"
        assert text.position == f"{letter} {abs(away):.1f} mm"
    opened.node.JumpSliceByCentering(*np.where(np.arange(3) == axis, last + 0.6 * SPACING[axis], 0.0))
    assert SliceText.of(opened.node, node).number == "Outside the scan"


def test_thickness_spacing_and_zoom_are_those_of_the_view(shown):
    opened, node = shown(volume(**ABOUT))
    opened.node.SetFieldOfView(60.0, 60.0, 1.0)
    text = SliceText.of(opened.node, node)
    assert text.spacing == "Thickness 5 mm, spacing 2.5 mm"
    assert text.zoom == f"Zoom {100 * SPACING[0] * 320 / 60:.0f} %"
    opened, node = shown(volume(), "Coronal")
    assert SliceText.of(opened.node, node).spacing == "Reformatted, spacing 2 mm"


def test_a_view_across_tilted_slices_has_no_slice_number(shown):
    opened, node = shown(volume(turned=0.2))
    assert SliceText.of(opened.node, node).number == "Oblique to the slices"


def test_a_view_without_a_scan_has_only_a_position(view):
    opened = view("BaselineAxial")
    assert shown_volume(opened.node) is None and window_text(None) == ""
    assert SliceText.of(opened.node, None) == SliceText("", "S 0.0 mm", "", "", "")


@pytest.fixture
def corners(session, view):
    """Return the text in Slicer's views of both scans, and the baseline's view."""
    before, after = view("BaselineAxial"), view("FollowUpAxial")
    for key, value in ABOUT.items():
        session.baseline.SetAttribute(f"OncoTrack.{key}", value)
    text = CornerText(lambda: panel.visit_names(session))
    for each in (before, after):
        text.attach(each.node, each._view.renderer())
    session.overlays.show_scans()
    yield text, before
    text.close()


def words(text: CornerText, name: str) -> str:
    actor = text._actors[name][2]
    return "\n".join(actor.GetText(corner) or "" for corner in range(4))


def test_slicers_views_carry_the_text_and_draw_it(corners, session):
    text, before = corners
    shown = words(text, "BaselineAxial")
    for part in ("Baseline", "DOE, JANE", "ID A1", "2026-03-01", "Thorax venous", "! Tilt of 12", "Slice 20 of 40",
                 "Thickness 5 mm", "Zoom", "W 400 L 40"):  # fmt: skip
        assert part in shown
    assert "no patient data" in words(text, "FollowUpAxial") and "Follow-up" in words(text, "FollowUpAxial")
    picture = before.picture()[:60, :120]
    text.choose(hides_names=False, hides_text=True)
    assert (picture != before.picture()[:60, :120]).any(), "the text is in the picture"
    assert words(text, "BaselineAxial").strip().split("\n")[0] == "! Resampled to 2 mm.", "notices stay"
    text.choose(hides_names=True, hides_text=False)
    assert "DOE" not in words(text, "BaselineAxial") and "Slice 20 of 40" in words(text, "BaselineAxial")
    assert "CT 2026" not in words(text, "FollowUpAxial"), "a file's name may hold the patient's"


def test_the_text_follows_the_slice_the_window_and_the_volume_in_the_view(corners, session, make_phantom):
    text, before = corners
    before.node.JumpSliceByCentering(0.0, 0.0, -39.0)
    assert "Slice 40 of 40\nI 39.0 mm" in words(text, "BaselineAxial")
    session.baseline.GetDisplayNode().SetWindowLevel(1500, -500)
    assert "W 1500 L -500" in words(text, "BaselineAxial")
    third = add_volume(session.scene, make_phantom(name="Someone else"))
    before.composite.SetBackgroundVolumeID(third.GetID())
    shown = words(text, "BaselineAxial")
    assert "Someone else" in shown and "DOE" not in shown and "Baseline" not in shown


STATES = {
    State.PROPOSED: "proposed",
    State.NOT_FOUND: "not found (program)",
    State.ACCEPTED: "accepted",
    State.ABSENT: "absent (reader)",
}


def test_states_of_the_program_and_of_the_reader_read_and_look_different_everywhere(session, lesion, tmp_path):
    session.follow(lesion).run()
    first = session.current
    match = first.at(session.followup_id)
    reader = Provenance(reader="reader")
    seen = {
        State.PROPOSED: match,
        State.NOT_FOUND: replace(match, state=State.NOT_FOUND),
        State.ACCEPTED: replace(match, state=State.ACCEPTED, provenance=reader),
        State.ABSENT: replace(match, state=State.ABSENT, provenance=reader),
    }
    before = first.at(session.baseline_id)
    session.remove_everywhere()
    for observation in seen.values():
        finding = session.findings.add(session.baseline_id, before)
        session.findings.observe(finding.uid, session.followup_id, observation)
    lines = panel.lines(session)
    assert [line.cells[1] for line in lines] == list(STATES.values())
    marks = session.nodes.fiducials(session.followup_id)
    labels = [marks.GetNthControlPointLabel(n) for n in range(4)]
    assert labels == ["L 2 proposed", "L 3 not found (program)", "L 4 accepted", "L 5 absent (reader)"]
    table = to_csv(session.findings)
    assert all(words in table for words in STATES.values())
    again = FindingList.from_json(session.findings.to_json())
    assert [finding.at(session.followup_id).state for finding in again] == list(STATES)
    page = write_report(tmp_path / "report.html", session._choice.scans().pair, session.findings).read_text()
    assert all(f"Follow-up: {words}, R" in page and f"<td>{words}<" in page for words in STATES.values())

    def shape(observation) -> str:
        axes = Figure().subplots()
        mark_finding(axes, "L 1", observation)
        return "dashed ring" if axes.collections else axes.lines[-1].get_marker()

    assert [shape(each) for each in seen.values()] == ["dashed ring", "D", "o", "x"]

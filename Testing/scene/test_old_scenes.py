"""A scene that version 0.1 saved opens with everything in it.

`data/version-0.1.mrb` holds two simulated scans of 24 x 24 x 16 voxels with their registration, a lesion "L 1" with diameters,
a 3D mask and an accepted match with one alternative, and a lymph node "LN left" with boxes on two slices.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oncotrack.findings.finding import Kind, State
from oncotrack.scene.detection.detection import DetectionScene
from oncotrack.scene.files.storage import open_scene, save_scene
from oncotrack.scene.followup.follow_up import FollowUpScene
from oncotrack.scene.masks.recist import RecistScene
from oncotrack.scene.nodes.mask_segments import from_segment
from oncotrack.scene.views.application import new_scene

FILE = Path(__file__).parent / "data" / "version-0.1.mrb"
SHIFT = (3.0, -2.0, 4.0)


@pytest.fixture
def opened(scene, trackers):
    open_scene(scene, FILE)
    session = FollowUpScene(scene, trackers=trackers)
    yield session
    session.close()


def test_scans_registration_and_findings_are_restored(opened):
    assert opened.problem is None
    assert (opened.baseline.GetName(), opened.followup.GetName()) == ("CT 1", "CT 2")
    assert [time_point.date for time_point in opened.time_points] == ["20250101", "20250102"]
    assert np.allclose(opened.registration.matrix[:3, 3], SHIFT)
    assert [finding.label for finding in opened.findings] == ["L 1", "LN left"]
    assert opened.current.label == "L 1"


def test_the_match_has_its_state_and_evidence(opened):
    match = opened.match
    assert match.state is State.ACCEPTED
    assert np.allclose(match.centre, np.add((4.0, -3.0, 2.0), SHIFT))
    assert match.evidence.cycle_error_mm == 1.5
    assert len(match.evidence.alternatives) == 1


def test_the_mask_is_in_3d_and_drawn_as_a_segment(opened):
    masks = RecistScene(opened.scene)
    masks.set_scan(opened.baseline)
    seen = masks.observation
    assert seen.long_axis.length_mm == pytest.approx(12.0)
    assert min(seen.mask.geometry.size) > 1
    segment = from_segment(masks.segmentation, masks.current.uid)
    assert segment.array.sum() == seen.mask.volume().array.sum() > 0
    masks.close()


def test_the_lymph_node_has_its_slice_boxes_and_is_drawn(opened):
    nodes = DetectionScene(opened.scene)
    nodes.set_scan(opened.baseline)
    (node,) = nodes.detected
    assert (node.label, node.kind) == ("LN left", Kind.LYMPH_NODE)
    boxes = node.at(nodes.time_point).tracklet.boxes
    assert [box.slice_index for box in boxes] == [boxes[0].slice_index, boxes[0].slice_index + 1]
    assert opened.scene.GetFirstNodeByName("LN left outline") is not None
    nodes.close()


def test_it_can_be_edited_saved_and_opened_again_without_doubled_nodes(opened, trackers, tmp_path):
    opened.rename("L 7")
    path = save_scene(opened.scene, tmp_path / "again.mrb")
    other = new_scene()
    open_scene(other.scene, path)
    again = FollowUpScene(other.scene, trackers=trackers)
    assert [finding.label for finding in again.findings] == ["L 7", "LN left"]
    for name in ("vtkMRMLTextNode", "vtkMRMLSegmentationNode", "vtkMRMLLinearTransformNode"):
        assert other.scene.GetNumberOfNodesByClass(name) == 1
    again.close()

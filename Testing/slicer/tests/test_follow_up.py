"""Lesion Follow-Up in Slicer, with the mouse."""

import tempfile
import time
import unittest
from pathlib import Path

import numpy as np
import slicer
from in_slicer import SHIFT, SlicerTest, click, patient, press


class FollowUpTest(SlicerTest):
    module = "LesionFollowUp"

    def setUp(self):
        super().setUp()
        (self.baseline, self.followup), self.at, self.radius = patient(visits=2)
        self.widget.parameters.baseline, self.widget.parameters.followup = self.baseline, self.followup
        slicer.app.processEvents()

    def rows(self):
        """Return the layout names of the axial views of both rows."""
        session = self.widget.session
        return session.baseline_row.names[0], session.followup_row.names[0]

    def follow(self):
        """Place a lesion with the mouse and wait for its match."""
        self.widget.ui.placeButton.click()
        click(self.rows()[0], self.at)
        self.wait()

    def match(self):
        return np.array(self.widget.session.match.centre)

    def test_a_click_in_the_baseline_gives_the_match(self):
        self.follow()
        self.assertEqual(len(self.widget.session.findings), 1)
        self.assertLess(np.linalg.norm(self.match() - (np.array(self.at) + SHIFT)), 4.0)
        self.assertIn("L 1", self.message)

    def test_a_match_is_dragged_and_the_drag_undone(self):
        self.follow()
        before = self.match()
        press(self.rows()[1], before, np.add(before, (3, 0, 0)), np.add(before, (8, 0, 0)))
        self.assertGreater(np.linalg.norm(self.match() - before), 4.0)
        self.widget.ui.undoButton.click()
        slicer.app.processEvents()
        np.testing.assert_allclose(self.match(), before, atol=1e-3)
        self.widget.ui.redoButton.click()
        slicer.app.processEvents()
        self.assertGreater(np.linalg.norm(self.match() - before), 4.0)

    def test_a_saved_scene_reopens_with_its_findings(self):
        self.follow()
        self.widget.ui.acceptButton.click()
        before = self.match()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "scene.mrb"
            self.assertTrue(slicer.util.saveScene(str(path)))
            slicer.mrmlScene.Clear()
            slicer.app.processEvents()
            self.assertEqual(len(self.widget.session.findings), 0)
            slicer.util.loadScene(str(path))
            slicer.app.processEvents()
        np.testing.assert_allclose(self.match(), before, atol=1e-3)
        self.assertEqual(self.widget.parameters.baseline.GetName(), self.baseline.GetName())

    def test_a_third_volume_does_not_take_the_rows(self):
        self.follow()
        shown = [
            slicer.app.layoutManager().sliceWidget(name).mrmlSliceCompositeNode().GetBackgroundVolumeID()
            for name in self.rows()
        ]
        third = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, self.baseline, "third")
        slicer.app.applicationLogic().GetSelectionNode().SetActiveVolumeID(third.GetID())
        slicer.app.applicationLogic().PropagateVolumeSelection()
        slicer.app.processEvents()
        after = [
            slicer.app.layoutManager().sliceWidget(name).mrmlSliceCompositeNode().GetBackgroundVolumeID()
            for name in self.rows()
        ]
        self.assertEqual(after, shown)

    def test_cancel_ends_a_registration_at_once(self):
        index = self.widget.session.method.names.index("bspline")
        self.widget._on_method_chosen(index)
        self.wait()
        self.widget.ui.placeButton.click()
        click(self.rows()[0], self.at)
        until = time.monotonic() + 60
        while "B-spline" not in self.widget.ui.progressBar.format:
            slicer.app.processEvents()
            self.assertLess(time.monotonic(), until)
        start = time.monotonic()
        self.widget.ui.cancelButton.click()
        self.wait()
        self.assertLess(time.monotonic() - start, 0.5)
        self.assertEqual(len(self.widget.session.findings), 0)
        self.assertIn("Cancelled", self.message)


if __name__ == "__main__":
    unittest.main()

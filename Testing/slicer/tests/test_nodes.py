"""LN-Tracker in Slicer, with the mouse."""

import unittest

import numpy as np
import slicer
from in_slicer import SlicerTest, click, patient, press


class NodesTest(SlicerTest):
    module = "LNTracker"

    def setUp(self):
        super().setUp()
        (self.scan,), self.at, self.radius = patient()
        self.widget.parameters.scan = self.scan
        slicer.app.processEvents()

    def add(self):
        """Add a node with the mouse."""
        self.widget.ui.placeButton.click()
        click("Red", self.at)
        self.widget.pump.worker.cancel_all()  # its boxes on other slices are not needed
        self.wait()

    def test_a_click_adds_a_node_and_undo_removes_it(self):
        self.add()
        findings = self.widget.session.findings
        self.assertEqual(len(findings), 1)
        self.widget.ui.undoButton.click()
        slicer.app.processEvents()
        self.assertEqual(len(findings), 0)

    def test_the_box_of_a_slice_is_dragged(self):
        self.add()
        editor = self.widget.session.editor
        box = editor.tracklet.boxes[0]
        corner = editor.tracklet.corners(box)[0]
        outwards = corner + 0.3 * (corner - np.mean(editor.tracklet.corners(box), axis=0))
        press("Red", corner, (corner + outwards) / 2, outwards)
        self.assertNotEqual(editor.tracklet.boxes[0], box)
        self.widget.ui.undoButton.click()
        slicer.app.processEvents()
        self.assertEqual(editor.tracklet.boxes[0], box)


if __name__ == "__main__":
    unittest.main()

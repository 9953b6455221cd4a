"""RECIST Pseudo-Mask in Slicer, with the mouse."""

import unittest

import numpy as np
import slicer
from in_slicer import SlicerTest, click, key, patient, press, slice_view


class MasksTest(SlicerTest):
    module = "RECISTPseudoMask"

    def setUp(self):
        super().setUp()
        (self.scan,), self.at, self.radius = patient()
        self.widget.parameters.scan = self.scan
        slicer.app.processEvents()

    def draw(self):
        """Draw two diameters with four clicks."""
        self.widget.ui.drawButton.click()
        at, r = np.array(self.at), self.radius
        click("Red", np.add(at, (-r, 0, 0)))
        for end in ((r, 0, 0), (0, -0.8 * r, 0), (0, 0.8 * r, 0)):
            press("Red", at + end)
        self.wait()

    def test_four_clicks_make_a_mask_that_all_views_show_and_undo_removes(self):
        self.draw()
        finding = self.widget.session.current
        self.assertIsNotNone(finding)
        self.assertIsNotNone(finding.at(self.widget.session.time_point).mask)
        lines = slicer.util.getNodesByClass("vtkMRMLMarkupsLineNode")
        self.assertEqual([line.GetName() for line in lines if not line.GetAttribute("OncoTrack.part")], [])
        for name in ("Yellow", "Green"):
            node, _ = slice_view(name)
            there = np.array([node.GetSliceToRAS().GetElement(axis, 3) for axis in range(3)])
            normal = np.array([node.GetSliceToRAS().GetElement(axis, 2) for axis in range(3)])
            self.assertLess(abs((there - self.at) @ normal), self.radius)
        self.widget.ui.undoButton.click()
        slicer.app.processEvents()
        self.assertEqual(len(self.widget.session.findings), 0)

    def test_escape_ends_drawing(self):
        self.widget.ui.drawButton.click()
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        self.assertEqual(interaction.GetCurrentInteractionMode(), interaction.Place)
        key("Escape")
        self.assertNotEqual(interaction.GetCurrentInteractionMode(), interaction.Place)


if __name__ == "__main__":
    unittest.main()

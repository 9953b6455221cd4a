"""All three modules in Slicer."""

import unittest
from unittest import mock

import slicer

MODULES = ("LesionFollowUp", "LNTracker", "RECISTPseudoMask")


class ModulesTest(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear()

    def test_missing_packages_are_said_and_nothing_else_can_be_pressed(self):
        for name in MODULES:
            slicer.util.selectModule(name)
            widget = slicer.util.getModuleWidget(name)
            with mock.patch("oncotrack.scene.files.packages.lacks_required", lambda: True):
                widget.exit()
                widget.enter()
                self.assertIn("needs a few Python packages", widget.ui.messageLabel.text)
                self.assertTrue(widget.ui.installButton.visible)
                self.assertFalse(widget.ui.workWidget.enabled or widget.ui.decisionWidget.enabled)
            widget.exit()
            widget.enter()

    def test_leaving_a_module_restores_the_layout(self):
        node = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
        before = node.GetViewArrangement()
        slicer.util.selectModule("LesionFollowUp")
        slicer.util.selectModule("Data")
        self.assertEqual(node.GetViewArrangement(), before)

    def test_twenty_entries_and_a_reload_leave_one_wrapper_and_a_panel_that_works(self):
        from OncoTrackPanel.parameter_nodes import _WRAPPERS

        for name in MODULES:
            count = len(_WRAPPERS)
            for _ in range(20):
                slicer.util.selectModule(name)
                slicer.util.selectModule("Data")
            self.assertLessEqual(len(_WRAPPERS), count + 1)
            slicer.util.selectModule(name)
            slicer.util.reloadScriptedModule(name)
            slicer.app.processEvents()
            widget = slicer.util.getModuleWidget(name)
            self.assertIsNotNone(widget.parameters, "the panel works after Reload")

    def test_the_panels_are_not_wider_than_480_pixels(self):
        for name in MODULES:
            slicer.util.selectModule(name)
            panel = slicer.util.getModuleWidget(name).parent
            self.assertLessEqual(panel.minimumSizeHint.width(), 480, name)

    def test_the_window_fits_a_small_screen_with_two_rows_of_views(self):
        slicer.util.selectModule("LesionFollowUp")
        slicer.app.processEvents()
        self.assertLessEqual(slicer.util.mainWindow().minimumSizeHint.width(), 1366)

    def test_each_module_offers_samples(self):
        sources = slicer.modules.sampleDataSources
        for title in ("Lesion Follow-Up", "LN-Tracker", "RECIST Pseudo-Mask"):
            self.assertTrue(sources.get(title), title)


if __name__ == "__main__":
    unittest.main()

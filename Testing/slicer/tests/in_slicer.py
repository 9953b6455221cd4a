"""What the tests in Slicer share: a simulated patient, waiting for the panel's work, and the mouse."""

import time
import unittest

import qt
import slicer
import vtk

SECONDS = 120


class SlicerTest(unittest.TestCase):
    """A test with an empty scene and one module entered."""

    module = ""

    def setUp(self):
        from oncotrack.scene.files import packages

        if packages.lacks_required():
            self.skipTest("the packages of oncotrack/resources/requirements.txt are not installed")
        slicer.mrmlScene.Clear()
        slicer.util.selectModule(self.module)
        self.widget = slicer.util.getModuleWidget(self.module)
        slicer.app.processEvents()

    def tearDown(self):
        if getattr(self, "widget", None) and self.widget.pump:
            self.widget.pump.worker.cancel_all()
            self.wait()
        slicer.mrmlScene.Clear()

    def wait(self):
        """Process events until the panel has no work."""
        until = time.monotonic() + SECONDS
        while self.widget.pump.worker.is_busy or self.widget.ui.progressBar.visible:
            slicer.app.processEvents()
            self.assertLess(time.monotonic(), until, "the work does not end")
        slicer.app.processEvents()

    @property
    def message(self):
        """The sentence that the panel shows."""
        return self.widget.ui.messageLabel.text


def patient(visits=1):
    """Return volume nodes of a simulated patient, the position of its largest lesion (RAS mm) and its radius in mm.

    The second scan is the first one, moved by (6, -4, 8) mm.
    """
    from dataclasses import replace

    import numpy as np

    from oncotrack.phantom import make_patient
    from oncotrack.scene.nodes.volumes import add_volume

    visit = make_patient(1, visits=1, size=(96, 96, 60)).visits[0]
    scans = [visit.image]
    if visits > 1:
        origin = tuple(visit.image.geometry.origin + np.array(SHIFT))
        scans.append(replace(visit.image, geometry=replace(visit.image.geometry, origin=origin), name="later"))
    lesion = max(visit.truth.instances, key=lambda instance: instance.volume_mm3)
    nodes = [add_volume(slicer.mrmlScene, scan) for scan in scans]
    return nodes, lesion.centre, lesion.long_axis.length_mm / 2


SHIFT = (6.0, -4.0, 8.0)


def slice_view(name):
    """Return a slice node by its layout name, and the interactor of its view."""
    widget = slicer.app.layoutManager().sliceWidget(name)
    return widget.mrmlSliceNode(), widget.sliceView().interactor()


def xy(node, ras):
    """Return the pixel of a slice view that shows a position, RAS mm."""
    inverse = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(node.GetXYToRAS(), inverse)
    return tuple(round(v) for v in inverse.MultiplyPoint((*ras, 1.0))[:2])


def press(name, *positions):
    """Press the left button at the first position (RAS mm), move to the others, and release it, in a slice view."""
    node, interactor = slice_view(name)
    for number, ras in enumerate(positions):
        interactor.SetEventInformation(*xy(node, ras))
        interactor.InvokeEvent("MouseMoveEvent")
        slicer.app.processEvents()
        if number == 0:
            interactor.InvokeEvent("LeftButtonPressEvent")
    interactor.InvokeEvent("LeftButtonReleaseEvent")
    slicer.app.processEvents()


def click(name, ras):
    """Click in a slice view, after it was moved to the slice of the position (RAS mm)."""
    node, _ = slice_view(name)
    node.JumpSliceByCentering(*ras)
    settle(name)
    press(name, ras)


def settle(name):
    """Process events until a slice view no longer changes its size and its field of view."""
    node, _ = slice_view(name)
    before = None
    for _ in range(50):
        slicer.app.processEvents()
        time.sleep(0.05)
        now = (node.GetDimensions(), node.GetFieldOfView())
        if now == before:
            return
        before = now
    raise AssertionError(f"{name} keeps changing")


def key(text):
    """Press a key in Slicer's main window."""
    shortcut = qt.QKeySequence(text)
    for each in slicer.util.mainWindow().findChildren(qt.QShortcut):
        if each.enabled and each.key == shortcut:
            each.activated()
    slicer.app.processEvents()

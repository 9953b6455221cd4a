"""Fixtures of the scene's tests: real MRML, real slice views drawn off-screen, real mouse events."""

from __future__ import annotations

import os
import sys

if sys.platform.startswith("linux"):
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")

import numpy as np
import pytest
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from oncotrack.background.jobs import silent
from oncotrack.findings.finding import Alternative
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, Match
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.registration.registration import Registration
from oncotrack.scene.followup.follow_up import FollowUpScene
from oncotrack.scene.nodes.volumes import add_volume
from oncotrack.scene.views.application import new_scene
from oncotrack.scene.views.opengl import check_drawing

LESION = (12.0, -8.0, 6.0)
SHIFT = (4.0, -3.0, 5.0)


class AffineTracker:
    """A minimal tracker: the match is the registered position, with one alternative 9 mm away along each axis."""

    name = "affine"

    def match(self, pair, at, radius_mm=DEFAULT_RADIUS_MM, progress=silent):
        at = pair.check_click(at)
        registration = pair.registration()
        expected = tuple(registration.to_followup(at).tolist())
        back = registration.to_baseline(expected)
        beside = tuple(v + 9.0 for v in expected)
        progress(1.0, "Matched")
        return Match(
            found=True,
            position=expected,
            registration_guess=expected,
            radius_mm=radius_mm,
            score=0.9,
            cycle_error_mm=float(np.linalg.norm(back - at)),
            alternatives=(Alternative(beside, 0.4),),
            method=self.name,
        )


def phantom(
    lesion=LESION, geometry: Geometry | None = None, name: str = "CT", body=(0.0, 0.0, 0.0), seed: int = 3
) -> Volume:
    """Make a 64 x 64 x 40 block of soft tissue in air (HU, 1.5 x 1.5 x 2 mm) with noise and one bright blob."""
    geometry = geometry or Geometry((64, 64, 40), (1.5, 1.5, 2.0), (-47.25, -47.25, -39.0))
    k, j, i = np.meshgrid(*(np.arange(n) for n in geometry.shape), indexing="ij")
    place = geometry.to_ras(np.stack([i, j, k], -1))
    inside = (np.abs((place - body) / [38, 30, 28]) ** 4).sum(-1) < 1
    noise = np.random.default_rng(seed).normal(0, 12, geometry.shape)
    blob = 160 * np.exp(-((place - np.asarray(lesion)) ** 2).sum(-1) / (2 * 4.0**2))
    array = np.where(inside, 30 + noise + blob, -1000).astype(np.int16)
    return Volume(array, geometry, name, "CT")


def shifted_registration() -> Registration:
    """Return a registration from baseline to follow-up: a shift, and a rotation of 0.05 rad about S."""
    affine = np.eye(4)
    c, s = np.cos(0.05), np.sin(0.05)
    affine[:2, :2] = (c, -s), (s, c)
    affine[:3, 3] = SHIFT
    return Registration(affine)


_FROM_TRAME_SLICER = "WindowResizeEvent will not be generated"
"""Part of a warning that is ignored: trame-slicer observes an event that VTK will no longer send; VTK 9.6 still does."""


class View:
    """One slice view with its displayable managers, its picture and its mouse.

    It renders when a picture or a press of the mouse needs it, and not at every change of a node.
    """

    def __init__(self, application, name: str, orientation: str = "Axial", size: int = 320) -> None:
        from trame_slicer.views import NoScheduleRendering, SliceView

        check_drawing()
        self._view = SliceView(
            application.scene, application.logic, name, scheduled_render_strategy=NoScheduleRendering()
        )
        self._view.set_orientation(orientation)
        self._view.render_window().SetSize(size, size)
        self._view.update_size(size, size)
        self._view._update_slice_size()
        self.node = self._view.get_view_node()
        self.node.SetFieldOfView(100, 100, 1)
        self.composite = application.scene.GetSingletonNode(name, "vtkMRMLSliceCompositeNode")

    def centre(self) -> tuple[float, ...]:
        """RAS mm in the middle of the view."""
        return tuple(self.node.GetSliceToRAS().GetElement(axis, 3) for axis in range(3))

    @property
    def renderer(self) -> vtk.vtkRenderer:
        """The renderer of its window."""
        return self._view.renderer()

    def picture(self) -> np.ndarray:
        """(H, W, 3) uint8, upper row first."""
        self._view.render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self._view.render_window())
        grab.ReadFrontBufferOff()
        grab.ShouldRerenderOff()
        grab.Update()
        width, height, _ = grab.GetOutput().GetDimensions()
        return vtk_to_numpy(grab.GetOutput().GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3].copy()

    def save(self, path) -> None:
        """Write the picture to a file, for inspection."""
        from PIL import Image

        Image.fromarray(self.picture()).save(path)

    def pixel(self, ras) -> tuple[float, float]:
        """Return where a position (RAS mm) lies in the view, from its lower left corner."""
        ras_to_xy = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.node.GetXYToRAS(), ras_to_xy)
        return ras_to_xy.MultiplyPoint([*ras, 1.0])[:2]

    def mouse(self, event: str, ras, shift: bool = False) -> None:
        """Send one mouse event at a position (RAS mm) that the view shows."""
        x, y = self.pixel(ras)
        interactor = self._view.interactor()
        interactor.SetEventInformation(round(x), round(y), 0, int(shift))
        interactor.InvokeEvent(event)

    def click(self, ras) -> None:
        """Press and release the left button."""
        self.mouse("MouseMoveEvent", ras)
        self._view.render()
        self.mouse("LeftButtonPressEvent", ras)
        self.mouse("LeftButtonReleaseEvent", ras)

    def drag(self, start, stop, while_held=lambda: None) -> None:
        """Press at one position, move in steps, release at another."""
        self.mouse("MouseMoveEvent", start)
        self._view.render()
        self.mouse("LeftButtonPressEvent", start)
        for part in (0.25, 0.5, 0.75, 1.0):
            self.mouse("MouseMoveEvent", [a + part * (b - a) for a, b in zip(start, stop, strict=True)])
        while_held()
        self.mouse("LeftButtonReleaseEvent", stop)

    def close(self) -> None:
        """Close the window."""
        self._view.finalize()


@pytest.fixture(autouse=True)
def swallowed(monkeypatch):
    """Fail the test when an observer of VTK raises, or when VTK or Slicer prints an error or a warning.

    VTK itself prints both and goes on.
    """
    raised, printed = [], []
    monkeypatch.setattr(sys, "excepthook", lambda _kind, error, _trace: raised.append(error))

    def keep(_window, _event, text):
        if _FROM_TRAME_SLICER not in text:
            printed.append(text)

    keep.CallDataType = vtk.VTK_STRING
    window = vtk.vtkOutputWindow.GetInstance()
    tags = [window.AddObserver(event, keep) for event in ("ErrorEvent", "WarningEvent")]
    yield raised
    for tag in tags:
        window.RemoveObserver(tag)
    if raised:
        raise raised[0]
    assert not printed, "".join(printed)


@pytest.fixture
def lesion() -> tuple[float, float, float]:
    """Return the position of the lesion in the baseline, RAS mm."""
    return LESION


@pytest.fixture
def truth() -> Registration:
    """Return the registration that the follow-up was made with."""
    return shifted_registration()


@pytest.fixture
def trackers() -> dict:
    """Return the affine tracker alone."""
    return {"affine": AffineTracker}


@pytest.fixture
def make_phantom():
    """Return the function `phantom`."""
    return phantom


@pytest.fixture
def real_session(scene):
    """Return a session like `session`, but with OncoTrack's default method, without a registration, and shifted without rotation."""
    session = FollowUpScene(scene)
    moved = tuple(a + b for a, b in zip(LESION, SHIFT, strict=True))
    followup = phantom(moved, name="CT 2026", body=SHIFT, seed=4)
    session.set_scans(add_volume(scene, phantom(name="CT 2025")), add_volume(scene, followup))
    yield session
    session.close()


@pytest.fixture
def application():
    """Return an empty scene with its module logics."""
    application = new_scene()
    application.logic.SetSliceLogics(vtk.vtkCollection())
    application.logic.SetViewLogics(vtk.vtkCollection())
    return application


@pytest.fixture
def scene(application):
    """Return an empty scene."""
    return application.scene


@pytest.fixture
def add_slice_node(scene):
    """Return a function that adds an axial slice node, without a window, by its layout name."""

    def add(name: str):
        node = scene.CreateNodeByClass("vtkMRMLSliceNode")  # has the scene's orientation presets
        node.UnRegister(None)
        node.SetLayoutName(name)
        node = scene.AddNode(node)
        node.SetOrientationToAxial()
        return node

    return add


@pytest.fixture
def view(application):
    """Return a function that opens slice views by name and orientation."""
    opened = []

    def open_view(name: str, orientation: str = "Axial", **options) -> View:
        opened.append(View(application, name, orientation, **options))
        return opened[-1]

    yield open_view
    for each in opened:
        each.close()


def set_registration(session: FollowUpScene, registration: Registration) -> None:
    """Set the session's registration by its transform node, as a reader can do."""
    session._choice.draw_registration(registration)
    session._choice.clear_cache()


@pytest.fixture
def session(scene):
    """Choose both scans, with a known registration and the affine tracker."""
    session = FollowUpScene(scene, trackers={"affine": AffineTracker})
    baseline = add_volume(scene, phantom(name="CT 2025"))
    moved = tuple(shifted_registration().to_followup(LESION))
    followup = add_volume(scene, phantom(moved, name="CT 2026"))
    session.set_scans(baseline, followup)
    set_registration(session, shifted_registration())
    yield session
    session.close()

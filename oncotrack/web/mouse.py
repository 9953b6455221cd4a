"""The left mouse button in slice views: clicks as commands, and drags that the reader chose.

Dragging of marks, windowing, and what the other buttons do are handled by Slicer; the page handles the wheel.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import slicer
import vtk
from trame_slicer.views import SliceView

from oncotrack.findings.finding import Point
from oncotrack.scene.followup.follow_up import FollowUpScene
from oncotrack.scene.followup.overlays import ALTERNATIVES
from oncotrack.scene.nodes.finding_nodes import FIDUCIALS
from oncotrack.scene.nodes.node_registry import NodeKey
from oncotrack.scene.views.mouse_mode import PAN, SCROLL, SELECT, ZOOM, is_placing, place_node
from oncotrack.scene.views.slice_steps import SlicePlace, show_slice

_STILL_PX = 4
_NEAR_PX = 9
_LEAST_PX, _MOST_PX = 2, 8  # of a drag for one slice; in between the height of the view is the whole scan
_AS_BUTTON = {PAN: "MiddleButton", ZOOM: "RightButton"}
BEFORE_SLICER = 10.0
"""Priority of an observer that is called before Slicer's observers, which may stop an event."""


class Mouse:
    """Translates clicks of one view into commands: on the mark of a finding, on an alternative, on tissue.

    Parameters
    ----------
    view : SliceView
    session : FollowUpScene
    mode : callable
        Returns what a drag does, a key of `LEFT_DRAGS`. Only with `SELECT` a click does something.
    on_finding, on_alternative, on_tissue : callable
        Called with the uid of the finding, the number of the alternative (from 0), the time point and position (RAS mm).
    handler : callable
        Returns what receives clicks first, or None: a function of slice node and position that returns whether it used the
        click.
    keep : callable
        Called with what a click does; runs it once the click is known not to be the first of a double click.
    released : callable
        Called when a click or drag is about to end.
    later : callable
        Runs a function after the event that is being handled.
    """

    def __init__(
        self,
        view: SliceView,
        session: FollowUpScene,
        mode: Callable[[], str],
        on_finding: Callable[[str], None],
        on_alternative: Callable[[int], None],
        on_tissue: Callable[[str, Point], None],
        handler: Callable[[], Callable[[slicer.vtkMRMLSliceNode, Point], bool] | None],
        keep: Callable[[Callable[[], None]], None],
        released: Callable[[], None],
        later: Callable[[Callable[[], object]], None],
    ) -> None:
        self._view, self._session, self._mode = view, session, mode
        self._on_finding, self._on_alternative, self._on_tissue = on_finding, on_alternative, on_tissue
        self._handler, self._keep, self._released, self._later = handler, keep, released, later
        # where the button went down, in a view of which size, while a point is to be placed
        self._placed_from: tuple[tuple[int, int], tuple[int, int]] | None = None
        self._is_placing_now = False
        self._pressed: tuple[int, int] | None = None
        self._as_button = ""  # the button as which Slicer sees the left one during this drag
        self._scrolled_from: tuple[int, SlicePlace] | None = None
        self._locked: list[slicer.vtkMRMLMarkupsNode] = []
        interactor = view.interactor()
        self._press_tag = interactor.AddObserver("LeftButtonPressEvent", lambda *_: self._press(), BEFORE_SLICER)
        interactor.AddObserver("MouseMoveEvent", lambda *_: self._move(), BEFORE_SLICER)
        # Slicer stops the release event that ends its own drag, so the marks are unlocked before Slicer receives it
        self._release_tag = interactor.AddObserver("LeftButtonReleaseEvent", lambda *_: self._end_drag(), BEFORE_SLICER)
        interactor.AddObserver("LeftButtonReleaseEvent", lambda *_: self._release(), -BEFORE_SLICER)

    def _press(self) -> None:
        if self._is_placing_now:
            return
        interactor, mode = self._view.interactor(), self._mode()
        self._pressed = self._placed_from = None
        if is_placing(self._session.scene):
            self._placed_from = interactor.GetEventPosition(), interactor.GetSize()
            interactor.GetCommand(self._press_tag).SetAbortFlag(1)
        elif mode != SELECT:
            self._lock_marks()
            self._begin_drag(mode)
        elif not (interactor.GetShiftKey() or interactor.GetControlKey() or interactor.GetAltKey()):
            self._pressed = interactor.GetEventPosition()

    def _begin_drag(self, mode: str) -> None:
        interactor = self._view.interactor()
        if mode in _AS_BUTTON:
            interactor.GetCommand(self._press_tag).SetAbortFlag(1)
            self._as_button = _AS_BUTTON[mode]
            interactor.InvokeEvent(f"{self._as_button}PressEvent")
        elif mode == SCROLL and (place := SlicePlace.of(self._view.get_view_node())) is not None:
            self._scrolled_from = interactor.GetEventPosition()[1], place

    def _move(self) -> None:
        if self._scrolled_from is not None:
            (y, place), node = self._scrolled_from, self._view.get_view_node()
            pixels = min(max(node.GetDimensions()[1] / place.count, _LEAST_PX), _MOST_PX)
            show_slice(node, place.number + round((y - self._view.interactor().GetEventPosition()[1]) / pixels))

    def _end_drag(self) -> None:
        if self._is_placing_now:
            return
        self._released()
        if self._placed_from is not None:
            self._view.interactor().GetCommand(self._release_tag).SetAbortFlag(1)
            self._end_placing()
        self._scrolled_from = None
        if self._as_button:
            self._view.interactor().InvokeEvent(f"{self._as_button}ReleaseEvent")
            self._as_button = ""
        self._unlock_marks()

    def _end_placing(self) -> None:
        """Place a point by a click, or both ends of a line by a drag; nothing if the view got another size meanwhile."""
        (start, size), self._placed_from = self._placed_from, None
        interactor, place_mode = self._view.interactor(), place_node(self._session.scene)
        end = interactor.GetEventPosition()
        if interactor.GetSize() != size:
            return
        if math.dist(start, end) <= _STILL_PX:
            self._keep(lambda: self._place(start, place_mode))
        elif place_mode is not None and place_mode.IsA("vtkMRMLMarkupsLineNode"):
            self._later(lambda: (self._place(start, place_mode), self._place(end, place_mode)))

    def _place(self, at: tuple[int, int], node: slicer.vtkMRMLMarkupsNode | None) -> None:
        """Let Slicer place a point of a node at a pixel, unless the reader has stopped placing it meanwhile."""
        if not is_placing(self._session.scene) or place_node(self._session.scene) is not node:
            return
        interactor, now = self._view.interactor(), self._view.interactor().GetEventPosition()
        self._is_placing_now = True
        try:
            interactor.SetEventInformation(*at)
            for event in ("MouseMoveEvent", "LeftButtonPressEvent", "LeftButtonReleaseEvent"):
                interactor.InvokeEvent(event)
        finally:
            self._is_placing_now = False
            interactor.SetEventInformation(*now)
            interactor.InvokeEvent("MouseMoveEvent")

    def _lock_marks(self) -> None:
        """Lock the marks until the button is released, so that a drag does not move them."""
        for _key, node in self._session.nodes.registry:
            if node.IsA("vtkMRMLMarkupsNode") and not node.GetLocked():
                node.SetLocked(True)
                self._locked.append(node)

    def _unlock_marks(self) -> None:
        while self._locked:
            self._locked.pop().SetLocked(False)

    def _release(self) -> None:
        pressed, self._pressed = self._pressed, None
        at = self._view.interactor().GetEventPosition()
        if pressed is None or math.dist(pressed, at) > _STILL_PX:
            return
        node = self._view.get_view_node()
        ras = node.GetXYToRAS().MultiplyPoint((*at, 0.0, 1.0))[:3]
        if (handle := self._handler()) is None:
            self._click(node, at, tuple(ras))
        else:
            self._keep(lambda: handle(node, tuple(ras)) or self._click(node, at, tuple(ras)))

    def _click(self, node: slicer.vtkMRMLSliceNode, at: tuple[int, int], ras: Point) -> None:
        time_point = self._session.time_point_of(node)
        registry = self._session.nodes.registry
        mark = self._hit(registry.find(NodeKey(FIDUCIALS, time_point)), at)
        if mark >= 0:
            uid = registry.find(NodeKey(FIDUCIALS, time_point)).GetNthControlPointDescription(mark)
            if uid in self._session.findings:
                self._on_finding(uid)
            return
        alternative = -1
        if time_point == self._session.followup_id:
            alternative = self._hit(registry.find(NodeKey(ALTERNATIVES)), at)
        if alternative >= 0:
            self._keep(lambda: self._on_alternative(alternative))
        else:
            self._on_tissue(time_point, ras)

    def _hit(self, points: slicer.vtkMRMLMarkupsFiducialNode | None, at: tuple[int, int]) -> int:
        """Return the index of the nearest point within `_NEAR_PX` of a pixel, or -1."""
        if points is None:
            return -1
        node = self._view.get_view_node()
        to_xy = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(node.GetXYToRAS(), to_xy)
        to_slice = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(node.GetSliceToRAS(), to_slice)
        best, nearest = -1, float(_NEAR_PX)
        for index in range(points.GetNumberOfControlPoints()):
            ras = [0.0, 0.0, 0.0]
            points.GetNthControlPointPositionWorld(index, ras)
            x, y = to_xy.MultiplyPoint([*ras, 1.0])[:2]
            off_slice = abs(to_slice.MultiplyPoint([*ras, 1.0])[2])
            distance = math.dist((x, y), at)
            if off_slice < 2.0 and distance < nearest:
                best, nearest = index, distance
        return best

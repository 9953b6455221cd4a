"""What a plain click in a slice view means; dragging, scrolling and zooming stay Slicer's own."""

from __future__ import annotations

import math
from collections.abc import Callable

import slicer
import vtk
from trame_slicer.views import SliceView

from oncotrack.findings import Point
from oncotrack.scene.finding_nodes import CENTRES
from oncotrack.scene.follow_up import FollowUpScene
from oncotrack.scene.layers import ALTERNATIVES
from oncotrack.scene.parts import Key

_STILL_PX = 4
_NEAR_PX = 9
_BEFORE_SLICER = 10.0


class Mouse:
    """Turns clicks into commands: on a finding's mark, on an alternative, on the baseline's tissue.

    Parameters
    ----------
    view : SliceView
    session : FollowUpScene
    on_finding, on_alternative, on_tissue : callable
        Called with the finding's uid, the alternative's number (from 0), the clicked place (RAS mm) of the baseline.
    """

    def __init__(
        self,
        view: SliceView,
        session: FollowUpScene,
        on_finding: Callable[[str], None],
        on_alternative: Callable[[int], None],
        on_tissue: Callable[[Point], None],
    ) -> None:
        self._view, self._session = view, session
        self._on_finding, self._on_alternative, self._on_tissue = on_finding, on_alternative, on_tissue
        self._pressed: tuple[int, int] | None = None
        interactor = view.interactor()
        interactor.AddObserver("LeftButtonPressEvent", lambda *_: self._press(), _BEFORE_SLICER)
        interactor.AddObserver("LeftButtonReleaseEvent", lambda *_: self._release(), -_BEFORE_SLICER)

    def _press(self) -> None:
        interactor = self._view.interactor()
        is_plain = not (interactor.GetShiftKey() or interactor.GetControlKey() or interactor.GetAltKey())
        self._pressed = interactor.GetEventPosition() if is_plain else None

    def _release(self) -> None:
        pressed, self._pressed = self._pressed, None
        at = self._view.interactor().GetEventPosition()
        if pressed is None or math.dist(pressed, at) > _STILL_PX:
            return
        node = self._view.get_view_node()
        is_baseline = self._session.baseline_row.index_of(node) >= 0
        parts = self._session.nodes.parts
        time_point = self._session.baseline_id if is_baseline else self._session.followup_id
        mark = self._hit(parts.find(Key(CENTRES, time_point)), at)
        if mark >= 0:
            uid = parts.find(Key(CENTRES, time_point)).GetNthControlPointDescription(mark)
            if uid in self._session.findings:
                self._on_finding(uid)
            return
        if is_baseline:
            ras = node.GetXYToRAS().MultiplyPoint((*at, 0.0, 1.0))[:3]
            self._on_tissue(tuple(ras))
        elif (alternative := self._hit(parts.find(Key(ALTERNATIVES)), at)) >= 0:
            self._on_alternative(alternative)

    def _hit(self, points: slicer.vtkMRMLMarkupsFiducialNode | None, at: tuple[int, int]) -> int:
        """Number of the point under the mouse, or -1."""
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

"""Linked scrolling: two rows of slice views show corresponding positions of their scans."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import slicer
import vtk

from oncotrack.errors import InputError
from oncotrack.findings.finding import Point
from oncotrack.registration.registration import Registration
from oncotrack.scene.nodes.fiducials import style_points
from oncotrack.scene.nodes.node_registry import NodeKey, NodeRegistry
from oncotrack.scene.nodes.observers import Observers
from oncotrack.scene.views.view_rows import ViewRow, is_in_plane, middle

CROSSHAIR = "crosshair"
_COLOUR = (0.4, 1.0, 0.4)


class LinkedRows:
    """Links the baseline's row of slice views with the follow-up's, both ways.

    Scrolling or panning a view moves the view of the same orientation in the other row; a crosshair (Shift and mouse
    move) marks the position in both rows and centres the other row on it.

    Parameters
    ----------
    baseline, followup : ViewRow
    registration : callable
        Returns the present registration, or None while there is none: then nothing is linked.
    name : str
        Names the marks of the crosshair, where the scene has several pairs of rows.
    """

    def __init__(
        self,
        baseline: ViewRow,
        followup: ViewRow,
        registration: Callable[[], Registration | None],
        name: str = CROSSHAIR,
    ) -> None:
        self._rows = (baseline, followup)
        self._name = name
        self._scene = baseline.scene
        self._registration = registration
        self._is_enabled = True
        self._is_busy = self._is_held = False
        self._shift: np.ndarray = np.zeros(3)
        self._seen: dict[str, Point] = {}
        self._crosshair_mode: int | None = None
        self._marked: tuple[Point, Point] | None = None
        self._observers = Observers()
        self._observers.add_with_node(self._scene, self._scene.NodeAddedEvent, self._on_node_added)
        self._observers.add_with_node(self._scene, self._scene.NodeRemovedEvent, self._on_node_removed)
        for row in self._rows:
            for node in row.slices():
                self._on_node_added(self._scene, node)
        self._crosshair = self._scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        if self._crosshair:
            self._observers.add(self._crosshair, vtk.vtkCommand.ModifiedEvent, lambda *_: self._on_crosshair())
        self._hide_slicer_crosshair()

    def close(self) -> None:
        """Unlink the rows and remove the marks of the crosshair."""
        self.is_enabled = False
        self._observers.clear()

    @property
    def is_enabled(self) -> bool:
        """Whether the rows move together."""
        return self._is_enabled

    @is_enabled.setter
    def is_enabled(self, enabled: bool) -> None:
        if enabled == self._is_enabled:
            return
        self._is_enabled = enabled
        if enabled:
            self._hide_slicer_crosshair()
            return
        if self._crosshair and self._crosshair_mode is not None:
            self._crosshair.SetCrosshairMode(self._crosshair_mode)
        self.hide_crosshair()

    def anchor(self, baseline: Sequence[float] | None = None, followup: Sequence[float] | None = None) -> None:
        """Add a shift to the registration, so that the current lesion's two positions (RAS mm) correspond exactly.

        Without positions the registration is used unchanged.
        """
        if self._is_held:
            return
        registration = self._registration()
        if baseline is None or followup is None or registration is None:
            self._shift = np.zeros(3)
        else:
            self._shift = np.asarray(followup, float) - registration.to_followup(baseline)

    @property
    def shift_mm(self) -> float:
        """How far the link is shifted against the registration, mm."""
        return float(np.linalg.norm(self._shift))

    @property
    def is_held(self) -> bool:
        """Whether the reader has linked the positions that the views showed, see `hold`."""
        return self._is_held

    def hold(self) -> None:
        """Link the positions that the two rows show now, whatever the registration and the current lesion say.

        Raises
        ------
        InputError
            The scans are not registered, or no views of one orientation are open in both rows.
        """
        if self._registration() is None:
            raise InputError("The scans are not registered, so their views cannot be linked. Register them first.")
        shown = zip(*(map(row.slice_at, range(len(row.names))) for row in self._rows), strict=True)
        pairs = [(middle(one), middle(other)) for one, other in shown if one and other]
        if not pairs:
            raise InputError("No view is open in both rows, so there are no positions to link.")
        self._is_held = False
        self.anchor(*pairs[0])
        self._is_held = True

    def release(self) -> None:
        """Return from `hold` to the registration."""
        self._is_held = False

    def corresponding(self, ras: Sequence[float], *, of_followup: bool = False) -> Point | None:
        """Return the corresponding position in the other scan, RAS mm; None while there is no registration."""
        registration = self._registration()
        if registration is None:
            return None
        ras = np.asarray(ras, float)
        position = (
            registration.to_baseline(ras - self._shift) if of_followup else registration.to_followup(ras) + self._shift
        )
        return tuple(float(v) for v in position)

    def show(self, ras: Sequence[float], *, in_followup: bool = False) -> None:
        """Mark a position (RAS mm) of one scan and the corresponding one, and centre the other row on the latter."""
        other = self.corresponding(ras, of_followup=in_followup)
        if other is None:
            return
        with self.paused():
            self._rows[not in_followup].jump(other)
        positions = (other, ras) if in_followup else (ras, other)
        self._marked = tuple(map(tuple, positions))
        for index, position in enumerate(positions):
            node = self._mark(index)
            node.SetNthControlPointPositionWorld(0, *position)
            node.SetDisplayVisibility(True)

    def hide_crosshair(self) -> None:
        """Hide the marks of the crosshair."""
        registry = NodeRegistry(self._scene)
        self._marked = None
        for index in (0, 1):
            registry.remove(NodeKey(self._name, str(index)))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Return a context in which views can be moved without the other row following."""
        was_busy, self._is_busy = self._is_busy, True
        try:
            yield
        finally:
            self._is_busy = was_busy
            for row in self._rows:
                self._seen.update({node.GetID(): middle(node) for node in row.slices()})

    def _mark(self, index: int) -> slicer.vtkMRMLMarkupsFiducialNode:
        registry, key = NodeRegistry(self._scene), NodeKey(self._name, str(index))
        node = registry.find(key)
        if node is None:
            node = registry.need(key, "vtkMRMLMarkupsFiducialNode", "Corresponding place")
            node.SetSaveWithScene(False)
            node.SetHideFromEditors(True)
            node.CreateDefaultDisplayNodes()
            display = node.GetDisplayNode()
            display.SetSaveWithScene(False)
            style_points(display, self._rows[index].slice_ids)
            display.SetSelectedColor(*_COLOUR)
            display.SetGlyphType(slicer.vtkMRMLMarkupsDisplayNode.Cross2D)
            display.SetGlyphScale(5.0)
            display.SetPointLabelsVisibility(False)
            node.AddControlPointWorld(vtk.vtkVector3d(0, 0, 0))
            node.SetLocked(True)
        return node

    def _hide_slicer_crosshair(self) -> None:
        # Slicer draws its crosshair at the same RAS position in all views, which is not the same anatomy in both scans
        if self._crosshair:
            self._crosshair_mode = self._crosshair.GetCrosshairMode()
            self._crosshair.SetCrosshairMode(slicer.vtkMRMLCrosshairNode.NoCrosshair)

    def _on_crosshair(self) -> None:
        ras = tuple(self._crosshair.GetCrosshairRAS())
        if self._is_busy or not self._is_enabled or ras == self._seen.get(CROSSHAIR):
            return
        self._seen[CROSSHAIR] = ras
        under_cursor = self._crosshair.GetCursorPositionXYZ([0.0, 0.0, 0.0])
        if under_cursor is None or any(row.index_of(under_cursor) >= 0 for row in self._rows):
            self.show(ras, in_followup=self._rows[1].index_of(under_cursor) >= 0)

    def _on_slice(self, node: slicer.vtkMRMLSliceNode) -> None:
        centre = middle(node)
        if self._is_busy or not self._is_enabled or centre == self._seen.get(node.GetID()):
            return
        self._seen[node.GetID()] = centre
        in_followup = self._rows[1].index_of(node) >= 0
        here, there = self._rows[in_followup], self._rows[not in_followup]
        other = there.slice_at(here.index_of(node))
        position = self.corresponding(centre, of_followup=in_followup)
        if other and position:
            with self.paused():
                other.JumpSliceByCentering(*position)
                if self._marked and is_in_plane(self._marked[in_followup], node):  # the mark stays visible in both
                    other.JumpSliceByOffsetting(*self._marked[not in_followup])

    def _on_node_added(self, _scene: slicer.vtkMRMLScene, node: slicer.vtkMRMLNode) -> None:
        if node.IsA("vtkMRMLSliceNode") and any(row.index_of(node) >= 0 for row in self._rows):
            self._seen[node.GetID()] = middle(node)
            self._observers.add(node, vtk.vtkCommand.ModifiedEvent, lambda caller, _: self._on_slice(caller))

    def _on_node_removed(self, _scene: slicer.vtkMRMLScene, node: slicer.vtkMRMLNode) -> None:
        self._observers.drop(node)

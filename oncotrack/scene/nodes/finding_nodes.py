"""The scene's nodes as views of one `FindingList`: nodes are drawn from the list, and an edit of a node becomes a command on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext

import slicer
from undo_stack import Signal

from oncotrack.errors import InputError, OncoTrackError
from oncotrack.findings.finding import Finding, Observation, Point, TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.scene.nodes.fiducials import (
    collect_placed,
    discard_pending,
    draw_fiducials,
    draw_pending,
    place_in_views,
    read_fiducials,
    style_fiducials,
)
from oncotrack.scene.nodes.list_node import need_list_node, read_current, read_list, store_current, store_list
from oncotrack.scene.nodes.markup_edits import MarkupEdits
from oncotrack.scene.nodes.node_registry import LIST, PART, NodeKey, NodeRegistry, key_of
from oncotrack.scene.nodes.observers import Observers
from oncotrack.scene.nodes.shapes import (
    CLASSES,
    FIELDS,
    OUTLINE,
    draw_shape,
    drop_shape,
    read_shape,
    shapes_of,
    style_shape,
)
from oncotrack.scene.nodes.table import FindingsTable
from oncotrack.scene.nodes.time_points import leave_study, put_into_study, volumes_by_time_point

FIDUCIALS = "centres"
"""`NodeKey.part` of a time point's fiducial node; saved scenes contain this value."""
_UNNAMED = "Findings"


class FindingNodes:
    """The findings of a scene and the nodes that show them; each is updated when the other changes.

    Parameters
    ----------
    scene : vtkMRMLScene
        If it was saved with findings, they are read.
    views : mapping of time point id to view node ids, optional
        The views in which a time point's nodes are drawn; all views when missing.

    Attributes
    ----------
    findings : FindingList
        Changed by its commands only. Closing or opening a scene replaces it by another list.
    registry : NodeRegistry
        The nodes by what they show.
    shape_listeners : list of callable
        Called with (key, node) when a reader edited a box or an axis; each returns whether it has handled the edit. If
        none has, the edit becomes a command.
    last_shape_listener : callable or None
        Called like those when none of them has handled the edit.
    reader : str
        Name of the reader; "" while it is not given.
    problem : OncoTrackError or None
        Why the list that the scene was saved with could not be read; its node stays as it is.
    """

    changed = Signal()
    """The findings, or the choice of the current one, have changed."""
    replaced = Signal()
    """`findings` is another list: the scene was closed, or one with findings was opened. `changed` follows."""
    placed = Signal()
    """(time point id, position): a reader placed a point that is not a finding yet."""
    moved = Signal()
    """(time point id, position): a reader moved the point of a finding."""
    refused = Signal()
    """(OncoTrackError): an edit in the scene was not possible and has been undone."""
    dragging = Signal()
    """(NodeKey): a node is being dragged; it becomes a command when it is released."""
    drawn = Signal()
    """The nodes show the list now; listeners may refine their display."""

    def __init__(self, scene: slicer.vtkMRMLScene, views: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self.scene = scene
        self.views: dict[str, tuple[str, ...]] = dict(views or {})
        self.registry = NodeRegistry(scene)
        self.findings = FindingList()
        self.shape_listeners: list[Callable[[NodeKey, slicer.vtkMRMLNode], bool]] = []
        self.last_shape_listener: Callable[[NodeKey, slicer.vtkMRMLNode], bool] | None = None
        self.problem: OncoTrackError | None = None
        self.reader = ""
        self._current = self._previous = ""
        self._is_drawing = False
        self._edits = MarkupEdits()
        self._edits.edited.connect(self._on_edited)
        self._edits.dragging.connect(self._on_dragging)
        self._table = FindingsTable()
        self._shown: dict[NodeKey, tuple[Finding, bool]] = {}
        self._observers = Observers()
        self._observers.add_with_node(scene, scene.NodeAboutToBeRemovedEvent, self._on_node_leaving)
        self._observers.add_with_node(scene, scene.NodeRemovedEvent, self._on_node_removed)
        self._observers.add(scene, scene.EndCloseEvent, lambda *_: self._on_scene_closed())
        self._observers.add(scene, scene.EndImportEvent, lambda *_: self._on_scene_imported())
        self._use_list(self._load_list())

    def close(self) -> None:
        """Stop observing the scene and the list; the nodes stay as they are."""
        self._observers.clear()
        self._edits.clear()
        self.findings.changed.disconnect(self._on_list_changed)

    # the current finding

    @property
    def current(self) -> Finding | None:
        """The finding the reader works on."""
        return self.findings.find(self._current)

    def select(self, uid: str) -> None:
        """Make a finding the current one; "" for none."""
        if uid and uid not in self.findings:
            raise InputError("That finding is not in the list any more. Choose another one, or undo.")
        if uid != self._current:
            self._previous, self._current = self._current, uid
            store_current(self.registry, uid)
            self.draw()
            self.changed.emit()

    # nodes

    def fiducials(self, time_point: str) -> slicer.vtkMRMLMarkupsFiducialNode:
        """Return the fiducial node of a time point, created on the first call; `placed` reports new points in it."""
        key = NodeKey(FIDUCIALS, time_point)
        node = self.registry.find(key)
        if node is None:
            with self.drawing():
                node = self.registry.need(key, "vtkMRMLMarkupsFiducialNode", _UNNAMED)
                style_fiducials(node, self.views.get(time_point, ()))
                node.SetDisplayVisibility(self._is_shown(time_point))
        if node.GetName() == _UNNAMED and (known := self._known(time_point)):
            with self.drawing():
                node.SetName(f"{_UNNAMED} {known.label}")
                put_into_study(known, node)
        self._edits.watch(node)
        return node

    def list_node(self) -> slicer.vtkMRMLTextNode:
        """Return the text node that holds the list as JSON, so that a saved scene keeps it."""
        return need_list_node(self.registry)

    def set_views(self, views: Mapping[str, tuple[str, ...]]) -> None:
        """Draw each time point's nodes in these views only, and those of other time points in none."""
        self.views = dict(views)
        for key, node in self.registry:
            if (key.part == FIDUCIALS or key.part in FIELDS) and node.GetDisplayNode():
                views = self.views.get(key.time_point, ())
                if key.part == FIDUCIALS:
                    place_in_views(node, views)
                else:
                    node.GetDisplayNode().SetViewNodeIDs(list(views))
                node.SetDisplayVisibility(self._is_shown(key.time_point))
        with self.drawing():
            self.drawn.emit()

    def _is_shown(self, time_point: str) -> bool:
        """Return whether views show a time point; where no views were set, all do."""
        return not self.views or time_point in self.views

    def mark_pending(self, time_point: str, at: Point) -> None:
        """Add a pending point at a position (RAS mm) whose finding is being searched for; the finding will replace it."""
        node = self.fiducials(time_point)
        with self.drawing():
            draw_pending(node, at)

    def discard_pending(self, time_point: str, at: Point) -> None:
        """Remove a pending point that did not become a finding."""
        node = self.registry.find(NodeKey(FIDUCIALS, time_point))
        if node is not None:
            with self.drawing():
                discard_pending(node, at)

    def draw(self) -> None:
        """Update every node from the list; a node that is being dragged is updated when it is released."""
        if self.scene.IsClosing() or self.scene.IsImporting():
            return
        with self.drawing():
            for time_point in {each for finding in self.findings for each in finding.observations}:
                self.fiducials(time_point)
            for key, node in self.registry:
                if key.part == FIDUCIALS and not self._edits.is_held(node):
                    draw_fiducials(node, self.findings, key.time_point, self._current)
            self._draw_shapes()
            self.drawn.emit()

    def _draw_shapes(self) -> None:
        target = shapes_of(self.findings)
        old = [key for key, _node in self.registry if key.part in FIELDS and key not in target]
        is_same = not old and all(self.registry.find(key) for key in target)
        with nullcontext() if is_same else self.registry.many():
            for key in old:
                self.registry.remove(key)
            made = self._draw_each(target)
        for (
            time_point,
            nodes,
        ) in made.items():  # Slicer's tree of the data takes no new branch while many nodes are added
            if known := self._known(time_point):
                put_into_study(known, *nodes)

    def _draw_each(self, target: Mapping[NodeKey, tuple[Finding, Observation]]) -> dict[str, list[slicer.vtkMRMLNode]]:
        """Update the node of each key; return those that are new by their time point."""
        made: dict[str, list[slicer.vtkMRMLNode]] = {}
        for key, (finding, observation) in target.items():
            node = self.registry.find(key)
            if node is None:
                node = self.registry.need(key, CLASSES[key.part], finding.label)
                style_shape(node, key.part, self.views.get(key.time_point, ()))
                node.SetDisplayVisibility(self._is_shown(key.time_point))
                made.setdefault(key.time_point, []).append(node)
                self._shown.pop(key, None)
            known, was_current = self._shown.get(key, (None, False))
            is_current = finding.uid == self._current
            if (known is not finding or was_current != is_current) and not self._edits.is_held(node):
                draw_shape(node, key.part, finding, observation, is_current)
                self._shown[key] = finding, is_current
            if key.part != OUTLINE:
                self._edits.watch(node)
        return made

    def _load_list(self) -> FindingList:
        self.problem = None
        try:
            return read_list(self.registry)
        except InputError as error:
            node = self.registry.find(LIST)
            node.SetAttribute(PART, "unreadable list")  # kept: a newer OncoTrack may read it
            self.registry.unregister(node)
            self.problem = error
            self.refused.emit(error)
            return FindingList()

    # events

    def _use_list(self, findings: FindingList) -> None:
        self.findings.changed.disconnect(self._on_list_changed)
        self.findings = findings
        self.findings.window_at = self._window_at
        self.findings.changed.connect(self._on_list_changed)
        self._current = read_current(self.registry, findings)
        self._shown.clear()
        self._edits.release_all()
        for key, node in self.registry:
            if key.part == FIDUCIALS:
                self._edits.watch(node)
        self.replaced.emit()
        if len(findings):
            self.draw()
        self.changed.emit()

    def _on_list_changed(self) -> None:
        if self._current not in self.findings:
            last = self.findings.findings[-1].uid if len(self.findings) else ""
            self._current = self._previous if self._previous in self.findings else last
        with self.drawing():
            store_list(self.registry, self.findings, self._current, self._table)
        self.draw()
        self.changed.emit()

    def _accepts_edits(self) -> bool:
        return not (self._is_drawing or self.scene.IsClosing() or self.scene.IsImporting())

    def _key(self, node: slicer.vtkMRMLNode) -> NodeKey | None:
        key = key_of(node)
        return key if key is not None and self.registry.find(key) is node else None

    def _on_dragging(self, node: slicer.vtkMRMLMarkupsNode) -> None:
        if self._accepts_edits() and (key := self._key(node)) is not None:
            self._shown.pop(key, None)
            self.dragging.emit(key)

    def _on_edited(self, node: slicer.vtkMRMLMarkupsNode) -> None:
        if not self._accepts_edits() or (key := self._key(node)) is None:
            return
        self._shown.pop(key, None)
        try:
            if key.part == FIDUCIALS:
                self._read_fiducials(node, key.time_point)
            elif key.finding in self.findings:
                last = self.last_shape_listener
                handled = [listener(key, node) for listener in self.shape_listeners]
                if not any(handled) and not (last and last(key, node)):
                    read_shape(node, key.part, self.findings, key.finding, key.time_point)
        except OncoTrackError as error:
            self.refused.emit(error)
        self.draw()

    def _read_fiducials(self, node: slicer.vtkMRMLMarkupsFiducialNode, time_point: str) -> None:
        before = {finding.uid: seen.centre for finding, seen in self.findings.observations_at(time_point)}
        read_fiducials(node, self.findings, time_point)
        with self.drawing():
            placed = collect_placed(node, self.findings)
        after = {finding.uid: seen.centre for finding, seen in self.findings.observations_at(time_point)}
        moved = [after[uid] for uid, centre in before.items() if uid in after and after[uid] != centre]
        if len(moved) == 1:
            self.moved.emit(time_point, moved[0])
        for at in placed:
            self.placed.emit(time_point, at)

    def _on_node_leaving(self, _scene: slicer.vtkMRMLScene, node: slicer.vtkMRMLNode) -> None:
        if not self.scene.IsClosing() and key_of(node) is not None:
            leave_study(node)

    def _on_node_removed(self, _scene: slicer.vtkMRMLScene, node: slicer.vtkMRMLNode) -> None:
        self._edits.drop(node)
        key = self.registry.unregister(node)
        if key is None or self._is_drawing or self.scene.IsClosing():
            return
        if key.part in FIELDS and key.finding in self.findings:
            drop_shape(key.part, self.findings, key.finding, key.time_point)

    def _on_scene_closed(self) -> None:
        self.registry = NodeRegistry(self.scene)
        self._use_list(FindingList())

    def _on_scene_imported(self) -> None:
        known = self.registry.find(LIST)
        registry = NodeRegistry(self.scene)
        if registry.find(LIST) not in (None, known):
            self.registry = registry
            self._use_list(self._load_list())

    def _window_at(self, time_point: str) -> tuple[float, float] | None:
        """Return width and level of the window that the scan of a time point is shown in; None where it is not open."""
        volume = volumes_by_time_point(self.scene).get(time_point)
        display = volume.GetDisplayNode() if volume else None
        return (display.GetWindow(), display.GetLevel()) if display else None

    def _known(self, time_point: str) -> TimePoint | None:
        return next((known for known in self.findings.time_points if known.id == time_point), None)

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Return a context in which changes of nodes are not read back as a reader's edits."""
        was_drawing, self._is_drawing = self._is_drawing, True
        try:
            yield
        finally:
            self._is_drawing = was_drawing

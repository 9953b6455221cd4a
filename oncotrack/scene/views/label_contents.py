"""What the labels of each node say and name, read from the node and the list of findings again only when they have changed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import slicer

from oncotrack.findings.finding import Finding, Observation
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.node_registry import NodeKey, NodeRegistry
from oncotrack.scene.nodes.observers import Observers
from oncotrack.scene.nodes.shapes import has_axes_of_mask

BESIDE = "OncoTrack.labelledBeside"
"""Attribute of a display node whose labels are drawn here, in place of Slicer's own."""
_LESION_MM = 8.0  # radius of a finding of which only the position is known
_SIZE = re.compile(r"( (box )?[\d.]+ mm( x [\d.]+ mm)?|: .*)$")
saved: list[slicer.vtkMRMLScene] = []
"""Scenes that are being saved now, with Slicer's own labels."""


@dataclass(frozen=True, eq=False)
class Content:
    """One label.

    Attributes
    ----------
    text : str
        What its point says.
    finding : Finding or None
        The finding that it names.
    uid : str
        Of the finding, "" for a measurement.
    is_selected : bool
        Whether its point is selected.
    where : (n, 3) ndarray
        Positions around all that it names, RAS mm.
    radius_mm : float
        Around a finding of which only the position is known; 0 for all else.
    """

    text: str
    finding: Finding | None
    uid: str
    is_selected: bool
    where: np.ndarray
    radius_mm: float

    @property
    def wordings(self) -> tuple[str, ...]:
        """The label in full, without the size, and the name alone."""
        name = self.finding.label if self.finding is not None else ""
        return tuple(dict.fromkeys(filter(None, (self.text, _SIZE.sub("", self.text), name))))


@dataclass(frozen=True, eq=False)
class Table:
    """The labels of one view, on any slice.

    Attributes
    ----------
    contents : list of Content
    colours : list of (float, float, float)
    where : (n, 3) ndarray
        The positions of all labels one after another.
    starts : (len(contents),) ndarray of int
        The first position of each.
    radii_mm : (len(contents),) ndarray
    """

    contents: list[Content]
    colours: list[tuple[float, float, float]]
    where: np.ndarray
    starts: np.ndarray
    radii_mm: np.ndarray


class LabelContents:
    """The labels of all nodes of a registry.

    Parameters
    ----------
    nodes : FindingNodes
    """

    def __init__(self, nodes: FindingNodes) -> None:
        self._nodes = nodes
        self._observers = Observers()
        self._known: dict[NodeKey, tuple[slicer.vtkMRMLMarkupsNode, Finding | None, list[Content]]] = {}
        self._changed: set[slicer.vtkMRMLNode] = set()
        self._present: list[slicer.vtkMRMLNode] = []
        self._tables: dict[str, Table] = {}

    def close(self) -> None:
        """Stop observing the nodes."""
        self._observers.clear()
        self._known.clear()

    def refresh(self) -> None:
        """Note that the list of findings may have changed."""
        self._changed.update(node for key, (node, *_rest) in self._known.items() if not key.finding)
        self._tables.clear()

    def hide_own(self) -> None:
        """Hide the labels that Slicer draws at nodes that are new or have changed."""
        for node in markups(self._nodes.registry):
            if node in self._changed or not self._observers.watches(node):
                show_own(node, False)

    def of(self, view_id: str) -> Table:
        """Return the labels of a view.

        Parameters
        ----------
        view_id : str
            Id of the slice node.
        """
        present = [node for _key, node in self._nodes.registry]
        if self._changed or present != self._present:
            self._tables.clear()
            self._present = present
        if view_id not in self._tables:
            self._read()
            self._tables[view_id] = self._table(view_id)
        return self._tables[view_id]

    # private

    def _table(self, view_id: str) -> Table:
        contents: list[Content] = []
        colours: list[tuple[float, float, float]] = []
        for node, _finding, known in self._known.values():
            if known and (display := _display_in(node, view_id)) is not None:
                selected, other = tuple(display.GetSelectedColor()), tuple(display.GetColor())
                contents += known
                colours += [selected if each.is_selected else other for each in known]
        where = [each.where for each in contents]
        starts = np.cumsum([0, *map(len, where)])[:-1]
        together = np.concatenate(where) if where else np.empty((0, 3))
        return Table(contents, colours, together, starts, np.array([each.radius_mm for each in contents]))

    def _read(self) -> None:
        """Read the nodes that have changed, are new, or name another finding than before."""
        known, self._known = self._known, {}
        for key, node in self._nodes.registry:
            if not node.IsA("vtkMRMLMarkupsNode"):
                continue
            of_node, finding, contents = known.pop(key, (None, None, []))
            now = self._nodes.findings.find(key.finding) if key.finding else None
            if of_node is not node or now is not finding or node in self._changed:
                if not self._observers.watches(node):
                    self._observers.add(node, "AnyEvent", lambda caller, _: self._changed.add(caller))
                show_own(node, False)
                contents = list(self._contents(key, node, {each.uid: each for each in contents}))
            self._known[key] = node, now, contents
        for node, *_rest in known.values():
            self._observers.drop(node)
        self._changed.clear()

    def _contents(self, key: NodeKey, node: slicer.vtkMRMLMarkupsNode, before: dict[str, Content]) -> Iterator[Content]:
        """Yield the labels of a node; those that are as before are taken from there."""
        is_points = node.IsA("vtkMRMLMarkupsFiducialNode")
        for index in range(node.GetNumberOfControlPoints()):
            text = node.GetNthControlPointLabel(index)
            if not text or (is_points and not node.GetNthControlPointVisibility(index)):
                continue
            uid = key.finding or node.GetNthControlPointDescription(index)
            finding, is_selected = self._nodes.findings.find(uid), bool(node.GetNthControlPointSelected(index))
            seen = finding.at(key.time_point) if finding is not None else None
            if seen is None:
                yield Content(text, finding, uid, is_selected, _where(node, index), 0.0)
                continue
            if is_points and has_axes_of_mask(seen):
                continue  # the label stands at its long axis
            last = before.get(uid)
            if last is not None and last.finding is finding and (last.text, last.is_selected) == (text, is_selected):
                yield last
            else:
                yield Content(text, finding, uid, is_selected, _around(seen), _radius(seen))


def markups(registry: NodeRegistry) -> Iterator[slicer.vtkMRMLMarkupsNode]:
    """Yield the markups of a registry that are displayed."""
    return (node for _key, node in registry if node.IsA("vtkMRMLMarkupsNode") and node.GetDisplayNode())


def show_own(node: slicer.vtkMRMLMarkupsNode, is_shown: bool) -> None:
    """Show the labels that Slicer draws at a node's points, or hide and remember them, so that they are drawn beside."""
    for index in range(node.GetNumberOfDisplayNodes()):
        display = node.GetNthDisplayNode(index)
        if display.GetPointLabelsVisibility() and not is_shown and node.GetScene() not in saved:
            display.SetAttribute(BESIDE, "yes")
            display.SetPointLabelsVisibility(False)
        elif display.GetAttribute(BESIDE) and is_shown:
            display.RemoveAttribute(BESIDE)
            display.SetPointLabelsVisibility(True)


def _display_in(node: slicer.vtkMRMLMarkupsNode, view_id: str) -> slicer.vtkMRMLMarkupsDisplayNode | None:
    """Return the display by which a node shows labels in a view, or None."""
    for index in range(node.GetNumberOfDisplayNodes()):
        display = node.GetNthDisplayNode(index)
        is_shown = display.GetVisibility() and display.GetVisibility2D() and display.GetAttribute(BESIDE)
        if is_shown and display.IsDisplayableInView(view_id):
            return display
    return None


def _around(seen: Observation) -> np.ndarray:
    """Return positions (n, 3) RAS mm around all that is known of a finding."""
    ends = [end for axis in (seen.long_axis, seen.short_axis) if axis for end in (axis.start, axis.end)]
    if seen.tracklet is not None:
        half = np.abs(seen.tracklet.step) / 2
        corners = np.concatenate([seen.tracklet.corners(box) for box in seen.tracklet.boxes])
        return np.concatenate([corners - half, corners + half])
    if seen.box is not None:
        return np.array([*product(*zip(seen.box.low, seen.box.high, strict=True)), *ends])
    if ends:
        return np.array([seen.centre, *ends])
    return np.array([seen.centre])


def _radius(seen: Observation) -> float:
    """Return the radius (mm) around a finding of which only the position is known; 0 for all else."""
    if seen.box or seen.tracklet or seen.long_axis or seen.short_axis:
        return 0.0
    return seen.radius_mm or _LESION_MM


def _where(node: slicer.vtkMRMLMarkupsNode, index: int) -> np.ndarray:
    """Return positions (n, 3) RAS mm around a point that belongs to no finding, or around all points of its node."""
    if node.IsA("vtkMRMLMarkupsROINode"):
        bounds = [0.0] * 6
        node.GetRASBounds(bounds)
        return np.array(list(product(bounds[:2], bounds[2:4], bounds[4:])))
    if node.IsA("vtkMRMLMarkupsFiducialNode"):
        return np.array([node.GetNthControlPointPositionWorld(index)])
    return np.array([node.GetNthControlPointPositionWorld(n) for n in range(node.GetNumberOfControlPoints())])

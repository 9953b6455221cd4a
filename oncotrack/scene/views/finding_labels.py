"""Labels of findings and measurements in slice views, drawn beside what they name and joined to it by a thin line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from oncotrack.findings.finding import Observation
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.node_registry import NodeKey, NodeRegistry
from oncotrack.scene.views.label_layout import Named, Place, Rectangle, places

_FONT_SHARE, _SMALLEST_PX, _LARGEST_PX = 0.021, 11, 30  # of the text, by the view's diagonal
_GLYPH = 0.55  # half the width of a point's mark, in heights of the text
_LESION_MM = 8.0  # radius of a finding of which only the position is known
_ON_SLICE = 0.5  # distance to the slice in view, in slices
_ABOVE_IMAGE = 9
_KEPT_WIDTHS = 20_000
_CORNERS = ((0, 1, 0.45, 3.2), (1, 1, 0.5, 5.6), (0, 0, 0.5, 5.0), (1, 0, 0.4, 2.8))
"""The text on the images: corner (right, top), share of the width, height in heights of the text."""
_BESIDE = "OncoTrack.labelledBeside"
_saved: list[slicer.vtkMRMLScene] = []  # scenes that are being saved now
_SIZE = re.compile(r"( (box )?[\d.]+ mm( x [\d.]+ mm)?|: .*)$")


@dataclass(frozen=True)
class _Label:
    """One label of a view: its wordings, its colour, and the pixels of what it names."""

    wordings: tuple[str, ...]
    colour: tuple[float, float, float]
    extent: Rectangle
    is_current: bool


@dataclass
class _View:
    """A slice view with the labels that are drawn in it."""

    node: slicer.vtkMRMLSliceNode
    renderer: vtk.vtkRenderer
    tag: int = 0
    texts: list[vtk.vtkTextActor] = field(default_factory=list)
    lines: list[vtk.vtkActor2D] = field(default_factory=list)
    drawn: tuple = ()


class FindingLabels:
    """Draws the labels of OncoTrack's points, axes, boxes and measurements in slice views, in place of Slicer's own.

    Slicer writes a label to the right of its point, over the lesion. Here a label stands beside all that is known of the
    finding in the view: its mask, box, diameters or, where only its position is known, 8 mm around it. The labels are laid
    out again whenever a view is drawn, so they always belong to the picture.

    Parameters
    ----------
    nodes : FindingNodes
        Every node of its registry whose points show labels is labelled.
    """

    def __init__(self, nodes: FindingNodes) -> None:
        self._nodes = nodes
        self._views: dict[str, _View] = {}
        self._widths: dict[tuple[str, int], float] = {}  # of texts in pixels, by the font's size
        nodes.drawn.connect(self._hide_own)

    def attach(self, node: slicer.vtkMRMLSliceNode, renderer: vtk.vtkRenderer) -> None:
        """Label a view with its renderer from now on."""
        known = self._views.get(node.GetLayoutName())
        if known is not None and (known.node, known.renderer) == (node, renderer):
            return
        if known is not None:
            self._detach(known)
        view = self._views[node.GetLayoutName()] = _View(node, renderer)
        view.tag = renderer.AddObserver("StartEvent", lambda *_: self._draw(view))
        self._hide_own()

    def close(self) -> None:
        """Remove the labels; Slicer draws its own again."""
        self._nodes.drawn.disconnect(self._hide_own)
        for view in self._views.values():
            self._detach(view)
        self._views.clear()
        for node in _markups(self._nodes.registry):
            _show_own(node, True)

    def shown(self, name: str) -> dict[str, Rectangle]:
        """Return the labels of a view as they were drawn last, with their rectangles in pixels."""
        view = self._views[name]
        return {label.wordings[place.wording]: place.rectangle for label, place in view.drawn[1:] if place is not None}

    # drawing

    def _hide_own(self) -> None:
        if self._views:
            for node in _markups(self._nodes.registry):
                _show_own(node, False)

    def _draw(self, view: _View) -> None:
        """Lay out and draw the labels of a view that is about to be drawn."""
        size = view.renderer.GetSize()
        if view.node.GetScene() is None or min(size) < 2:
            return
        font = int(np.clip(round(_FONT_SHARE * np.hypot(*size)), _SMALLEST_PX, _LARGEST_PX))
        labels = list(self._labels(view.node, font))
        if view.drawn[:1] == ((size, font, labels),):
            return
        sizes = [[self._size(view, text, font) for text in label.wordings] for label in labels]
        order = sorted(range(len(labels)), key=lambda index: not labels[index].is_current)
        found = places(
            [Named(labels[n].extent, sizes[n], labels[n].is_current) for n in order],
            size,
            reserved=_corners(size, font),
        )
        chosen = [(labels[n], place) for n, place in zip(order, found, strict=True)]
        view.drawn = ((size, font, labels), *chosen)
        self._show(view, [(label, place) for label, place in chosen if place is not None], font)

    def _labels(self, view: slicer.vtkMRMLSliceNode, font: int) -> Iterator[_Label]:
        to_xy = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(view.GetXYToRAS(), to_xy)
        matrix = np.reshape(to_xy.GetData(), (4, 4))
        current = self._nodes.current.uid if self._nodes.current else ""
        for key, node in self._nodes.registry:
            if not node.IsA("vtkMRMLMarkupsNode"):
                continue
            _show_own(node, False)
            if (display := _display_in(node, view.GetID())) is None:
                continue
            is_points = node.IsA("vtkMRMLMarkupsFiducialNode")
            for index in range(node.GetNumberOfControlPoints()):
                text = node.GetNthControlPointLabel(index)
                if not text or (is_points and not node.GetNthControlPointVisibility(index)):
                    continue
                uid = key.finding or node.GetNthControlPointDescription(index)
                where = self._where(key, node, index, uid)
                pixels = where @ matrix[:3, :3].T + matrix[:3, 3]
                if not pixels[:, 2].min() < _ON_SLICE or not pixels[:, 2].max() > -_ON_SLICE:
                    continue
                low, high = pixels[:, :2].min(0), pixels[:, :2].max(0)
                if (high < 0).any() or (low > view.GetDimensions()[:2]).any():
                    continue
                is_selected = bool(node.GetNthControlPointSelected(index))
                colour = display.GetSelectedColor() if is_selected else display.GetColor()
                pad = max(_GLYPH * font, self._radius(key, uid) * float(np.linalg.norm(matrix[0, :3])))
                extent = tuple(float(value) for value in (*(low - pad), *(high + pad)))
                yield _Label(self._wordings(text, uid), tuple(colour), extent, bool(uid) and uid == current)

    def _wordings(self, text: str, uid: str) -> tuple[str, ...]:
        """Return a label's wordings: in full, without the size, and the name alone."""
        name = self._nodes.findings[uid].label if uid in self._nodes.findings else ""
        return tuple(dict.fromkeys(filter(None, (text, _SIZE.sub("", text), name))))

    def _where(self, key: NodeKey, node: slicer.vtkMRMLMarkupsNode, index: int, uid: str) -> np.ndarray:
        """Return positions (n, 3) RAS mm around all that a label names."""
        if uid in self._nodes.findings and (seen := self._nodes.findings[uid].at(key.time_point)) is not None:
            return _around(seen)
        if node.IsA("vtkMRMLMarkupsROINode"):
            bounds = [0.0] * 6
            node.GetRASBounds(bounds)
            return np.array(list(product(bounds[:2], bounds[2:4], bounds[4:])))
        if node.IsA("vtkMRMLMarkupsFiducialNode"):
            return np.array([node.GetNthControlPointPositionWorld(index)])
        return np.array([node.GetNthControlPointPositionWorld(n) for n in range(node.GetNumberOfControlPoints())])

    def _radius(self, key: NodeKey, uid: str) -> float:
        """Return the radius (mm) around a finding of which only the position is known; 0 for all else."""
        seen = self._nodes.findings[uid].at(key.time_point) if uid in self._nodes.findings else None
        if seen is None or seen.box or seen.tracklet or seen.long_axis or seen.short_axis:
            return 0.0
        return seen.radius_mm or _LESION_MM

    def _size(self, view: _View, text: str, font: int) -> tuple[float, float]:
        if (text, font) not in self._widths:
            if len(self._widths) >= _KEPT_WIDTHS:
                self._widths.clear()
            actor, bounds = _text_actor(), [0.0] * 4
            _style(actor, text, font, (1.0, 1.0, 1.0))
            actor.GetBoundingBox(view.renderer, bounds)
            self._widths[text, font] = bounds[1] - bounds[0]
        return self._widths[text, font] + 0.5 * font, 1.25 * font

    def _show(self, view: _View, labels: Sequence[tuple[_Label, Place]], font: int) -> None:
        while len(view.texts) < len(labels):
            view.texts.append(_text_actor())
            view.renderer.AddViewProp(view.texts[-1])
        while len(view.lines) < 2:
            view.lines.append(_line_actor(3.0 if not view.lines else 1.3))
            view.renderer.AddViewProp(view.lines[-1])
        for number, actor in enumerate(view.texts):
            actor.SetVisibility(number < len(labels))
            if number < len(labels):
                label, place = labels[number]
                _style(actor, label.wordings[place.wording], font, label.colour)
                left, bottom, right, top = place.rectangle
                actor.SetDisplayPosition(round((left + right) / 2), round((bottom + top) / 2))
        ends = [place.line for _label, place in labels]
        colours = [label.colour for label, _place in labels]
        for actor, colour in zip(view.lines, ([(0.0, 0.0, 0.0)] * len(labels), colours), strict=True):
            actor.GetMapper().SetInputData(_segments(ends, colour))
            actor.SetVisibility(bool(ends))

    def _detach(self, view: _View) -> None:
        view.renderer.RemoveObserver(view.tag)
        for actor in (*view.texts, *view.lines):
            view.renderer.RemoveViewProp(actor)


@contextmanager
def labels_of_slicer(scene: slicer.vtkMRMLScene) -> Iterator[None]:
    """Return a context in which Slicer's own labels are switched on, so that a scene is saved with them."""
    hidden = [node for node in _markups(NodeRegistry(scene)) if _is_own_hidden(node)]
    for node in hidden:
        _show_own(node, True)
    _saved.append(scene)
    try:
        yield
    finally:
        _saved.remove(scene)
        for node in hidden:
            _show_own(node, False)


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


def _markups(registry: NodeRegistry) -> Iterator[slicer.vtkMRMLMarkupsNode]:
    return (node for _key, node in registry if node.IsA("vtkMRMLMarkupsNode") and node.GetDisplayNode())


def _display_in(node: slicer.vtkMRMLMarkupsNode, view_id: str) -> slicer.vtkMRMLMarkupsDisplayNode | None:
    """Return the display by which a node shows labels in a view, or None."""
    for index in range(node.GetNumberOfDisplayNodes()):
        display = node.GetNthDisplayNode(index)
        is_shown = display.GetVisibility() and display.GetVisibility2D() and display.GetAttribute(_BESIDE)
        if is_shown and display.IsDisplayableInView(view_id):
            return display
    return None


def _show_own(node: slicer.vtkMRMLMarkupsNode, is_shown: bool) -> None:
    """Show the labels that Slicer draws at a node's points, or hide and remember them, so that they are drawn beside."""
    for index in range(node.GetNumberOfDisplayNodes()):
        display = node.GetNthDisplayNode(index)
        if display.GetPointLabelsVisibility() and not is_shown and node.GetScene() not in _saved:
            display.SetAttribute(_BESIDE, "yes")
            display.SetPointLabelsVisibility(False)
        elif display.GetAttribute(_BESIDE) and is_shown:
            display.RemoveAttribute(_BESIDE)
            display.SetPointLabelsVisibility(True)


def _is_own_hidden(node: slicer.vtkMRMLMarkupsNode) -> bool:
    displays = (node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes()))
    return any(display.GetAttribute(_BESIDE) for display in displays)


def _corners(size: tuple[int, int], font: int) -> list[Rectangle]:
    """Return where the text on the images stands."""
    rectangles = []
    for to_right, to_top, share, lines in _CORNERS:
        width, height = share * size[0], min(lines * font, size[1] / 2)
        left, bottom = to_right * (size[0] - width), to_top * (size[1] - height)
        rectangles.append((left, bottom, left + width, bottom + height))
    return rectangles


def _text_actor() -> vtk.vtkTextActor:
    actor = vtk.vtkTextActor()
    actor.SetLayerNumber(_ABOVE_IMAGE)
    actor.PickableOff()
    style = actor.GetTextProperty()
    style.SetJustificationToCentered()
    style.SetVerticalJustificationToCentered()
    style.SetBackgroundColor(0.0, 0.0, 0.0)
    style.SetBackgroundOpacity(0.6)
    style.BoldOn()
    return actor


def _style(actor: vtk.vtkTextActor, text: str, font: int, colour: tuple[float, float, float]) -> None:
    actor.SetInput(text)
    actor.GetTextProperty().SetFontSize(font)
    actor.GetTextProperty().SetColor(*colour)


def _line_actor(width: float) -> vtk.vtkActor2D:
    actor, mapper = vtk.vtkActor2D(), vtk.vtkPolyDataMapper2D()
    mapper.SetScalarModeToUseCellData()
    actor.SetMapper(mapper)
    actor.SetLayerNumber(_ABOVE_IMAGE - 1)
    actor.PickableOff()
    actor.GetProperty().SetLineWidth(width)
    return actor


def _segments(
    lines: Sequence[tuple[tuple[float, float], tuple[float, float]]], colours: Sequence[tuple[float, float, float]]
) -> vtk.vtkPolyData:
    data, points, cells = vtk.vtkPolyData(), vtk.vtkPoints(), vtk.vtkCellArray()
    for start, end in lines:
        first = points.InsertNextPoint(*start, 0.0)
        cells.InsertNextCell(2, (first, points.InsertNextPoint(*end, 0.0)))
    data.SetPoints(points)
    data.SetLines(cells)
    if len(colours):
        scalars = numpy_to_vtk(np.round(255 * np.array(colours)).astype(np.uint8), deep=True)
        data.GetCellData().SetScalars(scalars)
    return data

"""Labels of findings and measurements in slice views, drawn beside what they name and joined to it by a thin line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.node_registry import NodeRegistry
from oncotrack.scene.views.label_contents import BESIDE, LabelContents, markups, saved, show_own
from oncotrack.scene.views.label_layout import Named, Place, Rectangle, places

_FONT_SHARE, _SMALLEST_PX, _LARGEST_PX = 0.021, 11, 30  # of the text, by the view's diagonal
_GLYPH = 0.55  # half the width of a point's mark, in heights of the text
_ON_SLICE = 0.5  # distance to the slice in view, in slices
_ABOVE_IMAGE = 9
_KEPT_WIDTHS = 20_000
_CORNERS = ((0, 1, 0.45, 3.2), (1, 1, 0.5, 5.6), (0, 0, 0.5, 5.0), (1, 0, 0.4, 2.8))
"""The text on the images: corner (right, top), share of the width, height in heights of the text."""


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
    texts: dict[str, list[vtk.vtkTextActor]] = field(default_factory=dict)
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
        self._contents = LabelContents(nodes)
        self._views: dict[str, _View] = {}
        self._widths: dict[tuple[str, int], float] = {}  # of texts in pixels, by the font's size
        nodes.drawn.connect(self._on_drawn)
        nodes.replaced.connect(self._contents.refresh)

    def attach(self, node: slicer.vtkMRMLSliceNode, renderer: vtk.vtkRenderer) -> None:
        """Label a view with its renderer from now on."""
        known = self._views.get(node.GetLayoutName())
        if known is not None and (known.node, known.renderer) == (node, renderer):
            return
        if known is not None:
            self._detach(known)
        view = self._views[node.GetLayoutName()] = _View(node, renderer)
        view.tag = renderer.AddObserver("StartEvent", lambda *_: self._draw(view))
        self._contents.hide_own()
        node.Modified()  # the view is drawn again, with its labels

    def close(self) -> None:
        """Remove the labels; Slicer draws its own again."""
        self._nodes.drawn.disconnect(self._on_drawn)
        self._nodes.replaced.disconnect(self._contents.refresh)
        self._contents.close()
        for view in self._views.values():
            self._detach(view)
        self._views.clear()
        for node in markups(self._nodes.registry):
            show_own(node, True)

    def shown(self, name: str) -> dict[str, Rectangle]:
        """Return the labels of a view as they were drawn last, with their rectangles in pixels."""
        view = self._views[name]
        return {label.wordings[place.wording]: place.rectangle for label, place in view.drawn[1:] if place is not None}

    # drawing

    def _on_drawn(self) -> None:
        self._contents.refresh()
        if self._views:
            self._contents.hide_own()

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
        """Yield the labels of what the slice in view shows."""
        to_xy = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(view.GetXYToRAS(), to_xy)
        matrix = np.reshape(to_xy.GetData(), (4, 4))
        current = self._nodes.current.uid if self._nodes.current else ""
        table = self._contents.of(view.GetID())
        if not table.contents:
            return
        pixels = table.where @ matrix[:3, :3].T + matrix[:3, 3]
        low, high = (extreme.reduceat(pixels, table.starts) for extreme in (np.minimum, np.maximum))
        is_shown = (low[:, 2] < _ON_SLICE) & (high[:, 2] > -_ON_SLICE)
        is_shown &= ((high[:, :2] >= 0) & (low[:, :2] <= view.GetDimensions()[:2])).all(1)
        pads = np.maximum(_GLYPH * font, table.radii_mm * np.linalg.norm(matrix[0, :3]))[:, None]
        extents = np.concatenate([np.floor(low[:, :2] - pads), np.ceil(high[:, :2] + pads)], 1)
        for index in np.flatnonzero(is_shown).tolist():
            content = table.contents[index]
            is_current = bool(content.uid) and content.uid == current
            yield _Label(content.wordings, table.colours[index], tuple(extents[index].tolist()), is_current)

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
        while len(view.lines) < 2:
            view.lines.append(_line_actor(3.0 if not view.lines else 1.3))
            view.renderer.AddViewProp(view.lines[-1])
        before, view.texts, new = view.texts, {}, []
        for label, place in labels:  # an actor that keeps its text need not draw it again
            text = label.wordings[place.wording]
            if same := before.get(text):
                self._put(view, same.pop(), text, label, place, font)
            else:
                new.append((text, label, place))
        spare = [actor for actors in before.values() for actor in actors]
        for text, label, place in new:
            if not spare:
                spare.append(_text_actor())
                view.renderer.AddViewProp(spare[-1])
            self._put(view, spare.pop(), text, label, place, font)
        for actor in spare:  # a hidden one would keep the picture of its text
            view.renderer.RemoveViewProp(actor)
        ends = [place.line for _label, place in labels]
        colours = [label.colour for label, _place in labels]
        for actor, colour in zip(view.lines, ([(0.0, 0.0, 0.0)] * len(labels), colours), strict=True):
            actor.GetMapper().SetInputData(_segments(ends, colour))
            actor.SetVisibility(bool(ends))

    def _put(self, view: _View, actor: vtk.vtkTextActor, text: str, label: _Label, place: Place, font: int) -> None:
        _style(actor, text, font, label.colour)
        left, bottom, right, top = place.rectangle
        actor.SetDisplayPosition(round((left + right) / 2), round((bottom + top) / 2))
        actor.SetVisibility(True)
        view.texts.setdefault(text, []).append(actor)

    def _detach(self, view: _View) -> None:
        view.renderer.RemoveObserver(view.tag)
        for actor in (*chain.from_iterable(view.texts.values()), *view.lines):
            view.renderer.RemoveViewProp(actor)


@contextmanager
def labels_of_slicer(scene: slicer.vtkMRMLScene) -> Iterator[None]:
    """Return a context in which Slicer's own labels are switched on, so that a scene is saved with them."""
    hidden = [node for node in markups(NodeRegistry(scene)) if _is_own_hidden(node)]
    for node in hidden:
        show_own(node, True)
    saved.append(scene)
    try:
        yield
    finally:
        saved.remove(scene)
        for node in hidden:
            show_own(node, False)


def _is_own_hidden(node: slicer.vtkMRMLMarkupsNode) -> bool:
    displays = (node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes()))
    return any(display.GetAttribute(BESIDE) for display in displays)


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

"""Masks of findings as segments: one segmentation per scan, one segment per finding; painted segments are read back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import slicer
import vtk
from undo_stack import Signal
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from oncotrack.findings.finding import Finding, Observation, State
from oncotrack.findings.packed_mask import PackedMask
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.recist import slice_count
from oncotrack.scene.nodes.fiducials import CURRENT_COLOUR, OTHER_COLOUR
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.node_registry import NodeKey
from oncotrack.scene.nodes.observers import Observers
from oncotrack.scene.nodes.time_points import put_into_study
from oncotrack.scene.nodes.volumes import to_numpy, to_vtk

MASKS = "masks"
"""`NodeKey.part` of a time point's segmentation node."""
FILL, OUTLINE, REJECTED_FILL = 0.22, 1.0, 0.0
"""Opacities in slices."""
_WIDTH_PX = 2
_LABELMAP, _SURFACE = "Binary labelmap", "Closed surface"
_SHOWN = "OncoTrack.shown"
_MANY = 4  # segments that come or go


class MaskSegments:
    """Draws the masks of the list as segments, and reports the segments that a reader changed.

    A segment's id is its finding's uid, its name the finding's label. A hash of the mask that a segment shows is stored
    in a tag of the segment, so that unchanged masks are not drawn again.

    Parameters
    ----------
    nodes : FindingNodes
        Their `drawn` signal triggers an update.
    """

    painted = Signal()
    """(time point id, uid, Volume or None): a reader painted a segment; None when it is empty now."""
    deleted = Signal()
    """(time point id, uid): a segment was deleted."""
    renamed = Signal()
    """(uid, name): a segment was renamed."""

    def __init__(self, nodes: FindingNodes) -> None:
        self._nodes = nodes
        self._is_drawing = False
        self._observers = Observers()
        nodes.drawn.connect(self.draw)
        nodes.replaced.connect(self._observers.clear)

    def close(self) -> None:
        """Stop observing the segments; they stay."""
        self._nodes.drawn.disconnect(self.draw)
        self._nodes.replaced.disconnect(self._observers.clear)
        self._observers.clear()

    def node(self, time_point: str) -> slicer.vtkMRMLSegmentationNode | None:
        """Return the segmentation of a scan, or None."""
        return self._nodes.registry.find(NodeKey(MASKS, time_point))

    def draw(self) -> None:
        """Update the segments from the list."""
        target: dict[str, dict[str, tuple[Finding, Observation]]] = {}
        for finding in self._nodes.findings:
            for time_point, seen in finding.observations.items():
                if seen.mask is not None:
                    target.setdefault(time_point, {})[finding.uid] = finding, seen
        existing = {key.time_point for key, _node in self._nodes.registry if key.part == MASKS}
        was_drawing, self._is_drawing = self._is_drawing, True
        try:
            for time_point in target.keys() | existing:
                self._draw_scan(time_point, target.get(time_point, {}))
        finally:
            self._is_drawing = was_drawing

    def preview(self, time_point: str, uid: str, mask: Volume) -> None:
        """Show this mask in the finding's segment until the next `draw`."""
        segment = (node := self.node(time_point)) and node.GetSegmentation().GetSegment(uid)
        if segment is not None:
            was_drawing, self._is_drawing = self._is_drawing, True
            segment.AddRepresentation(_LABELMAP, to_oriented(mask))
            segment.SetTag(_SHOWN, "preview")
            self._is_drawing = was_drawing

    # private

    def _draw_scan(self, time_point: str, target: dict[str, tuple[Finding, Observation]]) -> None:
        node = self.node(time_point) or self._make(time_point)
        self._watch(node, time_point)
        display, views = node.GetDisplayNode(), self._nodes.views
        if display.GetViewNodeIDs() != views.get(time_point, ()):
            display.SetViewNodeIDs(list(views.get(time_point, ())))
        node.SetDisplayVisibility(not views or time_point in views)
        known = set(node.GetSegmentation().GetSegmentIDs())
        with _many(node, display) if len(known ^ target.keys()) > _MANY else nullcontext():
            self._draw_segments(node, target)

    def _draw_segments(
        self, node: slicer.vtkMRMLSegmentationNode, target: dict[str, tuple[Finding, Observation]]
    ) -> None:
        segmentation, display = node.GetSegmentation(), node.GetDisplayNode()
        for uid in set(segmentation.GetSegmentIDs()) - target.keys():
            if _tag(segmentation.GetSegment(uid)):  # segments that a reader added stay
                segmentation.RemoveSegment(uid)
        for uid, (finding, seen) in target.items():
            segment = segmentation.GetSegment(uid)
            digest = _digest(seen.mask)
            is_new = segment is None
            segment = slicer.vtkSegment() if is_new else segment
            self._style(segment, finding)
            if is_new or _tag(segment) != digest:
                segment.RemoveRepresentation(_SURFACE)
                segment.AddRepresentation(_LABELMAP, to_oriented(seen.mask.volume()))
                segment.SetTag(_SHOWN, digest)
            if is_new:
                segmentation.AddSegment(segment, uid)
            self._display(display, finding, seen)
        if any(slice_count(seen.mask) > 1 for _finding, seen in target.values()):
            segmentation.CreateRepresentation(_SURFACE)  # of the segments that lack it
        elif segmentation.ContainsRepresentation(_SURFACE):
            segmentation.RemoveRepresentation(_SURFACE)

    def _is_current(self, finding: Finding) -> bool:
        current = self._nodes.current
        return current is not None and finding.uid == current.uid

    def _style(self, segment: slicer.vtkSegment, finding: Finding) -> None:
        if segment.GetName() != finding.label:
            segment.SetName(finding.label)
        colour = CURRENT_COLOUR if self._is_current(finding) else OTHER_COLOUR
        if segment.GetColor() != colour:
            segment.SetColor(*colour)

    def _display(self, display: slicer.vtkMRMLSegmentationDisplayNode, finding: Finding, seen: Observation) -> None:
        is_rejected = seen.state is State.REJECTED
        is_shown, fill = self._is_current(finding) or not is_rejected, REJECTED_FILL if is_rejected else 1.0
        if display.GetSegmentVisibility(finding.uid) != is_shown:
            display.SetSegmentVisibility(finding.uid, is_shown)
        if display.GetSegmentOpacity2DFill(finding.uid) != fill:
            display.SetSegmentOpacity2DFill(finding.uid, fill)

    def _make(self, time_point: str) -> slicer.vtkMRMLSegmentationNode:
        known = next((each for each in self._nodes.findings.time_points if each.id == time_point), None)
        name = f"Masks {known.label if known else time_point}"
        node = self._nodes.registry.need(NodeKey(MASKS, time_point), "vtkMRMLSegmentationNode", name)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetOpacity2DFill(FILL)
        display.SetOpacity2DOutline(OUTLINE)
        display.SetSliceIntersectionThickness(_WIDTH_PX)
        if known:
            put_into_study(known, node)
        return node

    # edits by a reader

    def _watch(self, node: slicer.vtkMRMLSegmentationNode, time_point: str) -> None:
        segmentation = node.GetSegmentation()
        if self._observers.watches(segmentation):
            return
        kinds = slicer.vtkSegmentation
        self._observers.add(segmentation, kinds.SourceRepresentationModified, lambda *_: self._read(node, time_point))
        self._observers.add(segmentation, kinds.SegmentRemoved, lambda *_: self._read_removed(node, time_point))
        self._observers.add(segmentation, kinds.SegmentModified, lambda *_: self._read_names(segmentation))

    def _read(self, node: slicer.vtkMRMLSegmentationNode, time_point: str) -> None:
        if self._is_quiet(node):
            return
        for uid, seen in self._masked(time_point):
            segment = node.GetSegmentation().GetSegment(uid)
            if segment is None:
                continue
            mask = from_segment(node, uid)
            if mask is None:
                self.painted.emit(time_point, uid, None)
            elif not (packed := PackedMask.of(mask)).is_same(seen.mask):
                segment.SetTag(_SHOWN, _digest(packed))  # already drawn
                self.painted.emit(time_point, uid, mask)

    def _read_removed(self, node: slicer.vtkMRMLSegmentationNode, time_point: str) -> None:
        if self._is_quiet(node):
            return
        for uid, _seen in self._masked(time_point):
            if node.GetSegmentation().GetSegment(uid) is None:
                self.deleted.emit(time_point, uid)

    def _masked(self, time_point: str) -> list[tuple[str, Observation]]:
        return [(finding.uid, seen) for finding, seen in self._nodes.findings.observations_at(time_point) if seen.mask]

    def _read_names(self, segmentation: slicer.vtkSegmentation) -> None:
        if self._is_drawing:
            return
        for finding in self._nodes.findings:
            segment = segmentation.GetSegment(finding.uid)
            if segment is not None and segment.GetName() != finding.label:
                self.renamed.emit(finding.uid, segment.GetName())

    def _is_quiet(self, node: slicer.vtkMRMLSegmentationNode) -> bool:
        scene = self._nodes.scene
        return self._is_drawing or scene.IsClosing() or scene.IsImporting() or node.GetScene() is not scene


@contextmanager
def _many(*nodes: slicer.vtkMRMLNode) -> Iterator[None]:
    """Let views and lists be updated once for many changes; for a few, Slicer updates less by itself."""
    was_modifying = [node.StartModify() for node in nodes]
    try:
        yield
    finally:
        for node, was in zip(nodes, was_modifying, strict=True):
            node.EndModify(was)


def to_oriented(mask: Volume) -> slicer.vtkOrientedImageData:
    """Convert a mask to a segment's image."""
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(*mask.geometry.size)
    voxels = np.ascontiguousarray(mask.array, np.uint8)
    image.GetPointData().SetScalars(numpy_to_vtk(voxels.ravel(), deep=True))
    image.SetGeometryFromImageToWorldMatrix(to_vtk(mask.geometry.ijk_to_ras))
    return image


def from_segment(node: slicer.vtkMRMLSegmentationNode, uid: str) -> Volume | None:
    """Return a segment's voxels in world coordinates; None when the segment is empty."""
    image = slicer.vtkOrientedImageData()
    if not node.GetBinaryLabelmapRepresentation(uid, image) or image.IsEmpty():
        return None
    size, extent = image.GetDimensions(), image.GetExtent()
    array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(size[::-1])
    if not array.any():
        return None
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    start = np.eye(4)
    start[:3, 3] = extent[0::2]
    return Volume((array != 0).astype(np.uint8), Geometry.from_matrix(size, to_numpy(matrix) @ start), "segment")


def _digest(mask: PackedMask) -> str:
    return hashlib.blake2b(repr(mask).encode(), digest_size=16).hexdigest()


def _tag(segment: slicer.vtkSegment) -> str:
    value = vtk.reference("")
    return str(value) if segment.GetTag(_SHOWN, value) else ""

"""The nodes of a scene by what they show, which is stored in node attributes and thus in saved scenes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import slicer

PART, TIME_POINT, FINDING = "OncoTrack.part", "OncoTrack.timePoint", "OncoTrack.finding"


@dataclass(frozen=True)
class NodeKey:
    """What a node shows: a part ("centres", "box" ...), of one time point and one finding where the part belongs to them."""

    part: str
    time_point: str = ""
    finding: str = ""


LIST = NodeKey("list")
"""The text node with the findings as JSON."""


def key_of(node: slicer.vtkMRMLNode) -> NodeKey | None:
    """Return what a node shows according to its attributes, or None when OncoTrack did not create it."""
    part = node.GetAttribute(PART)
    return NodeKey(part, node.GetAttribute(TIME_POINT) or "", node.GetAttribute(FINDING) or "") if part else None


class NodeRegistry:
    """The nodes of one scene that OncoTrack created, by their key.

    Parameters
    ----------
    scene : vtkMRMLScene
        Searched once, here; a node that is later removed from the scene must be unregistered.
    """

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self._scene = scene
        self._nodes: dict[NodeKey, slicer.vtkMRMLNode] = {}
        for index in range(scene.GetNumberOfNodes()):
            node = scene.GetNthNode(index)
            key = key_of(node)
            if key is not None:
                self._nodes.setdefault(key, node)

    def __iter__(self) -> Iterator[tuple[NodeKey, slicer.vtkMRMLNode]]:
        return iter(list(self._nodes.items()))

    def find(self, key: NodeKey) -> slicer.vtkMRMLNode | None:
        """Return the node that shows `key`, or None."""
        return self._nodes.get(key)

    def need(self, key: NodeKey, class_name: str, name: str) -> slicer.vtkMRMLNode:
        """Return the node that shows `key`, created when there is none."""
        node = self._nodes.get(key)
        if node is None:
            node = self._scene.CreateNodeByClass(class_name)
            node.UnRegister(None)
            node.SetName(name)
            for attribute, value in ((PART, key.part), (TIME_POINT, key.time_point), (FINDING, key.finding)):
                if value:
                    node.SetAttribute(attribute, value)
            self._nodes[key] = node = self._scene.AddNode(node)
        return node

    @contextmanager
    def many(self) -> Iterator[None]:
        """Return a context in which the views wait until all nodes were added and removed, instead of following each of them."""
        self._scene.StartState(self._scene.BatchProcessState)
        try:
            yield
        finally:
            self._scene.EndState(self._scene.BatchProcessState)

    def unregister(self, node: slicer.vtkMRMLNode) -> NodeKey | None:
        """Remove a node that left the scene from the registry; returns its key, or None when it was not registered."""
        key = key_of(node)
        if key is None or self._nodes.get(key) is not node:
            key = next((key for key, known in self._nodes.items() if known is node), None)
        if key is not None:
            del self._nodes[key]
        return key

    def remove(self, key: NodeKey) -> None:
        """Remove the node that shows `key` from the scene."""
        node = self._nodes.pop(key, None)
        if node is not None and node.GetScene() is self._scene:
            self._scene.RemoveNode(node)

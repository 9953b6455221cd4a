"""One list of findings a scene, whoever works on it: following and detecting in one scene draw and edit the same nodes."""

from __future__ import annotations

import slicer

from oncotrack.scene.nodes.finding_nodes import FindingNodes

_shared: list[tuple[FindingNodes, int]] = []


def share_nodes(scene: slicer.vtkMRMLScene) -> FindingNodes:
    """The scene's findings and their nodes, opened by the first who asks; each who asks gives them back."""
    for index, (nodes, users) in enumerate(_shared):
        if nodes.scene is scene:
            _shared[index] = nodes, users + 1
            return nodes
    _shared.append((FindingNodes(scene), 1))
    return _shared[-1][0]


def release_nodes(nodes: FindingNodes) -> None:
    """Give them back; after the last one has, the scene is not looked at any more."""
    for index, (known, users) in enumerate(_shared):
        if known is nodes:
            _shared[index] = nodes, users - 1
            if users == 1:
                del _shared[index]
                nodes.close()
            return

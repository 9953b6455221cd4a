"""One `FindingNodes` per scene, shared by all sessions on that scene and closed when the last session releases it."""

from __future__ import annotations

import slicer

from oncotrack.scene.nodes.finding_nodes import FindingNodes

_shared: list[tuple[FindingNodes, int]] = []


def share_nodes(scene: slicer.vtkMRMLScene) -> FindingNodes:
    """Return the scene's findings and their nodes, created on the first call; every caller must release them."""
    for index, (nodes, users) in enumerate(_shared):
        if nodes.scene is scene:
            _shared[index] = nodes, users + 1
            return nodes
    _shared.append((FindingNodes(scene), 1))
    return _shared[-1][0]


def release_nodes(nodes: FindingNodes) -> None:
    """Release shared nodes; the last release stops observing the scene."""
    for index, (known, users) in enumerate(_shared):
        if known is nodes:
            _shared[index] = nodes, users - 1
            if users == 1:
                del _shared[index]
                nodes.close()
            return

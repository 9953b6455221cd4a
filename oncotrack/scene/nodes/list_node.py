"""The text node that stores the list of findings and the current finding in the scene."""

from __future__ import annotations

import slicer

from oncotrack.findings.finding_list import FindingList
from oncotrack.scene.nodes.node_registry import LIST, NodeKey, NodeRegistry
from oncotrack.scene.nodes.table import draw_table

TABLE = NodeKey("table")
_CURRENT = "OncoTrack.current"


def need_list_node(parts: NodeRegistry) -> slicer.vtkMRMLTextNode:
    """Return the text node, created when there is none."""
    node = parts.need(LIST, "vtkMRMLTextNode", "OncoTrack findings")
    node.SetForceCreateStorageNode(True)
    return node


def store_list(parts: NodeRegistry, findings: FindingList, current: str) -> None:
    """Write the list as JSON into its node and as a table; does nothing while the list is empty and has no node."""
    if len(findings) or parts.find(LIST) is not None:
        need_list_node(parts).SetText(findings.to_json())
        draw_table(parts.need(TABLE, "vtkMRMLTableNode", "Findings table"), findings)
        store_current(parts, current)


def store_current(parts: NodeRegistry, uid: str) -> None:
    """Remember the current finding in the scene."""
    if (node := parts.find(LIST)) is not None:
        node.SetAttribute(_CURRENT, uid or None)


def read_list(parts: NodeRegistry) -> FindingList:
    """Return the list that the scene was saved with, empty when there is none; InputError when it cannot be read."""
    node = parts.find(LIST)
    text = node.GetText() if node else ""
    return FindingList.from_json(text, f"The list of findings in {node.GetName()}") if text else FindingList()


def read_current(parts: NodeRegistry, findings: FindingList) -> str:
    """Return the uid of the finding that was current when the scene was saved, else of the first one, else ""."""
    node = parts.find(LIST)
    uid = (node.GetAttribute(_CURRENT) or "") if node else ""
    first = findings.findings[0].uid if len(findings) else ""
    return uid if uid in findings else first

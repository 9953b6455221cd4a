"""The text node that stores the list of findings and the current finding in the scene."""

from __future__ import annotations

import slicer

from oncotrack.findings.finding_list import FindingList
from oncotrack.scene.nodes.node_registry import LIST, NodeKey, NodeRegistry
from oncotrack.scene.nodes.table import FindingsTable

TABLE = NodeKey("table")
_CURRENT = "OncoTrack.current"


def need_list_node(registry: NodeRegistry) -> slicer.vtkMRMLTextNode:
    """Return the text node, created when there is none."""
    node = registry.need(LIST, "vtkMRMLTextNode", "OncoTrack findings")
    node.SetForceCreateStorageNode(True)
    return node


def store_list(registry: NodeRegistry, findings: FindingList, current: str, table: FindingsTable) -> None:
    """Write the list as JSON into its node and as a table; does nothing while the list is empty and has no node."""
    if len(findings) or registry.find(LIST) is not None:
        need_list_node(registry).SetText(findings.to_json())
        table.draw(registry.need(TABLE, "vtkMRMLTableNode", "Findings table"), findings)
        store_current(registry, current)


def store_current(registry: NodeRegistry, uid: str) -> None:
    """Store the uid of the current finding in the scene."""
    if (node := registry.find(LIST)) is not None:
        node.SetAttribute(_CURRENT, uid or None)


def read_list(registry: NodeRegistry) -> FindingList:
    """Return the list that the scene was saved with, empty when there is none; InputError when it cannot be read."""
    node = registry.find(LIST)
    text = node.GetText() if node else ""
    return FindingList.from_json(text, f"The list of findings in {node.GetName()}") if text else FindingList()


def read_current(registry: NodeRegistry, findings: FindingList) -> str:
    """Return the uid of the finding that was current when the scene was saved; else of the first finding, or ""."""
    node = registry.find(LIST)
    uid = (node.GetAttribute(_CURRENT) or "") if node else ""
    first = findings.findings[0].uid if len(findings) else ""
    return uid if uid in findings else first

"""The text node that keeps the list of findings in the scene, and which of them the reader works on."""

from __future__ import annotations

import slicer

from oncotrack.findings import FindingList
from oncotrack.scene.parts import LIST, Key, Parts
from oncotrack.scene.table import draw_table

TABLE = Key("table")
_CURRENT = "OncoTrack.current"


def need_list_node(parts: Parts) -> slicer.vtkMRMLTextNode:
    """The node, made when there is none."""
    node = parts.need(LIST, "vtkMRMLTextNode", "OncoTrack findings")
    node.SetForceCreateStorageNode(True)
    return node


def store_list(parts: Parts, findings: FindingList, current: str) -> None:
    """Write the list as JSON into its node, and the table that a reader sees; nothing while neither is needed."""
    if len(findings) or parts.find(LIST) is not None:
        need_list_node(parts).SetText(findings.to_json())
        draw_table(parts.need(TABLE, "vtkMRMLTableNode", "Findings table"), findings)
        store_current(parts, current)


def store_current(parts: Parts, uid: str) -> None:
    """Remember the current finding in the scene."""
    if (node := parts.find(LIST)) is not None:
        node.SetAttribute(_CURRENT, uid or None)


def read_list(parts: Parts) -> FindingList:
    """The list that the scene was saved with, empty when there is none; InputError when it cannot be read."""
    node = parts.find(LIST)
    text = node.GetText() if node else ""
    return FindingList.from_json(text, f"The list of findings in {node.GetName()}") if text else FindingList()


def read_current(parts: Parts, findings: FindingList) -> str:
    """Uid of the finding that was current when the scene was saved, else of the first one, else ""."""
    node = parts.find(LIST)
    uid = (node.GetAttribute(_CURRENT) or "") if node else ""
    first = findings.findings[0].uid if len(findings) else ""
    return uid if uid in findings else first

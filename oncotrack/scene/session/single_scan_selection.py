"""The scan that a single-scan session works on; the choice is stored in the scene."""

from __future__ import annotations

from dataclasses import replace

import slicer

from oncotrack.errors import InputError
from oncotrack.images.volume import Volume
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.node_registry import LIST
from oncotrack.scene.nodes.time_points import (
    name_in_list,
    need_time_point_id,
    put_into_study,
    time_point_id,
    time_point_of,
)
from oncotrack.scene.nodes.volumes import stamp, to_volume
from oncotrack.scene.session.time_point_selection import ROLES

DETECTED, MEASURED = "OncoTrack.detected", "OncoTrack.measured"
"""References of the list's text node to the scan of the detection and of the masks session."""


class SingleScanSelection:
    """The choice of one volume of the scene, which is a time point of the findings.

    Parameters
    ----------
    nodes : FindingNodes
    role : str
        `DETECTED` or `MEASURED`.
    """

    def __init__(self, nodes: FindingNodes, role: str) -> None:
        self._nodes, self._role = nodes, role
        self._image: tuple[tuple, Volume] | None = None

    @property
    def volume(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The chosen volume; while none was chosen the baseline, or the scan of the other session."""
        node = self._nodes.registry.find(LIST)
        references = (node.GetNodeReference(role) for role in (self._role, *ROLES, DETECTED, MEASURED)) if node else ()
        return next((volume for volume in references if volume), None)

    @property
    def time_point(self) -> str:
        """Id of its time point in every finding; "" while there is none."""
        return time_point_id(self.volume)

    def choose(self, volume: slicer.vtkMRMLScalarVolumeNode | None) -> None:
        """Choose this volume; findings of other scans stay in the list."""
        if volume:
            need_time_point_id(volume, self._nodes.findings)
            put_into_study(time_point_of(volume, self._nodes.findings, self._label(volume)), volume)
        self._nodes.list_node().SetNodeReferenceID(self._role, volume.GetID() if volume else None)

    def image(self) -> Volume:
        """Return the scan as the engine uses it: the same object until the volume changes.

        Raises
        ------
        InputError
            No scan is chosen, or it cannot be used.
        """
        if (volume := self.volume) is None:
            raise InputError("There is no scan yet. Load one and choose it.")
        key = stamp(volume)
        if self._image is None or self._image[0] != key:
            self._image = key, to_volume(volume)
        return self._image[1]

    def is_still(self, image: Volume) -> bool:
        """Return whether the chosen volume still holds what `image` returned."""
        return self.volume is not None and self._image is not None and self.image() is image

    def name_time_point(self) -> None:
        """Add the scan to the list's time points; call it in the same undo group as the first finding on it."""
        findings, volume = self._nodes.findings, self.volume
        if all(known.id != self.time_point for known in findings.time_points):
            scan = time_point_of(volume, findings, self._label(volume))
            name_in_list(findings, [replace(scan, fingerprint=self.image().fingerprint)])

    def _label(self, volume: slicer.vtkMRMLScalarVolumeNode) -> str:
        node = self._nodes.list_node()
        return next((label for role, label in ROLES.items() if node.GetNodeReference(role) is volume), "scan")

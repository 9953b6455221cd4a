"""Two volumes of the scene as a pair of scans, and the transform node that holds their registration."""

from __future__ import annotations

import numpy as np
import slicer

from oncotrack.errors import InputError
from oncotrack.registration.registration import Registration
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.node_registry import NodeKey
from oncotrack.scene.nodes.scan_snapshot import ScanSnapshot
from oncotrack.scene.nodes.time_points import time_point_id
from oncotrack.scene.nodes.transforms import draw_registration, matrix_of, read_registration


class RegisteredVolumes:
    """An earlier and a later scan with their registration; both are read again when their nodes change.

    Parameters
    ----------
    nodes : FindingNodes
    earlier, later : vtkMRMLScalarVolumeNode
        Each must have a time point id already.
    """

    def __init__(
        self, nodes: FindingNodes, earlier: slicer.vtkMRMLScalarVolumeNode, later: slicer.vtkMRMLScalarVolumeNode
    ) -> None:
        self._nodes = nodes
        self.volumes = earlier, later
        self._scans: ScanSnapshot | None = None
        self._drawn: Registration | None = None

    def scans(self) -> ScanSnapshot:
        """Return both scans as the engine uses them: the same object until a volume or the registration node changes.

        Raises
        ------
        InputError
            A volume cannot be used.
        """
        if self._scans and not self._scans.is_of(*self.volumes):
            self._nodes.registry.remove(self._key)
            self._clear()
        if self._scans and self._drawn and not self._is_as_drawn():
            self._clear()
        if self._scans is None:
            node = self._nodes.registry.find(self._key)
            self._drawn = read_registration(node) if node else None
            self._scans = ScanSnapshot(*self.volumes, self._drawn)
        return self._scans

    @property
    def registration(self) -> Registration | None:
        """Earlier to later scan, from the transform node; None while there is none that fits the scans."""
        node = self._nodes.registry.find(self._key)
        try:
            if node is None or (self._scans and not self._scans.is_of(*self.volumes)):
                return None
            return self._drawn if self._drawn and self._is_as_drawn() else read_registration(node)
        except InputError:  # reported by `scans`, at the next search
            return None

    @property
    def kept_bytes(self) -> int:
        """Memory of what trackers have computed of the scans."""
        return self._scans.kept_bytes if self._scans else 0

    def forget(self) -> None:
        """Drop what trackers have computed; it is computed again when it is needed."""
        self._scans = None

    def draw(self, registration: Registration) -> None:
        """Show the registration as a linear transform node."""
        earlier, later = (volume.GetName() for volume in self.volumes)
        node = self._nodes.registry.need(
            self._key, "vtkMRMLLinearTransformNode", f"Registration from {earlier} to {later}"
        )
        self._drawn = registration
        if not self._is_as_drawn():
            draw_registration(node, registration)

    def _clear(self) -> None:
        self._scans = self._drawn = None

    @property
    def _key(self) -> NodeKey:
        return NodeKey("registration", " ".join(time_point_id(volume) for volume in self.volumes))

    def _is_as_drawn(self) -> bool:
        node = self._nodes.registry.find(self._key)
        return node is not None and bool(np.allclose(matrix_of(node), self._drawn.matrix, atol=1e-9))

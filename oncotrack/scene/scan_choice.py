"""Which two volumes of the scene are baseline and follow-up, and the registration between them.

The choice is kept in the scene itself (references of the list's text node), so that a saved scene reopens with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import slicer

from oncotrack.errors import InputError
from oncotrack.findings import FindingList, TimePoint
from oncotrack.registration import Registration
from oncotrack.scene.finding_nodes import FindingNodes
from oncotrack.scene.parts import LIST, Key
from oncotrack.scene.scans import Scans
from oncotrack.scene.time_points import (
    name_in_list,
    need_time_point_id,
    put_into_study,
    time_point_id,
    time_point_of,
)
from oncotrack.scene.transforms import draw_registration, matrix_of, read_registration
from oncotrack.scene.volumes import stamp, to_volume

_BASELINE, _FOLLOWUP = "OncoTrack.baseline", "OncoTrack.followup"
ROLES = {_BASELINE: "baseline", _FOLLOWUP: "follow-up"}
"""References of the list's text node to the two scans, and what a reader calls these."""


class ScanChoice:
    """Baseline and follow-up of the findings in a scene.

    Parameters
    ----------
    nodes : FindingNodes
    """

    def __init__(self, nodes: FindingNodes) -> None:
        self._nodes = nodes
        self._scans: Scans | None = None
        self._drawn: Registration | None = None
        self._fingerprints: dict[tuple, str] = {}

    @property
    def baseline(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The earlier scan."""
        return self._chosen(_BASELINE)

    @property
    def followup(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The later scan."""
        return self._chosen(_FOLLOWUP)

    @property
    def baseline_id(self) -> str:
        """Time point of the baseline in every finding; "" while there is none."""
        return time_point_id(self.baseline)

    @property
    def followup_id(self) -> str:
        """Time point of the follow-up in every finding; "" while there is none."""
        return time_point_id(self.followup)

    def choose(
        self, baseline: slicer.vtkMRMLScalarVolumeNode | None, followup: slicer.vtkMRMLScalarVolumeNode | None
    ) -> None:
        """Take these volumes; each gets a time point of its own and a study in the subject hierarchy."""
        node = self._nodes.list_node()
        for role, volume in ((_BASELINE, baseline), (_FOLLOWUP, followup)):
            if volume:
                need_time_point_id(volume, self._nodes.findings)
            node.SetNodeReferenceID(role, volume.GetID() if volume else None)
        for volume, time_point in self._time_points():
            put_into_study(volume, time_point)
        self.forget()

    def forget(self) -> None:
        """Drop what was computed from the scans; the next `scans` reads them anew."""
        self._scans = self._drawn = None

    def scans(self) -> Scans:
        """Both scans for the engine: the same object until a volume, or the registration by hand, was changed.

        Raises
        ------
        InputError
            One is not chosen, or cannot be used.
        """
        baseline, followup = self.baseline, self.followup
        if baseline is None or followup is None:
            missing = "baseline" if baseline is None else "follow-up"
            raise InputError(f"There is no {missing} scan yet. Choose a baseline and a follow-up.")
        if self._scans and not self._scans.is_of(baseline, followup):
            self._nodes.parts.remove(self._registration_key)
            self.forget()
        if self._scans and self._drawn and not self._is_as_drawn():
            self.forget()
        if self._scans is None:
            node = self._nodes.parts.find(self._registration_key)
            self._drawn = read_registration(node) if node else None
            self._scans = Scans(baseline, followup, self._drawn)
        return self._scans

    @property
    def registration(self) -> Registration | None:
        """Baseline to follow-up as its transform node says; None while there is none that fits the scans."""
        node = self._nodes.parts.find(self._registration_key)
        try:
            if node is None or (self._scans and not self._scans.is_of(self.baseline, self.followup)):
                return None
            return self._drawn if self._drawn and self._is_as_drawn() else read_registration(node)
        except InputError:  # said in full by `scans`, when something is matched
            return None

    def draw_registration(self, registration: Registration) -> None:
        """Show the registration as a linear transform node."""
        node = self._nodes.parts.need(
            self._registration_key, "vtkMRMLLinearTransformNode", "Registration baseline to follow-up"
        )
        self._drawn = registration
        if not self._is_as_drawn():
            draw_registration(node, registration)

    def name_time_points(self) -> None:
        """Say in the list which scans the chosen ones are; to be grouped with the first finding on them."""
        findings = self._nodes.findings
        known = {time_point.id for time_point in findings.time_points}
        missing = [
            replace(time_point, fingerprint=self._fingerprint(volume))
            for volume, time_point in self._time_points()
            if time_point.id not in known
        ]
        name_in_list(findings, missing)

    def strangers(self, findings: FindingList) -> tuple[TimePoint, ...]:
        """Time points of another list whose scans are not the chosen ones; a scan without a fingerprint may be any."""
        chosen = {time_point_id(volume): volume for volume in (self.baseline, self.followup) if volume}
        used = {each for finding in findings for each in finding.observations}
        return tuple(
            time_point
            for time_point in findings.time_points
            if time_point.id in used and not self._may_be(time_point, chosen.get(time_point.id))
        )

    def _may_be(self, time_point: TimePoint, volume: slicer.vtkMRMLScalarVolumeNode | None) -> bool:
        return volume is not None and time_point.fingerprint in ("", self._fingerprint(volume))

    def _fingerprint(self, volume: slicer.vtkMRMLScalarVolumeNode) -> str:
        key = stamp(volume)
        if key not in self._fingerprints:
            self._fingerprints[key] = to_volume(volume).fingerprint
        return self._fingerprints[key]

    def _time_points(self) -> Iterator[tuple[slicer.vtkMRMLScalarVolumeNode, TimePoint]]:
        for role, label in ROLES.items():
            if (volume := self._chosen(role)) is not None:
                yield volume, time_point_of(volume, self._nodes.findings, label)

    @property
    def _registration_key(self) -> Key:
        return Key("registration", f"{self.baseline_id} {self.followup_id}")

    def _is_as_drawn(self) -> bool:
        node = self._nodes.parts.find(self._registration_key)
        return node is not None and bool(np.allclose(matrix_of(node), self._drawn.matrix, atol=1e-9))

    def _chosen(self, role: str) -> slicer.vtkMRMLScalarVolumeNode | None:
        node = self._nodes.parts.find(LIST)
        return node.GetNodeReference(role) if node else None

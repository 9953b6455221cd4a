"""The choice of the volumes that are the patient's visits, and of the two that are baseline and follow-up.

The choice is stored in the scene (as node references of the list's text node), so that a saved scene reopens with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import slicer

from oncotrack.errors import InputError
from oncotrack.findings.finding import TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.registration.registration import Registration
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.node_registry import LIST
from oncotrack.scene.nodes.registered_volumes import RegisteredVolumes
from oncotrack.scene.nodes.scan_snapshot import ScanSnapshot
from oncotrack.scene.nodes.time_points import (
    name_in_list,
    need_time_point_id,
    put_into_study,
    time_point_id,
    time_point_of,
    volumes_by_time_point,
)
from oncotrack.scene.nodes.volumes import date, stamp, to_volume

_BASELINE, _FOLLOWUP, _VISIT = "OncoTrack.baseline", "OncoTrack.followup", "OncoTrack.visit"
ROLES = {_BASELINE: "baseline", _FOLLOWUP: "follow-up"}
"""Roles of the node references from the list's text node to the two scans, with the scans' labels."""


class TimePointSelection:
    """The choice of baseline, follow-up and all other visits in a scene.

    Parameters
    ----------
    nodes : FindingNodes
    """

    def __init__(self, nodes: FindingNodes) -> None:
        self._nodes = nodes
        self._pairs: dict[tuple[str, str], RegisteredVolumes] = {}
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

    @property
    def visits(self) -> tuple[slicer.vtkMRMLScalarVolumeNode, ...]:
        """All scans of the patient, earliest first: by date if every scan has one, else in the order of choice.

        Includes baseline, follow-up and all scans with findings.
        """
        node = self._nodes.registry.find(LIST)
        if node is None:
            return ()
        chosen = [node.GetNthNodeReference(_VISIT, n) for n in range(node.GetNumberOfNodeReferences(_VISIT))]
        known = volumes_by_time_point(self._nodes.scene)
        used = [known.get(time_point.id) for time_point in self._nodes.findings.time_points]
        volumes = dict.fromkeys(volume for volume in (*chosen, self.baseline, self.followup, *used) if volume)
        dates = {volume: date(volume) for volume in volumes}
        return tuple(sorted(volumes, key=dates.get) if all(dates.values()) else volumes)

    @property
    def time_points(self) -> tuple[TimePoint, ...]:
        """The visits as time points, whether or not the list of findings has them yet."""
        return tuple(time_point for _volume, time_point in self._time_points())

    def choose_visits(self, volumes: Sequence[slicer.vtkMRMLScalarVolumeNode]) -> None:
        """Choose the patient's visits, earliest first."""
        node = self._nodes.list_node()
        node.RemoveNodeReferenceIDs(_VISIT)
        for volume in volumes:
            node.AddNodeReferenceID(_VISIT, volume.GetID())
        self._put_into_studies()

    def choose(
        self, baseline: slicer.vtkMRMLScalarVolumeNode | None, followup: slicer.vtkMRMLScalarVolumeNode | None
    ) -> None:
        """Choose baseline and follow-up; each gets a time point of its own and a study in the subject hierarchy."""
        node = self._nodes.list_node()
        for role, volume in ((_BASELINE, baseline), (_FOLLOWUP, followup)):
            node.SetNodeReferenceID(role, volume.GetID() if volume else None)
        self._put_into_studies()

    def clear_cache(self) -> None:
        """Discard the cached pairs of scans; the next call of `scans` reads them again."""
        self._pairs.clear()

    def pair(self, earlier: slicer.vtkMRMLScalarVolumeNode, later: slicer.vtkMRMLScalarVolumeNode) -> RegisteredVolumes:
        """Return a pair of scans with its registration, cached while both are in the scene."""
        self._pairs = {
            ids: pair for ids, pair in self._pairs.items() if all(volume.GetScene() for volume in pair.volumes)
        }
        ids = earlier.GetID(), later.GetID()
        if ids not in self._pairs:
            self._pairs[ids] = RegisteredVolumes(self._nodes, earlier, later)
        return self._pairs[ids]

    def scans(self) -> ScanSnapshot:
        """Return baseline and follow-up as the engine uses them; InputError when one is not chosen, or cannot be used."""
        baseline, followup = self.baseline, self.followup
        if baseline is None or followup is None:
            missing = "baseline" if baseline is None else "follow-up"
            raise InputError(f"There is no {missing} scan yet. Choose a baseline and a follow-up.")
        return self.pair(baseline, followup).scans()

    @property
    def registration(self) -> Registration | None:
        """Baseline to follow-up, from the transform node; None while there is none that fits the scans."""
        if self.baseline is None or self.followup is None:
            return None
        return self.pair(self.baseline, self.followup).registration

    def draw_registration(self, registration: Registration) -> None:
        """Show the registration of baseline and follow-up as a linear transform node."""
        self.pair(self.baseline, self.followup).draw(registration)

    def name_time_points(self) -> None:
        """Add the visits to the list's time points, in order; call it in the same undo group as the first finding on them."""
        findings, order = self._nodes.findings, [time_point_id(volume) for volume in self.visits]
        known = {time_point.id for time_point in findings.time_points}
        for volume, time_point in self._time_points():
            if time_point.id not in known:
                name_in_list(findings, [replace(time_point, fingerprint=self._fingerprint(volume))])
        ordered = sorted(
            findings.time_points, key=lambda each: order.index(each.id) if each.id in order else len(order)
        )
        if tuple(ordered) != findings.time_points:
            findings.set_time_points(ordered)

    def unmatched_time_points(self, findings: FindingList) -> tuple[TimePoint, ...]:
        """Return the time points of another list whose scans are not the chosen ones; one without a fingerprint fits any scan."""
        chosen = {time_point_id(volume): volume for volume in self.visits}
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

    def _put_into_studies(self) -> None:
        for volume in self.visits:
            need_time_point_id(volume, self._nodes.findings)
        for volume, time_point in self._time_points():
            put_into_study(volume, time_point)

    def _time_points(self) -> Iterator[tuple[slicer.vtkMRMLScalarVolumeNode, TimePoint]]:
        for number, volume in enumerate(self.visits):
            label = ("baseline", "follow-up", f"follow-up {number}")[min(number, 2)]
            yield volume, time_point_of(volume, self._nodes.findings, label)

    def _chosen(self, role: str) -> slicer.vtkMRMLScalarVolumeNode | None:
        node = self._nodes.registry.find(LIST)
        return node.GetNodeReference(role) if node else None

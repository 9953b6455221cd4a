"""The choice of the volumes that are the patient's visits, and of the two that are baseline and follow-up.

The choice is stored in the scene (as node references of the list's text node), so that a saved scene reopens with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import slicer

from oncotrack.errors import InputError
from oncotrack.findings.finding import TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.note import patient_question
from oncotrack.registration.registration import Registration
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.node_registry import LIST
from oncotrack.scene.nodes.registered_volumes import RegisteredVolumes
from oncotrack.scene.nodes.scan_snapshot import ScanSnapshot
from oncotrack.scene.nodes.time_points import (
    free_label,
    name_in_list,
    need_time_point_id,
    put_into_study,
    time_point_id,
    time_point_of,
    volumes_by_time_point,
)
from oncotrack.scene.nodes.volumes import patient, stamp, to_volume

_Scan = slicer.vtkMRMLScalarVolumeNode
_OWN_LABEL = re.compile(r"(baseline|follow-up)( \d+)?")
_MOST_BYTES = 2**30  # of what trackers have computed of pairs of scans
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
    def baseline(self) -> _Scan | None:
        """The earlier scan."""
        return self._chosen(_BASELINE)

    @property
    def followup(self) -> _Scan | None:
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
    def visits(self) -> tuple[_Scan, ...]:
        """All scans of the patient in the reader's order, whatever their dates; includes all scans with findings."""
        node = self._nodes.registry.find(LIST)
        if node is None:
            return ()
        chosen = [node.GetNthNodeReference(_VISIT, n) for n in range(node.GetNumberOfNodeReferences(_VISIT))]
        known = volumes_by_time_point(self._nodes.scene)
        used = [known.get(each.id) for each in self._nodes.findings.time_points if each.id in self._observed]
        return tuple(dict.fromkeys(volume for volume in (*chosen, self.baseline, self.followup, *used) if volume))

    @property
    def time_points(self) -> tuple[TimePoint, ...]:
        """The visits as time points, whether or not the list of findings has them yet."""
        return tuple(time_point for _volume, time_point in self._time_points())

    def choose_visits(self, volumes: Sequence[_Scan]) -> None:
        """Choose the patient's visits, earliest first."""
        self._store_visits(volumes)
        self._put_into_studies()

    def choose(self, baseline: _Scan | None, followup: _Scan | None) -> None:
        """Choose baseline and follow-up; each gets a time point of its own and a study in the subject hierarchy.

        Among chosen visits, a new scan takes the place of the one before it, and two scans that are swapped swap places.
        """
        self._replace_visits(baseline, followup)
        node = self._nodes.list_node()
        for role, volume in ((_BASELINE, baseline), (_FOLLOWUP, followup)):
            node.SetNodeReferenceID(role, volume.GetID() if volume else None)
        self._put_into_studies()

    def clear_cache(self) -> None:
        """Discard the cached pairs of scans; the next call of `scans` reads them again."""
        self._pairs.clear()

    def pair(self, earlier: _Scan, later: _Scan) -> RegisteredVolumes:
        """Return a pair of scans with its registration, cached while both are in the scene.

        What trackers have computed is dropped from the pairs that were not used for longest, where it takes too much memory.
        """
        self._pairs = {
            ids: pair for ids, pair in self._pairs.items() if all(volume.GetScene() for volume in pair.volumes)
        }
        ids = earlier.GetID(), later.GetID()
        pair = self._pairs.pop(ids, None) or RegisteredVolumes(self._nodes, earlier, later)
        self._pairs[ids], kept = pair, 0  # the last one is the one used last
        for each in reversed(self._pairs.values()):
            kept += each.kept_bytes
            if kept > _MOST_BYTES and each is not pair:
                each.forget()
        return pair

    def scans(self) -> ScanSnapshot:
        """Return baseline and follow-up as the engine uses them; InputError when one is not chosen, or cannot be used."""
        baseline, followup = self.baseline, self.followup
        if baseline is None or followup is None:
            missing = "baseline" if baseline is None else "follow-up"
            raise InputError(f"There is no {missing} scan yet. Choose a baseline and a follow-up.")
        self.check_patients((baseline, followup))
        return self.pair(baseline, followup).scans()

    def check_patients(self, volumes: Sequence[_Scan]) -> None:
        """Raise InputError when the scans may be of different patients and the reader has not confirmed that they are one."""
        scans = [(volume.GetName(), patient(volume)) for volume in volumes]
        if question := patient_question(scans, self._nodes.findings.notes):
            raise InputError(f"{question} Choose other scans, or confirm in words that they belong to one patient.")

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
        findings = self._nodes.findings
        known = {time_point.id for time_point in findings.time_points}
        new = [(volume, time_point) for volume, time_point in self._time_points() if time_point.id not in known]
        name_in_list(findings, [replace(each, fingerprint=self._fingerprint(volume)) for volume, each in new])
        self.arrange_list()

    def arrange_list(self) -> None:
        """Give the list's time points the order and the labels of the visits."""
        findings, visits = self._nodes.findings, {each.id: each for each in self.time_points}
        known = {time_point.id: time_point for time_point in findings.time_points}
        labels = {each.label for each in visits.values()}
        others = [each for each in known.values() if each.id not in visits]
        arranged = (
            *(each for each in visits.values() if each.id in known),
            # a closed scan without findings is forgotten when another one has its name
            *(each for each in others if each.id in self._observed or each.label not in labels),
        )
        if arranged != findings.time_points:
            findings.arrange_time_points(arranged)

    def unmatched_time_points(self, findings: FindingList) -> tuple[TimePoint, ...]:
        """Return the time points of another list whose scans are not the chosen ones; one without a fingerprint fits any scan."""
        chosen = {time_point_id(volume): volume for volume in self.visits}
        used = findings.used_time_points
        return tuple(
            time_point
            for time_point in findings.time_points
            if time_point.id in used and not self._may_be(time_point, chosen.get(time_point.id))
        )

    def _may_be(self, time_point: TimePoint, volume: _Scan | None) -> bool:
        return volume is not None and time_point.fingerprint in ("", self._fingerprint(volume))

    def _fingerprint(self, volume: _Scan) -> str:
        key = stamp(volume)
        if key not in self._fingerprints:
            self._fingerprints[key] = to_volume(volume).fingerprint
        return self._fingerprints[key]

    def _put_into_studies(self) -> None:
        for volume in self.visits:
            need_time_point_id(volume, self._nodes.findings)
        for volume, time_point in self._time_points():
            put_into_study(time_point, volume)

    def _time_points(self) -> Iterator[tuple[_Scan, TimePoint]]:
        visits = self.visits
        ids = {time_point_id(volume) for volume in visits}
        taken = {each.label for each in self._nodes.findings.time_points if each.id in self._observed - ids}
        for number, volume in enumerate(visits):
            label = free_label(("baseline", "follow-up", f"follow-up {number}")[min(number, 2)], taken)
            time_point = time_point_of(volume, self._nodes.findings, label)
            if _OWN_LABEL.fullmatch(time_point.label):
                time_point = replace(time_point, label=label)
            taken.add(time_point.label)
            yield volume, time_point

    @property
    def _observed(self) -> set[str]:
        """Time points with findings or measurements."""
        return self._nodes.findings.used_time_points

    def _store_visits(self, volumes: Iterable[_Scan]) -> None:
        node = self._nodes.list_node()
        node.RemoveNodeReferenceIDs(_VISIT)
        for volume in volumes:
            node.AddNodeReferenceID(_VISIT, volume.GetID())

    def _replace_visits(self, baseline: _Scan | None, followup: _Scan | None) -> None:
        """Exchange scans among the chosen visits for new ones; nothing happens while no visits were chosen."""
        node = self._nodes.list_node()
        chosen = [node.GetNthNodeReference(_VISIT, n) for n in range(node.GetNumberOfNodeReferences(_VISIT))]
        pairs = ((self.baseline, baseline), (self.followup, followup))
        new_of = {old: new for old, new in pairs if old in chosen and new is not None and old is not new}
        is_swap = set(new_of) == set(new_of.values())
        visits = [new_of.get(volume, volume) for volume in chosen]
        if not is_swap and set(new_of.values()) & set(chosen):
            visits = chosen  # other visits are shown, in the same order
        if len(chosen) == 2 and {baseline, followup} == set(visits):
            visits = [baseline, followup]
        if visits != chosen:
            self._store_visits(visits)

    def _chosen(self, role: str) -> _Scan | None:
        node = self._nodes.registry.find(LIST)
        return node.GetNodeReference(role) if node else None

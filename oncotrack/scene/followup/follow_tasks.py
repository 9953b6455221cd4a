"""The long-running commands of a follow-up session: each method returns a `Task` that matches and then changes the scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import slicer

from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding, Kind, Role, TimePoint
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM
from oncotrack.scene.followup.chain_task import ChainTasks
from oncotrack.scene.followup.match_task import MatchTasks
from oncotrack.scene.followup.measure_tasks import MeasureTasks, may_be_measured
from oncotrack.scene.followup.overlays import Overlays
from oncotrack.scene.followup.review_commands import ReviewCommands
from oncotrack.scene.followup.tracking_method import TrackingMethod
from oncotrack.scene.nodes.tasks import Task


def is_missing(finding: Finding, baseline_id: str, followup_id: str) -> bool:
    """Return whether a baseline finding has no observation in the follow-up."""
    return bool(finding.at(baseline_id)) and not finding.at(followup_id)


def is_undecided(finding: Finding, baseline_id: str, followup_id: str) -> bool:
    """Return whether a baseline finding has a match that no reader has decided on."""
    match = finding.at(followup_id)
    return bool(finding.at(baseline_id) and match and not match.is_decided)


class FollowTasks(ReviewCommands):
    """The commands of a follow-up session that search for lesions in other scans.

    `FollowUpScene`, the only subclass, defines the attributes below.

    Attributes
    ----------
    method : TrackingMethod
        The tracker in use.
    baseline_id : str
        Time point of the scan in which lesions were marked.
    followup_id : str
        Time point of the scan that is searched.
    followup : vtkMRMLScalarVolumeNode or None
    visits : tuple of vtkMRMLScalarVolumeNode
    time_points : tuple of TimePoint
    overlays : Overlays
    """

    method: TrackingMethod
    baseline_id: str
    followup_id: str
    followup: slicer.vtkMRMLScalarVolumeNode | None
    visits: tuple[slicer.vtkMRMLScalarVolumeNode, ...]
    time_points: tuple[TimePoint, ...]
    overlays: Overlays
    _matching: MatchTasks
    _chaining: ChainTasks
    _measuring: MeasureTasks

    def choose_method(self, name: str) -> Task:
        """Return the task that loads another tracker for later searches; if that fails, the previous one is restored."""
        return self.method.choose(name)

    def register(self) -> Task:
        """Return the task that registers the scans, so that the rows are linked before any lesion is followed."""
        return self._matching.register()

    def follow(
        self,
        at: Sequence[float],
        radius_mm: float = DEFAULT_RADIUS_MM,
        *,
        kind: Kind = Kind.LESION,
        label: str = "",
        role: Role = Role.NONE,
        site: str = "",
    ) -> Task:
        """Return the task that searches for the lesion at a baseline point (RAS mm); applying it adds a finding and returns it."""
        return self._matching.follow(at, radius_mm, kind, label, role, site)

    def follow_again(self, uid: str = "") -> Task:
        """Return the task that searches again for a finding (the current one by default), from its baseline position."""
        finding = self._finding(uid)
        return self._matching.follow_findings([finding], f"match {finding.label} again")

    def follow_missing(self) -> Task:
        """Return the task that searches for every baseline finding without an observation in the follow-up, one step of undo."""
        if not (missing := self.missing):
            raise InputError("Every finding of the baseline has been followed already.")
        return self._matching.follow_findings(missing, f"follow {len(missing)} findings")

    def rematch(self) -> Task:
        """Return the task that searches again for every finding whose match no reader has decided on, one step of undo."""
        if not (undecided := self.undecided):
            raise InputError("Every match has been accepted, rejected or edited already; those are not searched again.")
        return self._matching.follow_findings(undecided, f"match {len(undecided)} findings again")

    def follow_through(self, uid: str = "") -> Task:
        """Return the task that follows a finding (the current one by default) from its first visit through all later ones."""
        finding = self._finding(uid)
        return self._chaining.follow([finding], f"follow {finding.label} through the visits")

    def follow_all_through(self) -> Task:
        """Return the task that follows every finding through all later visits, one step of undo."""
        if not (seen := self.present):
            raise InputError("No finding is present at any visit yet. Click a lesion in the baseline first.")
        return self._chaining.follow(seen, f"follow {len(seen)} findings through the visits")

    def follow_onward(self, uid: str = "") -> Task:
        """Return the task that follows a finding again from its present position in the follow-up to all later visits."""
        finding, visits = self._finding(uid), self.visits
        if self.followup is None:
            raise InputError("There is no follow-up scan yet. Choose a baseline and a follow-up.")
        seen = finding.at(self.followup_id)
        if seen is None or not seen.is_there:
            raise InputError(
                f"{finding.label} is not seen in {self.followup.GetName()}, so it cannot be followed from there. "
                "Mark its position there first, or find it in every visit."
            )
        return self._chaining.follow([finding], f"follow {finding.label} from here on", visits.index(self.followup))

    def measure(self, uid: str = "") -> Task:
        """Return the task that proposes mask and diameters of a finding's match (the current one's by default).

        Where the baseline has no mask, it gets one too. Sizes that a reader decided on are kept.
        """
        finding = self._finding(uid)
        return self._measuring.measure([finding], f"measure {finding.label}")

    def measure_all(self) -> Task:
        """Return the task that proposes mask and diameters of every match without a size of a reader, one step of undo."""
        if not (unmeasured := self.unmeasured):
            raise InputError("Every match has a size that a reader decided on, or there is no match yet.")
        return self._measuring.measure(unmeasured, f"measure {len(unmeasured)} findings")

    def map_probability(self, uid: str = "") -> Task:
        """Return the task that computes a finding's probability map (the current one's by default) and shows it over the follow-up."""
        finding = self._finding(uid)
        return self._matching.map_probability(finding, partial(self.overlays.show_probability, finding.uid))

    @property
    def present(self) -> tuple[Finding, ...]:
        """Findings that are present at one visit at least."""
        return tuple(filter(self.is_present, self.findings))

    def is_present(self, finding: Finding) -> bool:
        """Return whether a finding is present at one of the open visits at least."""
        return any(seen and seen.is_there for seen in (finding.at(visit.id) for visit in self.time_points))

    @property
    def missing(self) -> tuple[Finding, ...]:
        """Baseline findings without an observation in the follow-up."""
        return self._those(is_missing)

    @property
    def unmeasured(self) -> tuple[Finding, ...]:
        """Findings whose match can be measured: seen at both visits, without a size that a reader decided on."""
        return self._those(may_be_measured)

    @property
    def undecided(self) -> tuple[Finding, ...]:
        """Baseline findings whose match no reader has decided on."""
        return self._those(is_undecided)

    def _those(self, test: Callable[[Finding, str, str], bool]) -> tuple[Finding, ...]:
        before, after = self.baseline_id, self.followup_id
        return tuple(finding for finding in self.findings if test(finding, before, after))

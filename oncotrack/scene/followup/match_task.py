"""The matching tasks: the tracker runs on the worker thread, and its matches are added to the list as one step of undo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from oncotrack.background.jobs import Progress, part_of
from oncotrack.errors import InputError, OncoTrackError
from oncotrack.findings.finding import Finding, Kind, Observation, Point, Provenance, Role, State, point
from oncotrack.followup.match_lesions import match_all
from oncotrack.followup.measure import measure_each
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, SupportsProbabilityMap
from oncotrack.images.volume import Volume
from oncotrack.registration.registration import Registration
from oncotrack.scene.followup.tracking_method import TrackingMethod
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.scan_snapshot import ScanSnapshot
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.session.time_point_selection import TimePointSelection

_REGISTERING, _MATCHING = 0.4, 0.8  # ends of the parts on the progress bar


class MatchTasks:
    """Factory of the tasks that search for baseline findings in the follow-up.

    Parameters
    ----------
    nodes : FindingNodes
    choice : TimePointSelection
    method : TrackingMethod
        A task uses the tracker that is in use when the task is made.
    go_to : callable
        Shows a finding by its uid, after it was matched.
    """

    def __init__(
        self, nodes: FindingNodes, choice: TimePointSelection, method: TrackingMethod, go_to: Callable[[str], None]
    ) -> None:
        self._nodes, self._choice, self._method, self._go_to = nodes, choice, method, go_to

    def follow(
        self, at: Sequence[float], radius_mm: float, kind: Kind, label: str, role: Role = Role.NONE, site: str = ""
    ) -> Task:
        """Return the task that searches for the lesion at a baseline point (RAS mm).

        Applying it adds a finding with both positions and returns the finding.
        """
        at, time_point = point(at), self._choice.baseline_id

        def apply(matches: list[Observation]) -> Finding:
            findings = self._nodes.findings
            reader = Provenance(reader="reader")
            seen = Observation(centre=at, state=State.ACCEPTED, radius_mm=radius_mm, provenance=reader)
            name = label or findings.next_label(kind)
            with findings.group(f"add {name}"):
                self._choice.name_time_points()
                finding = findings.add(self._choice.baseline_id, seen, kind=kind, label=name, role=role, site=site)
                findings.observe(finding.uid, self._choice.followup_id, matches[0])
            self._go_to(finding.uid)
            return findings[finding.uid]

        def abandon() -> None:
            self._nodes.discard_pending(time_point, at)

        try:
            return self._task("Following the lesion", [(at, radius_mm)], apply, abandon)
        except InputError:
            abandon()
            raise

    def register(self) -> Task:
        """Return the task that registers the scans and computes the features that the method caches.

        Applying it draws the registration and returns it.
        """
        scans, method = self._choice.scans(), self._method.name

        def apply(registration: Registration) -> Registration:
            self._check(scans)
            self._choice.draw_registration(registration)
            return registration

        def work(progress: Progress) -> Registration:
            registration = scans.pair.registration(part_of(progress, 0.0, _REGISTERING))
            progress(_REGISTERING, "Preparing the first match")
            with suppress(OncoTrackError):
                self._method.tracker(method).match(scans.pair, scans.pair.baseline.geometry.centre)
            return registration

        return Task("Registering the scans", work, apply)

    def follow_findings(self, findings: Sequence[Finding], text: str) -> Task:
        """Return the task that searches for findings from their baseline positions, one step of undo named `text`.

        Applying it returns the findings. One that the reader changed, decided on or deleted while the task ran stays as it
        is. A cancelled task changes nothing: the matches found so far are discarded.
        """
        ids = self._choice.baseline_id, self._choice.followup_id

        def apply(matches: list[Observation]) -> tuple[Finding, ...]:
            known = self._nodes.findings
            with known.group(text):
                self._choice.name_time_points()
                for finding, match in zip(findings, matches, strict=True):
                    if known.is_still(finding, *ids):
                        known.observe(finding.uid, ids[1], match)
            left = tuple(known[finding.uid] for finding in findings if finding.uid in known)
            if left:
                self._go_to(left[0].uid)
            return left

        starts = [finding.at(ids[0]) for finding in findings]
        return self._task("Matching", [self._lesion(finding) for finding in findings], apply, starts=starts)

    def map_probability(self, finding: Finding, show: Callable[[Volume], None]) -> Task:
        """Return the task that computes a finding's probability map in the follow-up; applying it calls `show` with the map."""
        scans, method, (at, radius_mm) = self._choice.scans(), self._method.name, self._lesion(finding)
        title = self._method.about(method).title

        def work(progress: Progress) -> Volume:
            tracker = self._method.tracker(method)
            if not isinstance(tracker, SupportsProbabilityMap):
                raise InputError(f"{title} gives no probability map. Choose another method, or show the anatomy map.")
            return tracker.probability_map(scans.pair, at, radius_mm, progress)

        def apply(probability: Volume) -> None:
            self._check(scans)
            show(probability)

        return Task("Computing the probability map", work, apply)

    def _lesion(self, finding: Finding) -> tuple[Point, float]:
        seen = finding.at(self._choice.baseline_id)
        if seen is None:
            raise InputError(f"{finding.label} has no position in the baseline. Mark it there first.")
        return seen.centre, seen.radius_mm or DEFAULT_RADIUS_MM

    def _task(
        self,
        text: str,
        lesions: Sequence[tuple[Point, float]],
        apply: Callable[[list[Observation]], object],
        abandon: Callable[[], None] = lambda: None,
        starts: Sequence[Observation | None] = (),
    ) -> Task:
        """Return a task that matches lesions and measures the matches of those whose size at baseline is known."""
        scans, method = self._choice.scans(), self._method.name

        def work(progress: Progress) -> tuple[Registration, list[Observation]]:
            pair = scans.pair
            for at, _radius_mm in lesions:
                pair.check_click(at)
            registration = pair.registration(part_of(progress, 0.0, _REGISTERING))
            tracker = self._method.tracker(method)
            matches = match_all(tracker, pair, lesions, part_of(progress, _REGISTERING, _MATCHING))
            return registration, measure_each(pair, starts, matches, part_of(progress, _MATCHING, 1.0))

        def finish(result: tuple[Registration, list[Observation]]) -> object:
            registration, matches = result
            self._check(scans)
            self._choice.draw_registration(registration)
            return apply(matches)

        return Task(text, work, finish, abandon)

    def _check(self, scans: ScanSnapshot) -> None:
        if not scans.is_of(self._choice.baseline, self._choice.followup):
            raise InputError("The scans were changed meanwhile, so the match was discarded. Search again.")

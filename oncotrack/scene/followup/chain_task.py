"""Tasks that follow findings through all visits; where a reader has decided, the chain continues from that decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from oncotrack.background.jobs import Progress, part_of
from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding, Observation
from oncotrack.followup.chain import KnownPosition, KnownPositions, Link, follow_chains
from oncotrack.followup.measure import measure_if_possible
from oncotrack.followup.tracker import ScanPair
from oncotrack.scene.followup.tracking_method import TrackingMethod
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.nodes.time_points import time_point_id
from oncotrack.scene.session.time_point_selection import TimePointSelection

_MATCHING = 0.8  # end of the part on the progress bar


class ChainTasks:
    """Factory of the tasks that follow findings from visit to visit.

    Parameters
    ----------
    nodes : FindingNodes
    choice : TimePointSelection
    method : TrackingMethod
    go_to : callable
        Shows a finding by its uid, after it was followed.
    """

    def __init__(
        self, nodes: FindingNodes, choice: TimePointSelection, method: TrackingMethod, go_to: Callable[[str], None]
    ) -> None:
        self._nodes, self._choice, self._method, self._go_to = nodes, choice, method, go_to

    def follow(self, findings: Sequence[Finding], text: str, first: int = 0) -> Task:
        """Return the task that follows findings from the visit where each is first seen, but not before visit `first`.

        Observations that a reader accepted, edited, rejected or marked absent stay as they are, and so does a finding that
        the reader changed or deleted while the task ran. Applying the task is one
        step of undo, named `text`, and returns the findings; a cancelled task changes nothing.
        """
        visits, method = self._choice.visits, self._method.name
        ids = [time_point_id(volume) for volume in visits]
        chains = [self._known(finding, ids, first) for finding in findings]
        if len(visits) < 2:
            raise InputError("Two visits are needed. Choose the scans in which the lesion is to be searched.")
        self._choice.check_patients(visits)
        pairs = {
            (earlier, later): self._choice.pair(visits[earlier], visits[later])
            for later in range(1, len(visits))
            for earlier in range(later)
        }
        scans = {key: pair.scans() for key, pair in pairs.items()}

        def pair_of(earlier: int, later: int) -> ScanPair:
            return scans[earlier, later].pair

        starts = [{visit: seen for visit, each in enumerate(ids) if (seen := finding.at(each))} for finding in findings]

        def work(progress: Progress) -> list[list[tuple[int, Observation]]]:
            links = follow_chains(
                pair_of, len(visits), self._method.tracker(method), chains, part_of(progress, 0.0, _MATCHING)
            )
            part = part_of(progress, _MATCHING, 1.0)
            measured = []
            for number, (seen, chain) in enumerate(zip(starts, links, strict=True)):
                part(number / len(links), "Measuring")
                measured.append(_measured(pair_of, seen, chain))
            return measured

        def apply(links: list[list[tuple[int, Observation]]]) -> tuple[Finding, ...]:
            if any(not scans[key].is_of(*pair.volumes) for key, pair in pairs.items()):
                raise InputError("The scans were changed meanwhile, so the matches were discarded. Search again.")
            known = self._nodes.findings
            for key, pair in pairs.items():
                if (registration := scans[key].registration) is not None:
                    pair.draw(registration)
            with known.group(text):
                self._choice.name_time_points()
                for finding, chain in zip(findings, links, strict=True):
                    for visit, seen in chain if known.is_still(finding, *ids) else ():
                        known.observe(finding.uid, ids[visit], seen)
            left = tuple(known[finding.uid] for finding in findings if finding.uid in known)
            if left:
                self._go_to(left[0].uid)
            return left

        return Task("Following through the visits", work, apply)

    def _known(self, finding: Finding, ids: Sequence[str], first: int) -> KnownPositions:
        known: dict[int, KnownPosition | None] = {}
        for visit, time_point in enumerate(ids):
            seen = finding.at(time_point)
            if visit < first or seen is None:
                continue
            is_start = not any(known.values())
            if seen.is_there and (is_start or seen.is_decided):
                known[visit] = KnownPosition(seen.centre, seen.radius_mm)
            elif seen.is_decided:
                known[visit] = None
        if not any(known.values()):
            raise InputError(
                f"{finding.label} is not seen at any visit, so it cannot be followed. Mark its position, or click it in "
                "the baseline."
            )
        return known


def _measured(
    pair_of: Callable[[int, int], ScanPair], seen: Mapping[int, Observation], chain: Sequence[Link]
) -> list[tuple[int, Observation]]:
    """Return the visits of a chain with what was found there, each measured from the visit that it was searched from."""
    known, found = dict(seen), []
    for link in chain:
        match, before = link.match.observation(), known.get(link.start)
        if before is not None:
            match = measure_if_possible(pair_of(link.start, link.visit), before, match)
        known[link.visit] = match
        found.append((link.visit, match))
    return found

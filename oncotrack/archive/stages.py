"""The jobs on one patient: nodes detected on every scan, followed through the visits, measured, and the response.

Each function takes findings and scans and returns findings; none reads or writes files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from oncotrack.archive.plan import Plan
from oncotrack.background.jobs import Progress, part_of, silent
from oncotrack.detection.detector import NodeDetector
from oncotrack.detection.shown import shown_and_hidden
from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding, Observation, Provenance, Role, State, TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.note import not_compared
from oncotrack.findings.scans import time_point_of, visit_labels
from oncotrack.followup.chain import KnownPosition, VisitPairs, follow_chains
from oncotrack.followup.measure import measure_if_possible, measure_start
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, Tracker
from oncotrack.images.volume import Volume
from oncotrack.response.proposed_roles import with_proposed_roles

_SAME_MM = 10.0
"""A proposal this near to a followed lesion is the same lesion, or nearer than its radius if that is larger."""
_FAR_MM = 1e6
_PROPOSED = "proposed by "


def detect(volume: Volume, detector: NodeDetector, most: int, progress: Progress = silent) -> FindingList:
    """Return the proposals of one scan, most probable first; those beyond the usual number are left out.

    Parameters
    ----------
    volume : Volume
        The scan.
    detector : NodeDetector
        The detector.
    most : int
        Number of proposals that are kept, if they have probabilities.
    progress : Progress
        Called with the fraction done; it may cancel.
    """
    found, _hidden = shown_and_hidden(detector.detect(volume, progress, time_point="t0"), "t0", most)
    return FindingList([time_point_of(volume, "t0", "")], found)


def together(detected: Sequence[FindingList]) -> tuple[list[TimePoint], list[list[Finding]]]:
    """Return the time points of all visits, and the proposals of each with its identifier, "t0", "t1" and so on.

    Parameters
    ----------
    detected : sequence of FindingList
        What `detect` returned, one for each visit.
    """
    visits = [
        replace(found.time_points[0], id=f"t{n}", label=label)
        for n, (found, label) in enumerate(zip(detected, visit_labels(len(detected)), strict=True))
    ]
    proposals = [
        [replace(each, observations={f"t{n}": each.observation("t0")}) for each in found]
        for n, found in enumerate(detected)
    ]
    return visits, proposals


def follow(
    visits: Sequence[TimePoint],
    proposals: Sequence[Sequence[Finding]],
    pairs: VisitPairs | None,
    tracker: Callable[[], Tracker],
    progress: Progress = silent,
) -> FindingList:
    """Return the proposals of all visits as one list: each is followed to all later visits.

    A proposal of a later visit near a followed lesion is that lesion; any other is a finding of its own, and new where the
    scan before shows its place. Visits that cannot be registered are not compared, which a note says for each pair.

    Parameters
    ----------
    visits, proposals
        From `together`.
    pairs : VisitPairs or None
        The scans; None for a single visit.
    tracker : callable
        Returns the follow-up method.
    progress : Progress
        Called with the fraction done; it may cancel.
    """
    findings: list[Finding] = []
    for start, visit in enumerate(visits):
        rest = list(proposals[start])
        findings = _joined(findings, visit.id, rest)
        if start and rest:
            assert pairs is not None, "there are several visits"
            rest = [_new(finding, visit.id, pairs, start) for finding in rest]
        if pairs is not None and rest and start < len(visits) - 1:
            part = part_of(progress, start / len(visits), (start + 1) / len(visits))
            known = [{start: _position(finding.observation(visit.id))} for finding in rest]
            chains = follow_chains(
                pairs, len(visits), tracker(), known, part, can_search=lambda *pair: not pairs.problem(*pair)
            )
            rest = [
                replace(
                    finding,
                    observations={
                        **finding.observations,
                        **{visits[link.visit].id: link.match.observation() for link in chain},
                    },
                )
                for finding, chain in zip(rest, chains, strict=True)
            ]
        findings += rest
    problems = pairs.problems if pairs is not None else {}
    notes = [not_compared(visits[earlier], visits[later], text) for (earlier, later), text in problems.items()]
    return FindingList(visits, [replace(finding, label=f"LN {n}") for n, finding in enumerate(findings, 1)], notes)


def measure(
    found: FindingList, volumes: Sequence[Volume], pairs: VisitPairs | None, progress: Progress = silent
) -> FindingList:
    """Return findings with mask, diameters and volume at every visit where they were found.

    Parameters
    ----------
    found : FindingList
        From `follow`.
    volumes : sequence of Volume
        The scans.
    pairs : VisitPairs or None
        The same scans; None for a single visit.
    progress : Progress
        Called between findings; it may cancel.
    """
    measured = []
    for number, finding in enumerate(found):
        progress(number / len(found), f"Measuring {number + 1} of {len(found)}")
        observations: dict[str, Observation] = {}
        before: tuple[int, Observation] | None = None
        for index, visit in enumerate(found.time_points):
            seen = finding.at(visit.id)
            if seen is None:
                continue
            if seen.is_there:
                if before is None or pairs is None or pairs.problem(before[0], index):
                    seen = _start(volumes[index], seen)
                else:
                    seen = measure_if_possible(pairs(before[0], index), before[1], seen)
                before = index, seen
            observations[visit.id] = seen
        measured.append(replace(finding, observations=observations))
    return FindingList(found.time_points, measured, found.notes)


def respond(found: FindingList, plan: Plan) -> FindingList:
    """Return findings with proposed roles, from which the response is computed.

    Parameters
    ----------
    found : FindingList
        From `measure`.
    plan : Plan
        The criteria.
    """
    first = found.time_points[0].id
    roles = with_proposed_roles(found.findings, first)
    return FindingList(found.time_points, roles, found.notes, criteria=plan.criteria)


def _position(seen: Observation) -> KnownPosition:
    half = seen.long_axis.length_mm / 2 if seen.long_axis else DEFAULT_RADIUS_MM
    return KnownPosition(seen.centre, seen.radius_mm or half)


def _joined(findings: list[Finding], visit: str, rest: list[Finding]) -> list[Finding]:
    """Return followed findings with the proposals of a visit that are the same lesions; these are taken out of `rest`.

    A match keeps its place and gets the proposal's probability. Where the lesion was not found, the proposal takes its place.
    """
    joined = dict(enumerate(findings))
    followed = [number for number, finding in joined.items() if finding.at(visit) is not None]
    if not followed or not rest:
        return findings
    lesions = [findings[number].observation(visit) for number in followed]
    proposals = [each.observation(visit) for each in rest]
    apart = cdist([each.centre for each in lesions], [each.centre for each in proposals])
    reach = np.array([max(_SAME_MM, each.radius_mm or 0.0) for each in lesions])
    is_near = apart <= reach[:, None]
    for row, column in zip(*linear_sum_assignment(np.where(is_near, apart, _FAR_MM)), strict=True):
        if is_near[row, column]:
            lesion, proposal, number = lesions[row], proposals[column], followed[row]
            seen = (
                replace(proposal, evidence=lesion.evidence)
                if lesion.state is State.NOT_FOUND
                else replace(lesion, probability=proposal.probability, provenance=_both(lesion, proposal))
            )
            joined[number] = findings[number].with_observation(visit, seen)
            rest.remove(next(each for each in rest if each.at(visit) is proposal))
    return list(joined.values())


def is_detected(seen: Observation) -> bool:
    """Return whether the detector proposes a followed lesion at a visit, too.

    Parameters
    ----------
    seen : Observation
        The lesion at the visit.
    """
    return _PROPOSED in seen.provenance.method or (seen.evidence is not None and seen.tracklet is not None)


def _both(match: Observation, proposal: Observation) -> Provenance:
    method = f"{match.provenance.method}; {_PROPOSED}{proposal.provenance.method}"
    return replace(match.provenance, method=method)


def _new(finding: Finding, visit: str, pairs: VisitPairs, index: int) -> Finding:
    """Return a proposal as a new finding, if the last scan before that it can be compared with shows its place."""
    earlier = next((n for n in reversed(range(index)) if not pairs.problem(n, index)), None)
    if earlier is None:
        return finding
    pair = pairs(earlier, index)
    before = pair.registration().to_baseline(finding.observation(visit).centre)
    return replace(finding, role=Role.NEW) if pair.baseline.geometry.contains(before) else finding


def _start(volume: Volume, seen: Observation) -> Observation:
    """Return a proposal with a mask and measured diameters; as it is where it cannot be measured."""
    if seen.mask is not None and seen.is_measured:
        return seen
    try:
        return measure_start(volume, seen)
    except InputError:
        return seen

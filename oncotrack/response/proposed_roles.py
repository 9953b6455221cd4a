"""Roles in RECIST 1.1 proposed by size alone, for findings that no reader has looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from oncotrack.findings.finding import Finding, Kind, Observation, Role
from oncotrack.response.criteria import MOST_PER_ORGAN, MOST_TARGETS, NORMAL_NODE_MM, TARGET_MM, TARGET_NODE_MM


def with_proposed_roles(findings: Sequence[Finding], baseline: str) -> list[Finding]:
    """Return findings with the roles that their sizes allow (Eisenhauer et al. 2009, sections 3.1 and 3.2).

    Of those at baseline the largest measurable ones are targets, at most five and two in an organ, all lymph nodes being one
    organ; other enlarged ones are non-targets. A new one stays new if it is ever enlarged, but equivocal: only a reader knows
    whether it is a lesion, and whether it was there before.

    Parameters
    ----------
    findings : sequence of Finding
        Without roles, or new.
    baseline : str
        Identifier of the first time point.
    """
    sizes = {each.uid: _size(each, each.at(baseline)) for each in findings}
    targets: set[str] = set()
    organs: Counter[str] = Counter()
    for each in sorted(findings, key=lambda each: -sizes[each.uid]):
        is_node = each.kind is Kind.LYMPH_NODE
        organ = "lymph nodes" if is_node else each.site.casefold()
        is_full = bool(organ) and organs[organ] >= MOST_PER_ORGAN
        if (
            sizes[each.uid] >= (TARGET_NODE_MM if is_node else TARGET_MM)
            and len(targets) < MOST_TARGETS
            and not is_full
        ):
            targets.add(each.uid)
            organs[organ] += 1
    return [_with_role(each, each.uid in targets, sizes[each.uid]) for each in findings]


def _with_role(finding: Finding, is_target: bool, baseline_mm: float) -> Finding:
    if finding.role is Role.NEW:
        if max(_size(finding, each) for each in finding.observations.values()) < NORMAL_NODE_MM:
            return replace(finding, role=Role.NONE)
        doubted = {
            visit: replace(each, assessment=replace(each.assessment, is_equivocal=True))
            for visit, each in finding.observations.items()
        }
        return replace(finding, observations=doubted)
    role = Role.TARGET if is_target else Role.NON_TARGET if baseline_mm >= NORMAL_NODE_MM else Role.NONE
    return replace(finding, role=role)


def _size(finding: Finding, seen: Observation | None) -> float:
    """Return the diameter that RECIST counts, mm; 0 where it was not measured."""
    if seen is None or not (seen.is_there and seen.is_measured):
        return 0.0
    axis = seen.short_axis if finding.kind is Kind.LYMPH_NODE else seen.long_axis
    return axis.length_mm if axis else 0.0

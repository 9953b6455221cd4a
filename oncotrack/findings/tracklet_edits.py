"""What a reader does to the slice boxes of a finding: each edit is one command of the list, and can be undone.

Every edit brings box, centre and axes up to the new slice boxes and makes the state `edited`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum

from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding, Kind, Observation, Provenance, State
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.tracklet import Tracklet

SAME_PLACE_IOU = 0.1
"""Two boxes that overlap by more than this are taken for the same node (the paper's matching threshold, AP3D@0.1)."""
_GIVEN_LABEL = re.compile(r"LN \d+")


class Rerun(str, Enum):
    """What happens to a reader's decisions when a scan is looked at again."""

    KEEP = "keep"
    """Nodes that a reader decided on, named or gave a mask stay, and nothing is proposed again at their places."""
    REPLACE = "replace"
    """All nodes of the scan make way for the new proposals."""


def replace_tracklet(
    findings: FindingList, uid: str, time_point: str, tracklet: Tracklet, text: str = "", reader: str = "reader"
) -> Finding:
    """Give a finding other slice boxes."""
    seen, _old = tracked(findings, uid, time_point)
    return findings.observe(
        uid,
        time_point,
        edited_by_reader(seen.with_tracklet(tracklet), reader),
        text or f"change the boxes of {findings[uid].label}",
    )


def split(findings: FindingList, uid: str, time_point: str, slice_index: int) -> tuple[Finding, Finding]:
    """Make two findings of one: the boxes below `slice_index` stay, those from it upwards become a new finding."""
    seen, tracklet = tracked(findings, uid, time_point)
    below, above = tracklet.split(slice_index)
    old = findings[uid]
    with findings.group(f"split {old.label}"):
        kept = replace_tracklet(findings, uid, time_point, below)
        new = findings.add(
            time_point, edited_by_reader(seen.with_tracklet(above)), kind=old.kind, role=old.role, site=old.site
        )
    return kept, new


def merge(findings: FindingList, uid: str, other: str, time_point: str) -> Finding:
    """Give the boxes of `other` to the finding `uid`; `other` leaves the list unless another scan shows it too.

    Raises
    ------
    InputError
        They are the same finding, have no boxes here, or were made on different slice grids.
    """
    if uid == other:
        raise InputError(f"{findings[uid].label} cannot be merged with itself. Choose another node.")
    seen, mine = tracked(findings, uid, time_point)
    its_seen, its = tracked(findings, other, time_point)
    scores = [each.score for each in (seen, its_seen) if each.score is not None]
    merged = replace(seen.with_tracklet(mine.merge(its)), score=max(scores, default=None))
    with findings.group(f"merge {findings[uid].label} with {findings[other].label}"):
        findings.remove_from_scan(other, time_point)
        return findings.observe(uid, time_point, edited_by_reader(merged))


def take_up(
    findings: FindingList, time_point: str, proposed: Sequence[Finding], rerun: Rerun = Rerun.KEEP
) -> tuple[Finding, ...]:
    """Take a detector's proposals into the list as one step of undo; returns those that were taken.

    Earlier proposals make way. Findings that another scan shows too always stay, and so do those without slice boxes,
    which no detector made. What stays keeps its place: a proposal is left out when its box overlaps that of a node that
    stays (`SAME_PLACE_IOU`) or holds its middle, as it does where a reader trimmed the node to a few slices. A proposal
    that was deleted comes again; one that was rejected does not.
    """
    gone = [
        finding for finding in detected(findings, time_point)
        if len(finding.observations) == 1
        and (rerun is Rerun.REPLACE or not _has_work(finding, time_point))
    ]  # fmt: skip
    taken = []
    with findings.group("detect lymph nodes"):
        for finding in gone:
            findings.remove_everywhere(finding.uid)
        known = [seen.box for finding in findings if (seen := finding.at(time_point)) and seen.box]
        for finding in proposed:
            box = finding.at(time_point).box
            if not any(box.iou(each) > SAME_PLACE_IOU or box.holds(each.centre) for each in known):
                taken.append(findings.insert(replace(finding, label=findings.next_label(finding.kind))))
    return tuple(taken)


def detected(findings: FindingList, time_point: str) -> tuple[Finding, ...]:
    """The lymph nodes of a scan that have slice boxes, in the list's order."""
    return tuple(
        finding
        for finding in findings
        if finding.kind is Kind.LYMPH_NODE and (seen := finding.at(time_point)) and seen.tracklet
    )


def has_decisions(findings: FindingList, time_point: str) -> bool:
    """Whether a reader decided on any node of a scan, named it or gave it a mask, so that a new run must ask first."""
    return any(_has_work(finding, time_point) for finding in detected(findings, time_point))


def edited_by_reader(seen: Observation, reader: str = "reader") -> Observation:
    """The same, as edited by a reader now."""
    provenance = replace(seen.provenance, reader=reader, when=Provenance().when)
    return replace(seen, state=State.EDITED, provenance=provenance)


def tracked(findings: FindingList, uid: str, time_point: str) -> tuple[Observation, Tracklet]:
    """What is seen of a finding at a time point, and its slice boxes; InputError when it has none."""
    finding = findings[uid]
    seen = finding.at(time_point)
    if seen is None or seen.tracklet is None:
        raise InputError(f"{finding.label} has no slice boxes on this scan. Choose a node that has them.")
    return seen, seen.tracklet


def _has_work(finding: Finding, time_point: str) -> bool:
    seen = finding.at(time_point)
    return seen.is_decided or seen.mask is not None or not _GIVEN_LABEL.fullmatch(finding.label)

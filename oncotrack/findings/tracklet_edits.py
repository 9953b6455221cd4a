"""Edits of the slice boxes of findings: each is one command of the list, and can be undone.

Every edit updates box, centre and axes to the new slice boxes and sets the state to `edited`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from enum import Enum

from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding, Kind, Observation, Role
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.observation_edits import edited_by_reader
from oncotrack.findings.tracklet import Tracklet

SAME_NODE_IOU = 0.1
"""Two boxes with a larger overlap are treated as the same node (the paper's matching threshold, AP3D@0.1)."""
_AUTOMATIC_LABEL = re.compile(r"LN \d+")


class Rerun(str, Enum):
    """What happens to a reader's decisions when a scan is searched again."""

    KEEP = "keep"
    """Nodes that a reader decided on, described, named or gave a mask stay, and nothing new is proposed at their positions."""
    REPLACE = "replace"
    """All nodes of the scan are replaced by the new proposals."""


def replace_tracklet(
    findings: FindingList, uid: str, time_point: str, tracklet: Tracklet, text: str = "", reader: str = "reader"
) -> Finding:
    """Replace the slice boxes of a finding and return it.

    Parameters
    ----------
    findings : FindingList
        The list that is changed.
    uid, time_point : str
        Identifiers of the finding and of the time point.
    tracklet : Tracklet
        The new slice boxes.
    text : str
        Name of the command, for the tooltips of undo and redo.
    reader : str
        Who edited them.

    Raises
    ------
    InputError
        There is no such finding, or it has no slice boxes at this time point.
    """
    observation, _old = _observation_and_tracklet(findings, uid, time_point)
    return findings.observe(
        uid,
        time_point,
        edited_by_reader(observation.with_tracklet(tracklet), reader),
        text or f"change the boxes of {findings[uid].label}",
    )


def split(findings: FindingList, uid: str, time_point: str, slice_index: int) -> tuple[Finding, Finding]:
    """Split a finding in two and return both: the boxes below a slice, and a new finding from that slice upwards.

    Parameters
    ----------
    findings : FindingList
        The list that is changed.
    uid, time_point : str
        Identifiers of the finding and of the time point.
    slice_index : int
        First slice of the new finding.

    Raises
    ------
    InputError
        There is no such finding, it has no slice boxes at this time point, or one part would be empty.
    """
    observation, tracklet = _observation_and_tracklet(findings, uid, time_point)
    below, above = tracklet.split(slice_index)
    old = findings[uid]
    with findings.group(f"split {old.label}"):
        kept = replace_tracklet(findings, uid, time_point, below)
        new = findings.add(
            time_point,
            edited_by_reader(observation.with_tracklet(above)),
            kind=old.kind,
            role=old.role,
            site=old.site,
            side=old.side,
        )
    return kept, new


def merge(findings: FindingList, uid: str, other: str, time_point: str) -> Finding:
    """Move the boxes of one finding to another; return the latter, and remove the former from this scan.

    Parameters
    ----------
    findings : FindingList
        The list that is changed.
    uid : str
        The finding that receives the boxes.
    other : str
        The finding that gives its boxes.
    time_point : str
        Identifier of the time point.

    Raises
    ------
    InputError
        They are the same finding, have no boxes here, or were made on different slice grids.
    """
    if uid == other:
        raise InputError(f"{findings[uid].label} cannot be merged with itself. Choose another node.")
    observation, tracklet = _observation_and_tracklet(findings, uid, time_point)
    other_observation, other_tracklet = _observation_and_tracklet(findings, other, time_point)
    scores = [each.score for each in (observation, other_observation) if each.score is not None]
    merged = replace(observation.with_tracklet(tracklet.merge(other_tracklet)), score=max(scores, default=None))
    with findings.group(f"merge {findings[uid].label} with {findings[other].label}"):
        findings.remove_from_scan(other, time_point)
        return findings.observe(uid, time_point, edited_by_reader(merged))


def add_proposals(
    findings: FindingList,
    time_point: str,
    proposed: Sequence[Finding],
    rerun: Rerun = Rerun.KEEP,
    changed: Collection[str] = (),
) -> tuple[Finding, ...]:
    """Add a detector's proposals as one step of undo, and return those that were added.

    Earlier proposals are removed. Findings that another scan shows too always stay, and so do those without slice
    boxes, which no detector made. No proposal is added where a node stays: where its box overlaps that node's by more
    than `SAME_NODE_IOU`, or contains that node's centre (a reader may have trimmed the node to a few slices). A
    proposal that was deleted is added again; one that was rejected is not.

    Parameters
    ----------
    findings : FindingList
        The list that is changed.
    time_point : str
        The scan that was searched.
    proposed : sequence of Finding
        With a box at this time point.
    rerun : Rerun
        What happens to a reader's decisions of an earlier run.
    changed : collection of str
        Uids of findings that the reader changed while the detector ran; decisions on them are kept in any case.
    """
    replaced = [
        finding for finding in detected_nodes(findings, time_point)
        if len(finding.observations) == 1
        and (
            not _has_reader_work(finding, time_point) or (rerun is Rerun.REPLACE and finding.uid not in changed)
        )
    ]  # fmt: skip
    added = []
    with findings.group("detect lymph nodes"):
        for finding in replaced:
            findings.remove_everywhere(finding.uid, keep_label=_has_reader_work(finding, time_point))
        staying = [observation.box for _finding, observation in findings.observations_at(time_point) if observation.box]
        for finding in proposed:
            box = finding.observation(time_point).box
            if box and not any(box.iou(each) > SAME_NODE_IOU or box.contains(each.centre) for each in staying):
                added.append(findings.insert(replace(finding, label=findings.next_label(finding.kind))))
    return tuple(added)


def detected_nodes(findings: FindingList, time_point: str) -> tuple[Finding, ...]:
    """Return the lymph nodes of a scan that have slice boxes, in the list's order.

    Parameters
    ----------
    findings : FindingList
        All findings.
    time_point : str
        The scan.
    """
    return tuple(
        finding
        for finding, observation in findings.observations_at(time_point)
        if finding.kind is Kind.LYMPH_NODE and observation.tracklet
    )


def has_decisions(findings: FindingList, time_point: str) -> bool:
    """Return whether a reader decided on any node of a scan, described or named it, or gave it a mask.

    If so, the interface asks the reader before the scan is searched again.

    Parameters
    ----------
    findings : FindingList
        All findings.
    time_point : str
        The scan.
    """
    return any(_has_reader_work(finding, time_point) for finding in detected_nodes(findings, time_point))


def _observation_and_tracklet(findings: FindingList, uid: str, time_point: str) -> tuple[Observation, Tracklet]:
    """Return the observation of a finding and its slice boxes; raise InputError when it has none."""
    finding = findings[uid]
    observation = finding.at(time_point)
    if observation is None or observation.tracklet is None:
        raise InputError(f"{finding.label} has no slice boxes on this scan. Choose a node that has them.")
    return observation, observation.tracklet


def _has_reader_work(finding: Finding, time_point: str) -> bool:
    observation = finding.observation(time_point)
    has_own_label = not _AUTOMATIC_LABEL.fullmatch(finding.label)
    has_own_mask = observation.mask is not None and bool(observation.provenance.reader)  # a detector proposes masks too
    is_described = finding.role is not Role.NONE or any((finding.site, finding.comment, finding.reader))
    return observation.is_decided or has_own_mask or has_own_label or is_described

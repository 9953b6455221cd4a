"""The files of a follow-up: findings, a report, and a scene where Slicer's libraries are installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

from oncotrack.cli.output import print_message
from oncotrack.findings.finding import Observation, Provenance, State, point
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.note import Note
from oncotrack.findings.scans import time_point_of, visit_labels
from oncotrack.followup.chain import Link, VisitPairs
from oncotrack.followup.tracker import Match, ScanPair
from oncotrack.images.volume import Volume
from oncotrack.registration.registration import Registration
from oncotrack.report import Truth, write_report, write_visits_report

BASELINE, FOLLOWUP = "t0", "t1"
"""Identifiers of the first two time points, as in the scene."""


def findings_of_pair(
    pair: ScanPair, matches: Sequence[tuple[Sequence[float], float, Match]], notes: Sequence[Note] = ()
) -> FindingList:
    """Return the findings of two time points; `matches` holds clicked position (RAS mm), radius (mm) and match."""
    scans = ((BASELINE, "baseline", pair.baseline), (FOLLOWUP, "follow-up", pair.followup))
    findings = FindingList([time_point_of(image, name, label) for name, label, image in scans], notes=notes)
    for at, radius, match in matches:
        finding = findings.add(BASELINE, _clicked_observation(at, radius))
        findings.observe(finding.uid, FOLLOWUP, match.observation())
    return findings


def write_pair(
    out: Path,
    pair: ScanPair,
    findings: FindingList,
    *,
    title: str,
    note: str = "",
    truths: Mapping[str, Sequence[float]],
) -> list[Path]:
    """Write ``findings.json``, ``report.html`` and, with slicer-core, ``scene.mrb``; return their paths.

    `truths` are known positions in the follow-up (RAS mm) by the finding's UID.
    """
    known = [Truth(uid, point(position)) for uid, position in truths.items()]
    report = write_report(out / "report.html", pair, findings, title=title, note=note, truths=known)
    volumes = pair.baseline, pair.followup
    return [report, *_write_list_and_scene(out, volumes, findings, {(0, 1): pair.registration()})]


def findings_of_visits(
    visits: VisitPairs, at: Sequence[float], radius: float, links: Sequence[Link], notes: Sequence[Note] = ()
) -> FindingList:
    """Return the lesion clicked at the first visit (RAS mm, radius in mm) and its chain of matches as one finding."""
    scans = zip(visit_labels(len(visits)), visits.volumes, strict=True)
    findings = FindingList(
        [time_point_of(image, f"t{n}", label) for n, (label, image) in enumerate(scans)], notes=notes
    )
    finding = findings.add(BASELINE, _clicked_observation(at, radius))
    for link in links:
        findings.observe(finding.uid, f"t{link.visit}", link.match.observation())
    return findings


def write_visits(out: Path, visits: VisitPairs, findings: FindingList, *, title: str) -> list[Path]:
    """Write the same files for many visits; the report has one column for each visit."""
    report = write_visits_report(out / "report.html", visits.volumes, findings, title=title)
    return [report, *_write_list_and_scene(out, visits.volumes, findings, visits.registrations)]


def _clicked_observation(at: Sequence[float], radius: float) -> Observation:
    provenance = Provenance(reader="reader")
    return Observation(centre=point(at), state=State.ACCEPTED, radius_mm=radius, provenance=provenance)


def _write_list_and_scene(
    out: Path,
    volumes: Sequence[Volume],
    findings: FindingList,
    registrations: Mapping[tuple[int, int], Registration],
) -> list[Path]:
    written = [findings.save(out / "findings.json")]
    if importlib.util.find_spec("slicer") is None:
        print_message('scene.mrb was not written: it needs the package slicer-core (pip install "oncotrack[slicer]").')
        return written
    from oncotrack.scene.files.bundle import write_scene

    return [*written, write_scene(out / "scene.mrb", volumes, findings, registrations)]

"""What a follow-up leaves behind: the findings, a report, and the scene where Slicer's libraries are installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

from oncotrack.cli.output import say
from oncotrack.findings.finding import Observation, Provenance, State, TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.followup.chain import Link, VisitPairs
from oncotrack.followup.tracker import Match, ScanPair
from oncotrack.images.volume import Volume
from oncotrack.registration.registration import Registration
from oncotrack.report import Truth, write_report, write_visits_report

BASELINE, FOLLOWUP = "t0", "t1"  # as the scene names the first two scans


def followed(pair: ScanPair, matches: Sequence[tuple[Sequence[float], float, Match]]) -> FindingList:
    """A list of (clicked point RAS, radius mm, match) as findings of two time points."""
    scans = ((BASELINE, "baseline", pair.baseline), (FOLLOWUP, "follow-up", pair.followup))
    findings = FindingList([_time_point(*scan) for scan in scans])
    for at, radius, match in matches:
        seen = Observation(
            centre=tuple(at), state=State.ACCEPTED, radius_mm=radius, provenance=Provenance(reader="reader")
        )
        finding = findings.add(BASELINE, seen)
        findings.observe(finding.uid, FOLLOWUP, match.observation())
    return findings


def write(
    out: Path,
    pair: ScanPair,
    findings: FindingList,
    *,
    title: str,
    note: str = "",
    truths: Mapping[str, Sequence[float]],
) -> list[Path]:
    """``findings.json``, ``report.html`` and, with slicer-core, ``scene.mrb``; returns what was written."""
    known = [Truth(uid, tuple(place)) for uid, place in truths.items()]
    report = write_report(out / "report.html", pair, findings, title=title, note=note, truths=known)
    volumes = pair.baseline, pair.followup
    return [report, *_list_and_scene(out, volumes, findings, {(0, 1): pair.registration()})]


def followed_through(visits: VisitPairs, at: Sequence[float], radius: float, links: Sequence[Link]) -> FindingList:
    """A lesion clicked at the first visit (RAS, radius in mm) and its chain as one finding."""
    labels = ("baseline", "follow-up", *(f"follow-up {n}" for n in range(2, len(visits))))
    findings = FindingList(
        [_time_point(f"t{n}", *about) for n, about in enumerate(zip(labels, visits.volumes, strict=False))]
    )
    seen = Observation(centre=tuple(at), state=State.ACCEPTED, radius_mm=radius, provenance=Provenance(reader="reader"))
    finding = findings.add("t0", seen)
    for link in links:
        findings.observe(finding.uid, f"t{link.visit}", link.match.observation())
    return findings


def write_visits(out: Path, visits: VisitPairs, findings: FindingList, *, title: str) -> list[Path]:
    """The same files for many visits; the report has a column a visit."""
    report = write_visits_report(out / "report.html", visits.volumes, findings, title=title)
    return [report, *_list_and_scene(out, visits.volumes, findings, visits.registrations)]


def _list_and_scene(
    out: Path,
    volumes: Sequence[Volume],
    findings: FindingList,
    registrations: Mapping[tuple[int, int], Registration],
) -> list[Path]:
    written = [findings.save(out / "findings.json")]
    if importlib.util.find_spec("slicer") is None:
        say('scene.mrb was not written: it needs the package slicer-core (pip install "oncotrack[slicer]").')
        return written
    from oncotrack.scene.files.bundle import write_scene

    return [*written, write_scene(out / "scene.mrb", volumes, findings, registrations)]


def _time_point(name: str, label: str, volume: Volume) -> TimePoint:
    about = volume.metadata
    return TimePoint(
        name, label, about.get("path", ""), about.get("date", ""), about.get("series_uid", ""), volume.fingerprint
    )

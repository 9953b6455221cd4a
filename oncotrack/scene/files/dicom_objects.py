"""Findings of a scene as DICOM objects, written and read; the scans of the scene were opened from DICOM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from oncotrack.background.jobs import Progress, part_of
from oncotrack.errors import InputError
from oncotrack.findings.finding import TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.nodes.volumes import to_volume

if TYPE_CHECKING:
    from oncotrack.dicom_objects.importing import Imported
    from oncotrack.images.dicom import Series
    from oncotrack.images.volume import Volume
    from oncotrack.scene.session.scan_session import ScanSession


def export_task(
    session: ScanSession,
    folder: Path,
    written: Callable[[list[Path], tuple[str, ...]], object],
    earlier: Sequence[Path] = (),
) -> Task:
    """Return the task that writes reports and segmentations of all visits.

    Parameters
    ----------
    session : ScanSession
        The session of the scene.
    folder : Path
        Where the files are written.
    written : callable
        Called with the files, and with sentences on what was left out.
    earlier : sequence of Path
        Other folders with reports that the new ones replace: those that the findings were read from.

    Raises
    ------
    InputError
        No scan was opened from DICOM.
    """
    scans, points, findings = _scans(session), session.time_points, session.findings.findings

    def work(progress: Progress) -> tuple[list[Path], tuple[str, ...]]:
        from oncotrack.dicom_objects.export import earlier_reports, export, save

        progress(0.0, "Reading the headers")
        found = {point.id: _series(volume) for point, volume in scans}
        result = export(
            points,
            findings,
            found,
            predecessors=earlier_reports(folder, *earlier),
            progress=part_of(progress, 0.1, 0.9),
        )
        return save(result.objects, folder), result.left_out

    return Task("Writing DICOM objects", work, lambda found: written(*found))


def import_task(
    session: ScanSession, paths: Sequence[Path], read: Callable[[str, tuple[str, ...], int], object]
) -> Task:
    """Return the task that reads DICOM objects onto the open scans.

    Parameters
    ----------
    session : ScanSession
        The session of the scene.
    paths : sequence of Path
        Files or folders.
    read : callable
        Called with the new list of findings as JSON, with sentences on what could not be read, and with the number of
        findings that were read. Findings of the list stay, those with the same tracking UID are replaced.

    Raises
    ------
    InputError
        No scan was opened from DICOM.
    """
    scans, known = _scans(session), session.findings
    points = session.time_points
    before = FindingList(points, known.findings, known.notes, known.measurements)

    def work(progress: Progress) -> Imported:
        from oncotrack.dicom_objects.importing import import_objects

        progress(0.0, "Reading the headers")
        found = [(volume, _series(volume)) for _, volume in scans]
        return import_objects(paths, found, progress=part_of(progress, 0.2, 1.0))

    def apply(imported: Imported) -> object:
        ids = {new.id: scan.id for new, (scan, _) in zip(imported.findings.time_points, scans, strict=True)}
        merged = {finding.uid: finding for finding in before}
        for finding in imported.findings:
            observations = {ids[key]: seen for key, seen in finding.observations.items()}
            merged[finding.uid] = replace(finding, observations=observations)
        whole = FindingList(points, tuple(merged.values()), before.notes, before.measurements)
        return read(whole.to_json(), imported.problems, len(imported.findings))

    return Task("Reading DICOM objects", work, apply)


def _scans(session: ScanSession) -> list[tuple[TimePoint, Volume]]:
    """Return the visits that were opened from DICOM."""
    pairs = zip(session.time_points, map(to_volume, session.visits), strict=True)
    found = [(point, volume) for point, volume in pairs if volume.metadata.get("series_uid")]
    if not found:
        raise InputError(
            "DICOM objects refer to the images of a DICOM series, and no open scan comes from DICOM. Open the DICOM folder "
            "of the scan."
        )
    return found


def _series(volume: Volume) -> Series:
    """Return the series that a scan was opened from."""
    from oncotrack.images.dicom import load_study

    about = volume.metadata
    path = about.get("path", "")
    if not path or not Path(path).exists():
        raise InputError(f"The DICOM files of {volume.name} are no longer where they were opened. Open the scan again.")
    same = [each for each in load_study(path).series if each.uid == about["series_uid"]]
    found = [each for each in same if each.part == about.get("part", "")] or same
    if not found:
        raise InputError(f"{path} no longer holds the series of {volume.name}. Open the scan again.")
    return found[0]

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
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.nodes.time_points import time_point_of
from oncotrack.scene.nodes.volumes import to_volume
from oncotrack.scene.session.time_point_selection import TimePointSelection

if TYPE_CHECKING:
    import slicer

    from oncotrack.dicom_objects.importing import Imported
    from oncotrack.images.dicom import Series
    from oncotrack.images.volume import Volume


def export_task(
    nodes: FindingNodes,
    folder: Path,
    written: Callable[[list[Path], tuple[str, ...]], object],
    earlier: Sequence[Path] = (),
    scan: slicer.vtkMRMLScalarVolumeNode | None = None,
) -> Task:
    """Return the task that writes reports and segmentations of all visits.

    Parameters
    ----------
    nodes : FindingNodes
        The findings of the scene.
    folder : Path
        Where the files are written.
    written : callable
        Called with the files, and with sentences on what was left out.
    earlier : sequence of Path
        Other folders with reports that the new ones replace: those that the findings were read from.
    scan : vtkMRMLScalarVolumeNode, optional
        The scan of a session that works on one, which need not be a visit.

    Raises
    ------
    InputError
        No scan was opened from DICOM.
    """
    every = _every_scan(nodes, scan)
    scans, points, findings = _of_dicom(every), [point for point, _ in every], nodes.findings.findings

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
    nodes: FindingNodes,
    paths: Sequence[Path],
    read: Callable[[str, tuple[str, ...], int], object],
    scan: slicer.vtkMRMLScalarVolumeNode | None = None,
) -> Task:
    """Return the task that reads DICOM objects onto the open scans.

    Parameters
    ----------
    nodes : FindingNodes
        The findings of the scene.
    paths : sequence of Path
        Files or folders.
    read : callable
        Called with the new list of findings as JSON, with sentences on what could not be read, and with the number of
        findings that were read. Findings of the list stay, those with the same tracking UID are replaced.
    scan : vtkMRMLScalarVolumeNode, optional
        As for `export_task`.

    Raises
    ------
    InputError
        No scan was opened from DICOM.
    """
    every, known = _every_scan(nodes, scan), nodes.findings
    scans, ids = _of_dicom(every), {point.id for point, _ in every}
    points = [*(point for point, _ in every), *(each for each in known.time_points if each.id not in ids)]
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


def _every_scan(
    nodes: FindingNodes, scan: slicer.vtkMRMLScalarVolumeNode | None
) -> list[tuple[TimePoint, slicer.vtkMRMLScalarVolumeNode]]:
    """Return the visits and, where it is none of them, the scan of the session."""
    choice = TimePointSelection(nodes)
    found = list(zip(choice.time_points, choice.visits, strict=True))
    if scan is not None and scan not in choice.visits:
        found.append((time_point_of(scan, nodes.findings, "scan"), scan))
    return found


def _of_dicom(scans: list[tuple[TimePoint, slicer.vtkMRMLScalarVolumeNode]]) -> list[tuple[TimePoint, Volume]]:
    """Return the scans that were opened from DICOM."""
    pairs = [(point, to_volume(scan)) for point, scan in scans]
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

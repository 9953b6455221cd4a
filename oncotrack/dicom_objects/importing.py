"""Reading of DICOM objects as a list of findings: reports, segmentations, structure sets and presentation states."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from oncotrack.background.isolation import isolated
from oncotrack.background.jobs import Progress, silent
from oncotrack.dicom_objects.library import is_own
from oncotrack.dicom_objects.mask_objects import Structure, read_rtstruct, read_seg
from oncotrack.dicom_objects.object_files import KINDS, damage_noted, find_objects, predecessors
from oncotrack.dicom_objects.presentation_reader import read_presentation
from oncotrack.dicom_objects.report_reader import ReadFinding, Reading, label_of, read_report, segments_of, when_of
from oncotrack.dicom_objects.scans import Scan, Scans
from oncotrack.dicom_objects.source_images import SourceImages
from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding, Observation, Provenance, State, TimePoint, new_uid
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.scans import time_point_of
from oncotrack.images.dicom import Series
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.findings import observation


@dataclass(frozen=True)
class Imported:
    """What was read.

    Attributes
    ----------
    findings : FindingList
        The findings of all scans.
    problems : tuple of str
        What could not be read, why, and what to do.
    """

    findings: FindingList
    problems: tuple[str, ...]


def import_objects(
    paths: Iterable[str | Path], scans: Sequence[tuple[Volume, Series]], progress: Progress = silent
) -> Imported:
    """Read DICOM objects as findings of some scans.

    Findings of the same tracking UID on several scans become one. Other DICOM files in a folder are passed over.

    Parameters
    ----------
    paths : iterable of path
        Files, or folders of files.
    scans : sequence of (Volume, Series)
        The scans in the order of the visits, each with its DICOM series.
    progress : Progress
        Called before each object.

    Raises
    ------
    InputError
        There is no object to read, or nothing of them could be read.
    """
    about = [
        (time_point_of(volume, f"t{n}", _label(n, len(scans))), volume.name, volume.geometry, series)
        for n, (volume, series) in enumerate(scans)
    ]
    findings, problems = _imported([Path(path) for path in paths], about, progress=progress)
    return Imported(FindingList.from_json(findings), problems)


@isolated
def _imported(
    paths: list[Path], scans: list[tuple[TimePoint, str, Geometry, Series]], progress: Progress = silent
) -> tuple[str, tuple[str, ...]]:
    """Return the findings as JSON, and the problems; of the scans only the grids are needed."""
    placed = Scans(
        tuple(
            Scan(point, Volume(np.broadcast_to(np.uint8(0), grid.shape), grid, name), SourceImages.of(series))
            for point, name, grid, series in scans
        )
    )
    reading = Reading()
    objects = find_objects(paths, reading)
    segments: dict[tuple[str, int], tuple[Scan, Structure]] = {}
    replaced = {uid for _, header in objects for uid in predecessors(header)}
    outdated = {key for _, header in objects if header.SOPInstanceUID in replaced for key in segments_of(header)}
    objects.sort(key=lambda each: when_of(each[1]), reverse=True)  # of two masks of a lesion the newer one is taken
    order = sorted(objects, key=lambda each: list(KINDS).index(each[1].Modality))
    for number, (path, header) in enumerate(order):
        progress(number / len(order), f"Reading {path.name}")
        if str(header.SOPInstanceUID) in replaced:
            continue
        with damage_noted(path.name, reading):
            if header.Modality == "SEG":
                _read_segmentation(path, header, placed, segments, reading)
            elif header.Modality == "SR":
                read_report(header, path.name, placed, segments, reading)
            elif header.Modality == "PR":
                read_presentation(header, path.name, placed, reading)
            else:
                _read_structures(path, header, placed, reading)
    for (instance, number), (scan, structure) in segments.items():
        if (instance, number) not in reading.used_segments | outdated:
            path, header = next(each for each in objects if each[1].SOPInstanceUID == instance)
            with damage_noted(path.name, reading):
                reading.findings.append(_of_structure(structure, scan, header))
    if not reading.findings:
        raise InputError(" ".join(["No finding could be read.", *reading.problems]))
    return _merged(placed, reading).to_json(), tuple(reading.problems)


def _label(number: int, count: int) -> str:
    return "baseline" if not number else "follow-up" if count == 2 else f"follow-up {number}"


def _scan_of(header: Dataset, path: Path, scans: Scans) -> Scan:
    scan = scans.of_object(header)
    if scan is None:
        raise InputError(
            f"{path.name}: this {KINDS[header.Modality]} was drawn on a series that is not among the scans. "
            "Add the scan that it was drawn on."
        )
    return scan


def _read_segmentation(
    path: Path,
    header: Dataset,
    scans: Scans,
    segments: dict[tuple[str, int], tuple[Scan, Structure]],
    reading: Reading,
) -> None:
    scan = _scan_of(header, path, scans)
    structures = read_seg(path)
    if str(header.get("SegmentationType")) == "FRACTIONAL":
        reading.problems.append(f"{path.name} holds fractions of voxels; those of at least one half count as inside.")
    empty = len(header.SegmentSequence) - len(structures)
    for structure in structures:
        low, high = structure.mask.geometry.bounds
        box_low, box_high = scan.volume.geometry.bounds
        if (low > box_high).any() or (high < box_low).any():
            reading.problems.append(f"{path.name}: {structure.name} lies outside {scan.volume.name} and was left out.")
            continue
        fitted = replace(structure, mask=scan.fitted(structure.mask))
        segments[(str(header.SOPInstanceUID), structure.number)] = (scan, fitted)
    if empty and not structures:
        reading.problems.append(f"{path.name} holds no voxel of any segment.")


def _read_structures(path: Path, header: Dataset, scans: Scans, reading: Reading) -> None:
    scan = _scan_of(header, path, scans)
    for structure in read_rtstruct(path, scan.volume):
        if not structure.mask.array.any():
            reading.problems.append(f"{path.name}: {structure.name} has no closed contour and was left out.")
            continue
        reading.findings.append(_of_structure(structure, scan, header))


def _of_structure(structure: Structure, scan: Scan, header: Dataset) -> ReadFinding:
    """Return a mask as a finding: accepted where a person drew it, a proposal where a program did."""
    maker = " ".join(filter(None, (str(header.get(k) or "") for k in ("Manufacturer", "ManufacturerModelName"))))
    person = str(header.get("ContentCreatorName") or header.get("OperatorsName") or "").rstrip("^")
    when = when_of(header)
    made = Provenance(
        structure.method or f"DICOM {KINDS[header.Modality]} of {maker or 'unknown'}",
        person,
    )
    made = replace(made, when=when or made.when)
    state = State.PROPOSED if structure.is_automatic else State.ACCEPTED
    seen = replace(observation(structure.mask, state=state), provenance=made)
    label = label_of(structure.tracking_id) if structure.tracking_id.lower().startswith("cornerstone") else ""
    finding = Finding(
        label=label or structure.name,
        kind=structure.kind,
        uid=structure.uid or new_uid(),
        site=structure.site,
        side=structure.side,
    )
    visit = "", ""
    if is_own(header):
        visit = str(header.get("ClinicalTrialTimePointID")), str(header.get("ClinicalTrialTimePointDescription"))
    return ReadFinding(finding, scan, seen, visit, is_drawn=False)


def _merged(scans: Scans, reading: Reading) -> FindingList:
    """Return one list: findings of the same tracking UID are one, and every finding has a label of its own."""
    points = _time_points(scans, reading.findings)
    together: dict[str, list[ReadFinding]] = {}
    for read in reading.findings:
        together.setdefault(read.finding.uid, []).append(read)
    merged = FindingList([points[id(scan)] for scan in scans.all])
    for reads in together.values():
        finding = _combined([read.finding for read in reads])
        if not finding.label or finding.label in {each.label for each in merged}:
            finding = replace(finding, label=merged.next_label(finding.kind))
        visits = {points[id(read.scan)].id: [each for each in reads if each.scan is read.scan] for read in reads}
        merged.insert(replace(finding, observations={key: _observed(each) for key, each in visits.items()}))
    return FindingList(merged.time_points, merged.findings)


def _combined(findings: Sequence[Finding]) -> Finding:
    """Return a finding with what each of several files says about it, the first one first."""

    def first(name: str) -> Any:
        empty = getattr(Finding(label=""), name)
        return next((value for each in findings if (value := getattr(each, name)) != empty), empty)

    names = "label", "kind", "site", "role", "side", "comment", "reader", "split_from"
    return replace(findings[0], **{name: first(name) for name in names})


def _observed(reads: Sequence[ReadFinding]) -> Observation:
    """Return the observation that several files describe: drawn diameters of one, mask and numbers of another."""
    drawn = next((read.observation for read in reads if read.is_drawn), reads[0].observation)
    masked = next((read.observation for read in reads if read.observation.mask), drawn)
    numbers = [read.observation for read in reads]
    peak = next((each.assessment.sul_peak for each in numbers if each.assessment.sul_peak is not None), None)
    return replace(
        masked,
        state=drawn.state,
        provenance=drawn.provenance,
        long_axis=drawn.long_axis or masked.long_axis,
        short_axis=drawn.short_axis or (None if drawn.long_axis else masked.short_axis),
        radius_mm=drawn.radius_mm or masked.radius_mm,
        volume_mm3=next((each.volume_mm3 for each in numbers if each.volume_mm3 is not None), None),
        uptake=next((each.uptake for each in numbers if each.uptake), None),
        assessment=replace(drawn.assessment, sul_peak=peak),
    )


def _time_points(scans: Scans, findings: Sequence[ReadFinding]) -> dict[int, TimePoint]:
    """Return the time points, with the identifiers and labels that OncoTrack wrote where all of them have one."""
    given = {id(read.scan): read.time_point for read in findings if read.time_point[0]}
    ids = [given.get(id(scan), ("", ""))[0] or scan.time_point.id for scan in scans.all]
    if len(set(ids)) < len(ids):
        return {id(scan): scan.time_point for scan in scans.all}
    return {
        id(scan): replace(scan.time_point, id=name, label=given.get(id(scan), ("", ""))[1] or scan.time_point.label)
        for scan, name in zip(scans.all, ids, strict=True)
    }

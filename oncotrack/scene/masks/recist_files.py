"""Import and export of masks: tables of axes, segmentations, training pairs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from oncotrack.background.jobs import Progress
from oncotrack.errors import InputError, OncoTrackError
from oncotrack.findings.finding import Finding, Kind, State
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.names import file_stems, numbered, scan_prefix
from oncotrack.findings.packed_mask import PackedMask
from oncotrack.images.files import without_suffix
from oncotrack.images.volume import Volume
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.axes_table import AxesRow, read_table, write_table
from oncotrack.masks.batch import MaskRequest, MaskResult, make_masks
from oncotrack.masks.findings import observation
from oncotrack.masks.label_files import write_labels
from oncotrack.masks.label_reader import read_labels
from oncotrack.masks.training_pairs import write_pair
from oncotrack.scene.nodes.mask_edits import with_mask, with_painted_mask
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.session.single_scan_selection import SingleScanSelection

if TYPE_CHECKING:
    from oncotrack.scene.masks.mask_editing import MaskEditing

SEGMENTATION, TABLE, FINDINGS, PAIRS = "masks.seg.nrrd", "masks.csv", "findings.json", "pairs"
_SCAN_CHANGED = "The scan was changed meanwhile, so the import was discarded. Start again."


@dataclass(frozen=True)
class ImportResult:
    """The outcome of an import: labels of new and of changed findings, and a sentence for each refusal."""

    new: tuple[str, ...]
    changed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def measure_table(session: MaskEditing, scan: SingleScanSelection, *tables: Path) -> Task:
    """Return the task that adds a finding with its mask for every row of a table of axes, one step of undo.

    Applying it returns an `ImportResult`.

    Parameters
    ----------
    *tables : Path
        CSV, or files with lines of Slicer, as `oncotrack.masks.axes_table.read_table` reads them. A row from which no
        mask can be made is reported in the result and does not stop the others.
    """
    image, name = scan.image(), tables[0].name

    def work(progress: Progress) -> list[MaskResult]:
        rows = read_table(*tables)
        has_scans = len({row.image for row in rows}) > 1
        requests = [MaskRequest(row.label, partial(_axes, image, row, has_scans)) for row in rows]
        return list(make_masks(requests, progress=progress))

    def apply(made: list[MaskResult]) -> ImportResult:
        if not scan.is_still(image):
            raise InputError(_SCAN_CHANGED)
        whole = [each for each in made if each.mask is not None]
        with session.findings.group(f"measure {len(whole)} rows of {name}"):
            new = tuple(session.add(with_mask(None, each.mask, each.axes), each.label).label for each in whole)
        return ImportResult(new, (), tuple(f"{each.label}: {each.error}" for each in made if each.error))

    return Task(f"Measuring the rows of {name}", work, apply)


def export(session: MaskEditing, scan: SingleScanSelection, folder: Path) -> Task:
    """Return the task that writes the masks that are not rejected; applying it returns the files' paths.

    `SEGMENTATION` holds one segment per finding, as Slicer and DICOM SEG writers read it; `TABLE` the axes and volumes;
    `FINDINGS` the whole list; the folder `PAIRS` an image and a mask of each finding, as training data. Where the list
    has several scans, the names of all but `FINDINGS` begin with the scan's.

    Raises
    ------
    InputError
        No finding of this scan has a mask.
    """
    image, time_point = scan.image(), session.time_point
    findings = FindingList(session.findings.time_points, session.findings.findings)
    prefix = scan_prefix(findings.time_points, time_point)
    chosen = [each for each in session.shown if _is_exported(each, time_point)]
    kind = Kind.LYMPH_NODE if all(each.kind is Kind.LYMPH_NODE for each in chosen) else Kind.LESION
    if not chosen:
        raise InputError("There are no masks to export. Draw the diameters of a lesion first.")

    def work(progress: Progress) -> tuple[Path, ...]:
        progress(0.1, "Writing the segmentation")
        labels = numbered([each.label for each in chosen])
        seen = dict(zip(labels, (each.at(time_point) for each in chosen), strict=True))
        masks = {label: each.mask.volume() for label, each in seen.items()}
        paths = [
            write_labels(folder / f"{prefix}{SEGMENTATION}", image.geometry, masks, kind),
            write_table(folder / f"{prefix}{TABLE}", seen.items()),
            findings.save(folder / FINDINGS),
        ]
        for done, (name, mask) in enumerate(zip(file_stems(labels), masks.values(), strict=True)):
            progress(0.4 + 0.6 * done / len(masks), f"Writing the training pair of {name}")
            write_pair(folder / f"{prefix}{PAIRS}", name, image, mask)
        return tuple(paths)

    return Task("Writing the masks", work, lambda paths: paths)


def import_masks(session: MaskEditing, scan: SingleScanSelection, path: Path) -> Task:
    """Return the task that adds a finding for every segment of a file, one step of undo.

    A segment with the label of a finding of this scan becomes that finding's mask. The axes are measured on the masks.
    Applying it returns an `ImportResult`.
    """
    image = scan.image()

    def work(progress: Progress) -> dict[str, Volume]:
        progress(0.1, path.name)
        return read_labels(path)

    def apply(masks: dict[str, Volume]) -> ImportResult:
        if not scan.is_still(image):
            raise InputError(_SCAN_CHANGED)
        new, changed, refused = [], [], []
        with session.findings.group(f"import the masks of {path.name}"):
            for label, mask in masks.items():
                try:
                    _import_segment(session, image, label, mask, new, changed)
                except OncoTrackError as error:
                    refused.append(f"{label}: {error}")
        return ImportResult(tuple(new), tuple(changed), tuple(refused))

    return Task(f"Reading {path.name}", work, apply)


def _axes(image: Volume, row: AxesRow, has_scans: bool) -> tuple[Volume, RecistAxes]:
    """Return image and axes of a row; in a table of several scans a row must name this one."""
    if row.axes is None:
        raise InputError(row.error)
    if has_scans and without_suffix(Path(row.image).name) != without_suffix(image.name):
        raise InputError(f"This row belongs to the scan {row.image or 'of no name'}, not to {image.name}.")
    return image, row.axes


def _import_segment(session: MaskEditing, image: Volume, label: str, mask: Volume, new: list, changed: list) -> None:
    if not image.geometry.contains(mask.geometry.centre):
        raise InputError(f"This segment lies outside of {image.name}. Check that it belongs to this scan.")
    known = next((each for each in session.shown if each.label == label), None)
    if known is None:
        new.append(session.add(observation(mask), label).label)
        return
    seen, time_point = known.at(session.time_point), session.time_point
    if seen.mask is None or not PackedMask.of(mask).is_same(seen.mask):
        session.findings.observe(known.uid, time_point, with_painted_mask(seen, mask))
        changed.append(label)


def _is_exported(finding: Finding, time_point: str) -> bool:
    seen = finding.at(time_point)
    return seen.mask is not None and seen.state is not State.REJECTED

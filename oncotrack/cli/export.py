"""``oncotrack export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oncotrack.cli.options import Criteria, out_folder
from oncotrack.cli.output import print_message, print_written, progress_bar
from oncotrack.errors import InputError

if TYPE_CHECKING:
    from oncotrack.images.dicom import Series


def export(
    findings: Annotated[Path, typer.Argument(metavar="FINDINGS.json", help="Findings of one patient.")],
    scans: Annotated[
        list[Path], typer.Argument(metavar="SCAN...", help="The DICOM series that they were made on, one or more.")
    ],
    out: Annotated[Path, out_folder("Write the DICOM files into this folder.")],
    sr: Annotated[bool, typer.Option("--sr", help="Write structured reports (both kinds by default).")] = False,
    seg: Annotated[bool, typer.Option("--seg", help="Write segmentations (both kinds by default).")] = False,
    labelmap: Annotated[bool, typer.Option("--labelmap", help="Write segmentations as label maps.")] = False,
    proposals: Annotated[
        bool, typer.Option("--proposals", help="Include proposals that no reader has accepted.")
    ] = False,
    reader: Annotated[
        str, typer.Option("--reader", metavar="NAME", help="Person observer of the reports.", show_default=False)
    ] = "",
    criteria: Criteria = "recist11",
    replaces: Annotated[
        list[Path] | None,
        typer.Option(
            "--replaces",
            metavar="SR",
            help="An earlier report that the new one replaces; those in the folder are found.",
            show_default=False,
        ),
    ] = None,
    series: Annotated[
        list[str] | None,
        typer.Option(
            "--series",
            metavar="N|UID|WORDS",
            help="Which series of each scan, where there are several: one for all, or one for each.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write findings as DICOM reports and segmentations.

    For each scan: a report with the diameters on their images, a report with volumes, uptake and the response, and a
    segmentation. Other viewers and a PACS read them.
    """
    from oncotrack.dicom_objects.export import Choice, earlier_reports, save
    from oncotrack.dicom_objects.export import export as export_findings
    from oncotrack.dicom_objects.visits import assign
    from oncotrack.findings.finding_list import FindingList

    found = FindingList.open(findings)
    scan_series = _series(scans, series)
    both = not sr and not seg
    choice = Choice(sr or both, seg or labelmap or both, labelmap, proposals, criteria, reader)
    with progress_bar() as progress:
        result = export_findings(
            found.time_points,
            found.findings,
            assign(found.time_points, scan_series),
            choice,
            [*earlier_reports(out), *map(_header, replaces or ())],
            progress,
        )
    for sentence in result.left_out:
        print_message(sentence)
    for path in save(result.objects, out):
        print_written(path)


def _series(scans: list[Path], wanted: list[str] | None) -> list[Series]:
    """Return the DICOM series of each scan."""
    names = wanted or []
    if len(names) not in (0, 1, len(scans)):
        raise InputError(
            f"{len(names)} series are named for {len(scans)} scans. Name one for all, or one for each in their order.",
            parameter="series",
        )
    return [dicom_series(scan, names[n if len(names) > 1 else 0] if names else None) for n, scan in enumerate(scans)]


def dicom_series(path: Path, wanted: str | None) -> Series:
    """Return the wanted series of a scan; InputError where it is no DICOM."""
    from oncotrack.images.dicom import load_study
    from oncotrack.images.files import is_image_file

    if path.exists() and is_image_file(path):
        raise InputError(
            f"{path} is no DICOM: reports and segmentations need the DICOM series of the scan. Choose its folder."
        )
    return load_study(path).choose(wanted)


def _header(path: Path):
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        if not path.is_file():  # a pipe would be waited for
            raise FileNotFoundError
        return dcmread(path, stop_before_pixels=True)
    except (InvalidDicomError, OSError) as error:
        raise InputError(f"{path} is no DICOM report. Choose the report that is replaced.") from error

"""``oncotrack import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.export import dicom_series
from oncotrack.cli.output import print_message, print_written, progress_bar


def import_objects(
    objects: Annotated[
        list[Path],
        typer.Argument(metavar="OBJECT...", help="DICOM reports, segmentations, structure sets; or folders."),
    ],
    scan: Annotated[
        list[Path],
        typer.Option("--scan", metavar="SCAN", help="The DICOM series they lie on; repeat in the order of the visits."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FINDINGS.json", help="Write the findings into this file.")],
    resample: Annotated[
        bool,
        typer.Option("--resample", help="Resample slices of a tilted gantry or of varying spacing to a regular grid."),
    ] = False,
) -> None:
    """Read DICOM reports, segmentations and RTSTRUCT as findings.

    Presentation states are read too. Measurements and masks of the same tracking UID become one finding over all scans. What cannot be read is reported
    with the reason.
    """
    from oncotrack.dicom_objects.importing import import_objects as read_objects
    from oncotrack.images.dicom import read

    series = [dicom_series(path, None) for path in scan]
    with progress_bar() as progress:
        result = read_objects(objects, [(read(each, resample=resample), each) for each in series], progress)
    for sentence in result.problems:
        print_message(sentence)
    print_message(f"{len(result.findings)} finding{'s' if len(result.findings) != 1 else ''} read.")
    print_written(result.findings.save(out))

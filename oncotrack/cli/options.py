"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Image = Annotated[
    Path,
    typer.Argument(
        help="DICOM (folder, file, DICOMDIR or zip archive), NIfTI, NRRD or MetaImage file.", show_default=False
    ),
]
_CHOICE = (
    "Which DICOM series, where there are several: {}its number as listed by oncotrack series, its UID, or words from "
    "its description."
)
Series = Annotated[
    str | None, typer.Option("--series", metavar="N|UID|WORDS", help=_CHOICE.format(""), show_default=False)
]
BaselineSeries = Annotated[
    str | None,
    typer.Option("--series", metavar="N|UID|WORDS", help=_CHOICE.format("of the baseline, "), show_default=False),
]
FollowupSeries = Annotated[
    list[str] | None,
    typer.Option(
        "--followup-series",
        metavar="N|UID|WORDS",
        help="The same for the follow-ups: one for all of them, or repeated, one for each.",
        show_default=False,
    ),
]
Resample = Annotated[
    bool,
    typer.Option("--resample", help="Resample slices of a tilted gantry or of varying spacing to a regular grid."),
]
Json = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write the result as JSON; - prints it and nothing else."),
]


def out_folder(purpose: str) -> Any:
    """Return the option ``--out``, a folder that need not exist yet; `purpose` is its help."""
    return typer.Option("--out", metavar="DIR", file_okay=False, help=purpose)


Out = Annotated[Path | None, out_folder("Write results into this folder.")]
Method = Annotated[str, typer.Option("--method", help="ensemble, selfsim, dlt, tlt, affine or bspline.")]
Radius = Annotated[float, typer.Option("--radius", metavar="MM", help="Radius of the lesion in mm.")]
Criteria = Annotated[str, typer.Option("--criteria", help="recist11 (RECIST 1.1) or irecist.")]
SamePatient = Annotated[
    str,
    typer.Option(
        "--same-patient",
        metavar="REASON",
        help="Why scans whose files name different patients belong to one; it is kept with the findings.",
        show_default=False,
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
Config = Annotated[str, typer.Option("--config", help="compact (bundled) or paper.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Register again and do not cache.")]
Dls = Annotated[
    tuple[Path, Path] | None,
    typer.Option("--dls", metavar="JSON IMAGES", help="Annotation and exported sub-volumes of DLS."),
]
InsertInto = Annotated[
    list[Path] | None,
    typer.Option("--insert-into", metavar="CT", help="A real CT to insert synthetic nodes into; repeatable."),
]

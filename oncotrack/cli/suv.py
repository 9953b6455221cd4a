"""``oncotrack suv``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.options import Json, Resample, Series
from oncotrack.cli.output import format_position, print_result, print_written
from oncotrack.cli.scans import sentences
from oncotrack.images.body_size import KINDS

_KINDS = ", ".join(f"{kind} ({text})" for kind, text in KINDS.items())


def suv(
    pet: Annotated[Path, typer.Argument(help="DICOM: folder, file, DICOMDIR or zip archive.", show_default=False)],
    series: Series = None,
    resample: Resample = False,
    kind: Annotated[str, typer.Option("--kind", help=f"What uptake is related to: {_KINDS}.")] = "BW",
    weight: Annotated[
        float | None,
        typer.Option("--weight", metavar="KG", help="The patient's weight, instead of that in the header."),
    ] = None,
    height: Annotated[
        float | None,
        typer.Option("--height", metavar="CM", help="The patient's height, instead of that in the header."),
    ] = None,
    sex: Annotated[
        str | None, typer.Option("--sex", metavar="M|F|O", help="The patient's sex, instead of that in the header.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the image in SUV: .nii.gz, .nii, .nrrd or .mha."),
    ] = None,
    json: Json = None,
) -> None:
    """Convert a PET to standardised uptake values (SUV).

    Prints the maximum, where it is, and what was decided: the series that was taken, what was corrected in its header
    and what was given instead.
    """
    import numpy as np

    from oncotrack.images.files import load_suv, save

    name = kind.upper()
    volume = load_suv(pet, series, resample=resample, kind=name, weight_kg=weight, height_cm=height, sex=sex)
    k, j, i = np.unravel_index(int(volume.array.argmax()), volume.array.shape)
    maximum, where = float(volume.array[k, j, i]), volume.geometry.to_ras((i, j, k)).tolist()
    unit, decisions = "cm²/ml" if name == "BSA" else "g/ml", sentences(volume)
    if out is not None:
        print_written(save(volume, out))
    result = {
        "kind": name,
        "unit": unit,
        "maximum": maximum,
        "maximum_ras": where,
        "decisions": decisions,
        "path": str(pet),
        "series_uid": volume.metadata.get("series_uid", ""),
    }
    lines = {"SUV by": KINDS[name], "Maximum": f"{maximum:.2f} {unit} at {format_position(where)}"}
    if decisions:
        lines["Decisions"] = "\n".join(decisions)
    print_result(result, json, lines)

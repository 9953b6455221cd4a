"""``oncotrack mask``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from oncotrack.cli.options import Image, Json, Resample, Series
from oncotrack.cli.output import print_message, print_result, print_written, progress_bar
from oncotrack.cli.scans import read_scan
from oncotrack.errors import InputError

_TABLES = (".csv", ".tsv", ".txt")


def mask(
    image: Image,
    axes: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Long and short axis: JSON, two lines of Slicer in one .mrk.json or in two, or four points in a .fcsv.",
            show_default=False,
        ),
    ] = None,
    more: Annotated[
        list[Path] | None,
        typer.Option(
            "--more",
            metavar="AXES",
            help="Axes on another slice; repeatable, also for the second line of a pair. Makes a 3D mask.",
        ),
    ] = None,
    series: Series = None,
    resample: Resample = False,
    in_3d: Annotated[bool, typer.Option("--3d", help="Extend the mask to the slices above and below.")] = False,
    method: Annotated[
        str, typer.Option("--method", help="bounded (stays near the ellipse of the axes) or paper (plain GrabCut).")
    ] = "bounded",
    table: Annotated[
        Path | None,
        typer.Option(
            "--batch",
            metavar="TABLE",
            help="Many axes: CSV, lines of Slicer in a file or in a folder of files, or DeepLesion's DL_info.csv, for "
            "which IMAGE is the folder of its slices. --out is a folder then.",
        ),
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option("--pairs", metavar="DIR", help="Write crops of image and mask as training data.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Write the mask on the grid of the image: .seg.nrrd (Slicer), .nii.gz, ..."
        ),
    ] = None,
    json: Json = None,
) -> None:
    """Make a mask from two RECIST diameters, in their slice or in 3D.

    The method is GrabCut and needs no training.
    """
    if bool(axes) == (table is not None):
        raise InputError("Give the axes of one lesion, or a table of them with --batch.")
    if not axes:
        from oncotrack.cli.mask_table import mask_table

        assert table is not None
        read = partial(read_scan, series=series, resample=resample)
        mask_table(image, table, in_3d, method, pairs, out, json, read)
        return
    import numpy as np

    from oncotrack.findings.sizes import mm_text
    from oncotrack.masks.axes_files import read_axes_files
    from oncotrack.masks.findings import observation
    from oncotrack.masks.label_files import write_labels
    from oncotrack.masks.propagate import propagate_to_3d
    from oncotrack.masks.pseudo_mask import pseudo_mask
    from oncotrack.masks.quality import mask_warnings
    from oncotrack.masks.training_pairs import write_pair

    for path in axes:
        if path.suffix.lower() in _TABLES:
            raise InputError(f"{path} is a table. Give it with --batch.")
    drawn, *too_many = read_axes_files(axes)
    if too_many:
        raise InputError("These files hold the axes of several lesions. Give them with --batch.")
    others, volume = read_axes_files(more or ()), read_scan(image, series, resample=resample)
    with progress_bar() as progress:
        if in_3d or others:
            segmented = propagate_to_3d(volume, drawn, others, method=method, progress=progress)
        else:
            segmented = pseudo_mask(volume, drawn, method)
    measured = observation(segmented, drawn)
    assert measured.box and measured.tracklet, "a mask gives these"
    warnings = [warning for each in (drawn, *others) for warning in each.warnings()]
    warnings += mask_warnings(volume, segmented, drawn)
    for warning in warnings:
        print_message(warning)
    label = axes[0].name.split(".")[0]
    if out is not None:
        print_written(write_labels(out, volume.geometry, {label: segmented}))
    if pairs is not None:
        print_written(write_pair(pairs, label, volume, segmented))
    voxels = int(np.count_nonzero(segmented.array))
    slices = len(measured.tracklet.boxes)
    result = {
        "voxels": voxels,
        "slices": slices,
        "volume_mm3": measured.volume_mm3,
        "position_ras": list(measured.centre),
        "center_ras": list(measured.centre),
        "box_ras": [list(measured.box.low), list(measured.box.high)],
        "long_axis_mm": drawn.long.length_mm,
        "short_axis_mm": drawn.short.length_mm,
        "method": method,
        "warnings": warnings,
    }
    lines = {
        "Axes": mm_text(drawn.long.length_mm, drawn.short.length_mm),
        "Mask": f"{voxels} voxels, {measured.volume_mm3:.0f} mm3, in {slices} slice{'s' if slices > 1 else ''}",
    }
    print_result(result, json, lines)

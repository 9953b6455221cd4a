"""``oncotrack evaluate masks``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oncotrack.cli.evaluate.files import print_evaluation
from oncotrack.cli.options import Json, Out
from oncotrack.cli.output import print_result, print_written, progress_bar
from oncotrack.errors import InputError

if TYPE_CHECKING:
    from oncotrack.datasets.case import Case


def masks(
    truth: Annotated[Path | None, typer.Argument(help="A mask file or a folder of them.", show_default=False)] = None,
    predictions: Annotated[
        Path | None, typer.Argument(help="The masks to evaluate: a file or a folder.", show_default=False)
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="Evaluate masks made from axes instead: phantom, phantom-mr, lidc, sts, deeplesion, or a folder with "
            "X_image and X_mask.",
        ),
    ] = None,
    scans: Annotated[
        Path | None,
        typer.Option("--scans", metavar="DIR", help="Folder of the scans of lidc or sts, or the slices of deeplesion."),
    ] = None,
    table: Annotated[Path | None, typer.Option("--table", help="DeepLesion's DL_info.csv.")] = None,
    cases: Annotated[int, typer.Option("--cases", min=1, help="Number of phantoms.")] = 20,
    jitter: Annotated[
        float,
        typer.Option(
            "--jitter-voxels",
            min=0,
            help="Standard deviation by which the ends of the axes are displaced at random, in voxels.",
        ),
    ] = 0.0,
    least_short: Annotated[float, typer.Option("--least-short", metavar="MM", help="Smallest short axis.")] = 8.0,
    in_3d: Annotated[bool, typer.Option("--3d/--slice", help="Evaluate masks extended to 3D too.")] = True,
    validation: Annotated[
        bool, typer.Option("--validation", help="Use the validation phantoms, not the test ones.")
    ] = False,
    json: Json = None,
    out: Out = None,
) -> None:
    """Compare masks with ground truth masks: Dice, ASD, box IoU.

    With --data it makes masks from the axes of annotated lesions and compares them with the true masks; DeepLesion has
    no masks, so it compares their diameters with those of the readers and draws a sheet of pictures.
    """
    if data is None:
        from oncotrack.evaluation import evaluate_masks

        if truth is None or predictions is None:
            raise InputError("Give two mask files or folders to compare, or --data to evaluate masks made from axes.")
        print_evaluation(evaluate_masks(truth, predictions), json, out)
        return
    if data == "deeplesion":
        _compare_diameters(scans, table, json, out)
        return
    from oncotrack.evaluation import write_report
    from oncotrack.evaluation.pseudo_masks import evaluate_pseudo_masks

    found, count = _cases(data, scans, cases, validation)
    with progress_bar() as progress:
        result = evaluate_pseudo_masks(
            found, count=count, least_short_mm=least_short, jitter_voxels=jitter, in_3d=in_3d, progress=progress
        )
    if out is not None:
        for path in write_report(result, out):
            print_written(path)
    lines = {
        "Lesions": f"{result['findings']}, short axis at least {least_short:g} mm, ends of the axes displaced by "
        f"{jitter:g} voxels"
    }
    for where in ("in slice", "in 3D"):
        for name, of in result.get(where, {}).items():
            lines[f"{name}, {where}"] = (
                "Dice {Dice:.1f} % (median {Dice median:.1f}, 10th percentile {Dice 10th percentile:.1f}), "
                "ASD {ASD:.2f} mm, box IoU {Box IoU:.1f} %, {seconds:.2f} s a lesion".format(
                    **{**of, "ASD": of["ASD"] or float("nan")}
                )
            )
    print_result(result, json, lines)


def _cases(data: str, scans: Path | None, count: int, validation: bool) -> tuple[Iterable[Case], int]:
    """Return the cases of a data set and their number, 0 where it is not known before they are read."""
    from oncotrack.datasets import folder, lidc
    from oncotrack.datasets.node_scans import HELD_OUT, TEST, held_out, held_out_mr

    first = HELD_OUT if validation else TEST
    if data == "phantom":
        return held_out(count, first=first), count
    if data == "phantom-mr":
        return held_out_mr(count, first=first), count
    if data == "lidc":
        if scans is None:
            raise InputError("Give the folder with the DICOM and XML files of LIDC-IDRI.", parameter="scans")
        return lidc.cases(scans), 0
    if data == "sts":
        if scans is None:
            raise InputError("Give the folder with the files X_CT_image and X_CT_mask.", parameter="scans")
        return folder.cases(scans, ending="_CT"), len(folder.pairs(scans, ending="_CT"))
    if not Path(data).is_dir():
        raise InputError(
            f"There is no data {data}. Choose phantom, phantom-mr, lidc, sts, deeplesion, or a folder with X_image and "
            "X_mask.",
            parameter="data",
        )
    return folder.cases(data), len(folder.pairs(data))


def _compare_diameters(slices: Path | None, table: Path | None, json: str | None, out: Path | None) -> None:
    """Compare the diameters of masks on DeepLesion's key slices with those of the readers, and draw a sheet."""
    import numpy as np

    from oncotrack.datasets.deeplesion import AnnotatedLesion, info_rows, key_slice
    from oncotrack.masks.axes import RecistAxes
    from oncotrack.masks.batch import MaskRequest, make_masks
    from oncotrack.masks.recist import measure

    if slices is None or table is None:
        raise InputError("Give the folder of DeepLesion's slices with --scans and its table DL_info.csv with --table.")

    def load(lesion: AnnotatedLesion):
        volume, long, short = key_slice(slices, lesion)
        return volume, RecistAxes.of(long, short)

    rows, errors = [], []
    for _line, row in info_rows(table):
        if isinstance(row, InputError):
            errors.append(row)
        else:
            rows.append(row)
    if not rows:
        raise errors[0] if errors else InputError(f"{table} has no rows. Choose DeepLesion's DL_info.csv.")
    with progress_bar() as progress:
        requests = [MaskRequest(f"{row.series}_{row.key_slice:03d}", lambda row=row: load(row)) for row in rows]
        results = list(make_masks(requests, progress=progress))
    masked = [each for each in results if each.image is not None]
    if not masked:
        raise InputError(f"{slices} holds none of the slices listed in {table}: {results[0].error}")
    differences = []
    for each in masked:
        assert each.mask is not None and each.axes is not None, "a mask comes with its image and axes"
        measured = measure(each.mask)
        differences.append(
            (
                measured.long_axis.length_mm - each.axes.long.length_mm,
                measured.short_axis.length_mm - each.axes.short.length_mm,
            )
        )
    long, short = np.abs(differences).mean(axis=0)
    result = {
        "task": "key slices",
        "masks": len(masked),
        "slices missing": len(rows) - len(masked),
        "long axis difference mm": float(long),
        "short axis difference mm": float(short),
    }
    if out is not None:
        from oncotrack.evaluation.mask_pictures import write_sheet

        print_written(write_sheet(out / "key_slices.png", masked))
    lines = {
        "Masks": f"{len(masked)}; {result['slices missing']} rows without a slice",
        "Mean difference": "long axis {long axis difference mm:.2f}, short axis "
        "{short axis difference mm:.2f} mm".format(**result),
    }
    print_result(result, json, lines)

"""``oncotrack evaluate masks --data``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from oncotrack.cli.output import give, progress_bar, say
from oncotrack.errors import InputError


def run(
    data: str, scans: Path | None, table: Path | None, cases: int, wobble: float, least_short: float, in_3d: bool,
    validation: bool, json: str | None, out: Path | None,
) -> None:  # fmt: skip
    """Masks made of axes against true masks; on DeepLesion, which has none, a sheet to look at."""
    if data == "deeplesion":
        _look(scans, table, json, out)
        return
    from oncotrack.evaluation import write_report
    from oncotrack.evaluation.pseudo_masks import evaluate_pseudo_masks

    found, count = _cases(data, scans, cases, validation)
    with progress_bar() as progress:
        result = evaluate_pseudo_masks(
            found, count=count, least_short_mm=least_short, wobble=wobble, in_3d=in_3d, progress=progress
        )
    if out is not None:
        for path in write_report(result, out):
            say(f"Written: {path}")
    lines = {"Lesions": f"{result['findings']}, short axis at least {least_short:g} mm, axes off by {wobble:g} voxels"}
    for where in ("in slice", "in 3D"):
        for name, of in result.get(where, {}).items():
            lines[f"{name}, {where}"] = (
                "Dice {Dice:.1f} % (median {Dice median:.1f}, 10th percentile {Dice 10th percentile:.1f}), "
                "ASD {ASD:.2f} mm, box IoU {Box IoU:.1f} %".format(**{**of, "ASD": of["ASD"] or float("nan")})
            )
    give(result, json, lines)


def _cases(data: str, scans: Path | None, count: int, validation: bool) -> tuple[Iterable, int]:
    """The cases of a data set, and how many there are; 0 where that is not known before they are read."""
    from oncotrack.datasets import folder, lidc
    from oncotrack.datasets.node_scans import HELD_OUT, TEST, held_out, held_out_mr

    first = HELD_OUT if validation else TEST
    if data == "phantom":
        return held_out(count, first=first), count
    if data == "phantom-mr":
        return held_out_mr(count, first=first), count
    if data == "lidc":
        if scans is None:
            raise InputError("Say where the DICOM and XML files of LIDC-IDRI lie, with --scans.")
        return lidc.cases(scans), 0
    if data == "sts":
        if scans is None:
            raise InputError("Say where the files X_CT_image and X_CT_mask of the sarcomas lie, with --scans.")
        return folder.cases(scans, ending="_CT"), len(folder.pairs(scans, ending="_CT"))
    if not Path(data).is_dir():
        raise InputError(
            f"There is no data {data}; choose phantom, phantom-mr, lidc, sts, deeplesion, or a folder with X_image and "
            "X_mask."
        )
    return folder.cases(data), len(folder.pairs(data))


def _look(slices: Path | None, table: Path | None, json: str | None, out: Path | None) -> None:
    """Masks of DeepLesion's key slices: what is measured on them beside what the readers drew, and a sheet."""
    from oncotrack.datasets.deeplesion import AnnotatedLesion, info_rows, key_slice
    from oncotrack.masks.axes import RecistAxes
    from oncotrack.masks.batch import MaskRequest, make_masks
    from oncotrack.masks.recist import measure

    if slices is None or table is None:
        raise InputError("Say where DeepLesion's slices lie (--scans) and which table tells of them (--table).")

    def load(lesion: AnnotatedLesion):
        volume, long, short = key_slice(slices, lesion)
        return volume, RecistAxes.of(long, short)

    told = [row for _line, row in info_rows(table)]
    rows = [row for row in told if isinstance(row, AnnotatedLesion)]
    if not rows:
        raise told[0] if told else InputError(f"{table} has no rows. Choose DeepLesion's DL_info.csv.")
    with progress_bar() as progress:
        requests = [MaskRequest(f"{row.series}_{row.key_slice:03d}", lambda row=row: load(row)) for row in rows]
        tried = list(make_masks(requests, progress=progress))
    made = [each for each in tried if each.image is not None]
    if not made:
        raise InputError(f"{slices} holds none of the slices that {table} tells of: {tried[0].error}")
    measured = [measure(each.mask) for each in made]
    apart = np.array(
        [(found.long_axis.length_mm - each.axes.long.length_mm, found.short_axis.length_mm - each.axes.short.length_mm)
         for found, each in zip(measured, made, strict=True)]
    )  # fmt: skip
    result = {
        "task": "key slices",
        "masks": len(made),
        "slices missing": len(rows) - len(made),
        "long axis difference mm": float(np.abs(apart[:, 0]).mean()),
        "short axis difference mm": float(np.abs(apart[:, 1]).mean()),
    }
    if out is not None:
        from oncotrack.evaluation.mask_pictures import write_sheet

        say(f"Written: {write_sheet(out / 'key_slices.png', made)}")
    lines = {
        "Masks": f"{len(made)}; {result['slices missing']} rows whose slice is not there",
        "Measured on them": "long axis off by {long axis difference mm:.2f}, short axis by "
        "{short axis difference mm:.2f} mm".format(**result),
    }
    give(result, json, lines)

"""``oncotrack evaluate follow``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from oncotrack.cli.evaluate.comparisons import comparison_text
from oncotrack.cli.options import Dls, Json, out_folder
from oncotrack.cli.output import print_result, progress_bar
from oncotrack.errors import InputError
from oncotrack.followup import DEFAULT_METHOD


def follow(
    data: Annotated[
        str, typer.Option("--data", help="phantom, warped (real CTs, warped and with lesions inserted) or dls.")
    ] = "phantom",
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            help="A follow-up method, copy (same position) or convexadam (the library); repeat to compare with the first.",
        ),
    ] = None,
    cases: Annotated[int, typer.Option("--cases", min=1, help="Number of scan pairs.")] = 10,
    warp: Annotated[
        list[Path] | None, typer.Option("--warp", metavar="CT", help="A real CT to warp; repeatable.")
    ] = None,
    dls: Dls = None,
    shifts: Annotated[
        int, typer.Option("--shifts", min=0, help="Clicks next to each lesion centre, to measure robustness.")
    ] = 0,
    validation: Annotated[
        bool, typer.Option("--validation", help="Use the validation pairs, not the test pairs.")
    ] = False,
    json: Json = None,
    out: Annotated[Path | None, out_folder("Write pictures of ten matches.")] = None,
) -> None:
    """Evaluate follow-up methods on lesions known in both scans.

    No network was trained on these scans. CPM, MED, lesions that vanished, and how the cycle error separates correct
    matches from wrong ones.
    """
    from oncotrack.datasets.lesion_visits import dls_visits
    from oncotrack.datasets.node_scans import HELD_OUT, TEST
    from oncotrack.datasets.warped_visits import held_out
    from oncotrack.evaluation.baselines import BASELINES
    from oncotrack.evaluation.follow import evaluate_follow
    from oncotrack.followup.methods import tracker

    valid = {"phantom": not warp and not dls, "warped": bool(warp) and not dls, "dls": bool(dls) and not warp}
    if not valid.get(data):
        raise InputError(
            "Give --data phantom alone, --data warped with the CTs to warp (--warp), or --data dls with the annotation "
            "and the images (--dls)."
        )
    names = method or [DEFAULT_METHOD, "affine"]
    trackers = {name: BASELINES[name]() if name in BASELINES else tracker(name) for name in names}
    pairs = islice(dls_visits(*dls), cases) if dls else held_out(cases, warp or (), HELD_OUT if validation else TEST)
    with progress_bar() as progress:
        result = evaluate_follow(trackers, pairs, shifts=shifts, pictures=out, progress=progress)
    print_result(result, json, dict(_lines(result, list(trackers))))


def _lines(result: Mapping[str, Any], names: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield (
        "Lesions",
        "{lesions} in {pairs} pairs of {patients} patients, {vanished} vanished".format(**result),
    )
    for name in names:
        of = result[name]
        if of["MED"] is not None:
            yield (
                name,
                "CPM@10mm {CPM@10mm:.1f}, CPM@Radius {CPM@Radius:.1f}, MED {MED:.2f} +- {MED std:.2f} "
                "({MED_X:.2f}, {MED_Y:.2f}, {MED_Z:.2f}) mm".format(**of),
            )
            groups = (
                f"{group} {row['CPM@10mm']:.0f}, {row['MED']:.1f} mm of {row['lesions']}"
                for group, row in of["groups"].items()
            )
            yield f"{name}, by group (CPM@10mm, MED)", "; ".join(groups)
        if of["vanished told"] is not None:
            yield (
                f"{name}, vanished lesions",
                f"{of['vanished told']:.0f} % reported as absent; {of['present doubted']:.0f} % of the present lesions "
                "wrongly so",
            )
        cycles = (f"{row['cycle error']}: {row['within 10 mm']:.0f} % of {row['lesions']}" for row in of["trust"])
        yield f"{name}, within 10 mm by cycle error", "; ".join(cycles)
        if "shifted" in of:
            yield (
                f"{name}, clicks next to the centre",
                "CPM@10mm {CPM@10mm:.1f}, MED {MED:.2f} mm".format(**of["shifted"]),
            )
        yield (
            f"{name}, seconds",
            "registration and preparation {prepare:.1f}, first lesion {first:.2f}, later ones {later:.2f}".format(
                **of["seconds"]
            ),
        )
    for name, over in result.get("over", {}).items():
        yield (
            f"{names[0]} over {name}",
            f"CPM@10mm {comparison_text(over['CPM@10mm'])}; MED {comparison_text(over['MED'], 'mm')}",
        )

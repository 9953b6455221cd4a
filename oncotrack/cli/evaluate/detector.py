"""``oncotrack evaluate detector``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oncotrack.cli.evaluate.comparisons import comparison_text, linking_text
from oncotrack.cli.options import Device, InsertInto, Json, Out
from oncotrack.cli.output import print_result, print_written, progress_bar
from oncotrack.errors import InputError

if TYPE_CHECKING:
    from oncotrack.detection.detector import NodeDetector


def detector(
    data: Annotated[
        str,
        typer.Option(
            "--data",
            help="phantom; inserted (synthetic nodes inserted into real CTs); or chains (inserted nodes that touch, 10 chains a scan).",
        ),
    ] = "phantom",
    cases: Annotated[int, typer.Option("--cases", min=1, help="Number of scans.")] = 100,
    insert: InsertInto = None,
    weights: Annotated[
        list[str] | None,
        typer.Option("--weights", metavar="NAME=FILE", help="Compare these weights; the bundled ones when missing."),
    ] = None,
    stacking: Annotated[
        bool, typer.Option("--stacking", help="Compare with the first detector's boxes, stacked.")
    ] = False,
    unet: Annotated[
        Path | None, typer.Option("--unet", help="Compare with a U-Net with these weights.", show_default=False)
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            help="mr, or any of network (LN-Tracker alone, as trained), lntracker, fatblobs, combined (CT); several are compared.",
        ),
    ] = None,
    nodal: Annotated[
        bool, typer.Option("--nodal", help="Insert nodes into deep fat only, at the attenuation of the scan's phase.")
    ] = False,
    pictures: Annotated[
        Path | None,
        typer.Option(
            "--pictures",
            metavar="FILE",
            help="Instead, draw the 15 best proposals in each CT of --insert-into, with nothing inserted, in three planes.",
            show_default=False,
        ),
    ] = None,
    validation: Annotated[
        bool, typer.Option("--validation", help="Use the validation scans, not the test scans.")
    ] = False,
    device: Device = "auto",
    json: Json = None,
    out: Out = None,
) -> None:
    """Evaluate a lymph node detector on scans with known nodes.

    No network was trained on these scans. CT: average sensitivity (AS) and average precision (AP); MR: AP25 and
    SEN25; each with its 95 % interval.
    """
    from oncotrack.datasets.node_scans import HELD_OUT, TEST, held_out, held_out_mr

    first = HELD_OUT if validation else TEST
    files: dict[str, str | None] = {}
    for entry in weights or ():
        name, equals, file = entry.partition("=")
        name, file = (name, file) if equals else (Path(entry).stem, entry)
        if name in files:
            raise InputError(f"Two weights are called {name}. Give each a name of its own: --weights NAME={file}.")
        files[name] = file
    methods = method or ["network"]
    if methods == ["mr"]:
        from oncotrack.detection.mr.detector import MRDetector
        from oncotrack.evaluation.mr_detectors import evaluate_mr

        if data != "phantom":
            raise InputError("The MR detector is evaluated on synthetic scans only. Leave --data out.")
        detectors = {
            name: MRDetector(device, weights=file, threshold=0.0) for name, file in (files or {"mr": None}).items()
        }
        with progress_bar() as progress:
            result = evaluate_mr(detectors, held_out_mr(cases, first), progress)
        if out is not None:
            from json import dumps

            from oncotrack.atomic import write_text

            print_written(write_text(out / "metrics.json", dumps(result, indent=2)))
        print_result(result, json, _mr_lines(result, list(detectors)))
        return
    from oncotrack.detection.lntracker.detector import LNTrackerDetector
    from oncotrack.detection.reviewed import PROPOSERS
    from oncotrack.evaluation.detectors import evaluate_detectors

    for name in methods:
        if name != "network" and name not in PROPOSERS:
            raise InputError(
                f'There is no detector "{name}" to evaluate on CT. Choose network, {", ".join(PROPOSERS)}, or mr alone.',
                parameter="method",
            )
    if pictures is not None:
        print_result(*_draw(pictures, methods, insert, device, json))
        return
    if data not in ("phantom", "inserted", "chains") or (data != "phantom") != bool(insert):
        raise InputError(
            "Give --data phantom alone, or --data inserted or chains with the CTs to insert nodes into (--insert-into)."
        )
    if methods != ["network"] and (files or stacking):
        raise InputError("Compare weights and stacking with --method network alone.", parameter="method")
    chosen: dict[str, NodeDetector] = (
        {name: LNTrackerDetector(device, weights=file) for name, file in files.items()}
        if files
        else {name: _detector(name, device) for name in methods}
    )
    if unet is not None:
        from oncotrack.evaluation.unet import UNetDetector

        chosen["unet"] = UNetDetector(unet, device)
    with progress_bar() as progress:
        result = evaluate_detectors(
            chosen,
            held_out(cases, insert or (), first, is_nodal=nodal, chains=data == "chains"),
            progress,
            stacking=stacking,
        )
    if out is not None:
        from oncotrack.evaluation import write_report

        for name in _names(result):
            for path in write_report(result[name], out / name):
                print_written(path)
    print_result(result, json, _ct_lines(result))


def _detector(name: str, device: str) -> NodeDetector:
    """Return a detector of CT; "network" is LN-Tracker without anatomy and second look."""
    from oncotrack.detection.lntracker.detector import LNTrackerDetector
    from oncotrack.detection.reviewed import ReviewedDetector

    return LNTrackerDetector(device) if name == "network" else ReviewedDetector(name, device)


def _draw(
    file: Path, methods: list[str], scans: list[Path] | None, device: str, json: str | None
) -> tuple[dict[str, Any], str | None, dict[str, str]]:
    """Draw the best proposals of the first method, and return what is printed."""
    from oncotrack.datasets.real_cts import read_cts
    from oncotrack.evaluation.proposal_pictures import draw_proposals

    if not scans:
        raise InputError("Give the CTs whose proposals are drawn (--insert-into).")
    with progress_bar() as progress:
        result = draw_proposals(file, _detector(methods[0], device), read_cts(scans), progress)
    print_written(file)
    return result, json, {name: f"{count} proposals" for name, count in result["proposals"].items()}


def _names(result: Mapping[str, Any]) -> list[str]:
    """Return the names of the compared detectors."""
    return [name for name in result if name != "AS over"]


def _ct_lines(result: Mapping[str, Any]) -> dict[str, str]:
    """Return the table of `evaluate_detectors`."""
    lines = {}
    for name in _names(result):
        metrics = result[name]
        if metrics["AS"] is None:
            continue
        lines[name] = "AS {:.1f} ({:.1f} to {:.1f}), AP {:.1f} ({:.1f} to {:.1f})".format(
            metrics["AS"], *metrics["AS interval"], metrics["AP"], *metrics["AP interval"]
        )
        lines[f"{name}, sensitivity at 1, 2, 4, 8 false positives"] = ", ".join(
            f"{metrics[f'Sensitivity@{n}FP']:.1f}" for n in (1, 2, 4, 8)
        )
        lines[f"{name}, by short axis"] = ", ".join(
            f"{group}: {of['sensitivity']:.0f} % of {of['nodes']}"
            for group, of in metrics["sensitivity by short axis"].items()
            if of["nodes"]
        )
        lines[f"{name}, smaller nodes not counted"] = ", ".join(
            f"{group}: AS {value:.1f}"
            for group, value in metrics["AS by least short axis"].items()
            if value is not None
        )
        held = metrics["held by the best"]
        if held["percent"] is not None:
            lines[f"{name}, 15 best per scan"] = (
                f"hold {held['percent']:.0f} % of {held['nodes']} nodes from 8 mm; {held['proposals']:.0f} proposals per scan"
            )
        if metrics["free nodes"]:
            lines[f"{name}, nodes with a visible border"] = (
                f"AS {metrics['AS of free nodes']:.1f} of {metrics['free nodes']} nodes"
            )
        if metrics["linking"]:
            lines[f"{name}, linking through the slices"] = linking_text(metrics["linking"])
    for name, over in result.get("AS over", {}).items():
        lines[f"AS over {name}"] = comparison_text(over)
    return lines


def _mr_lines(result: Mapping[str, Any], names: list[str]) -> dict[str, str]:
    """Return the table of `evaluate_mr`."""
    from oncotrack.evaluation.mr_detectors import SETS

    lines = {}
    for name in names:
        for test_set in SETS:
            metrics = result[name][test_set]
            for kind in ("box", "mask"):
                if metrics[kind] and metrics["objects"]:
                    lines[f"{name}, {metrics['objects']} nodes in {metrics['images']} {test_set}, {kind}"] = (
                        "AP25 {AP25:.1f}, AP50 {AP50:.1f}, SEN25 {SEN25:.1f} ({SEN25 interval[0]:.1f} to "
                        "{SEN25 interval[1]:.1f}), SEN50 {SEN50:.1f}".format(**metrics[kind])
                    )
    for name, over in result.get("SEN25 over", {}).items():
        lines[f"SEN25 (box, slices) over {name}"] = comparison_text(over)
    return lines

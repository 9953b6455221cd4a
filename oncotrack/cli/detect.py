"""``oncotrack detect``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oncotrack.cli.options import Config, Device, Image, Json, Out, Resample, Series
from oncotrack.cli.output import format_position, print_result, print_written, progress_bar
from oncotrack.cli.scans import read_scan

if TYPE_CHECKING:
    from oncotrack.findings.finding import Finding

_TIME_POINT = "t0"
_MODALITIES = {"lntracker": "CT", "mr": "MR"}
_LISTED = 20  # nodes that are printed; files hold all


def detect(
    image: Image,
    method: Annotated[
        str | None,
        typer.Option("--method", help="lntracker (CT) or mr; chosen by the image when missing.", show_default=False),
    ] = None,
    series: Series = None,
    resample: Resample = False,
    device: Device = "auto",
    config: Config = "compact",
    weights: Annotated[Path | None, typer.Option("--weights", help="Use these weights, not the bundled ones.")] = None,
    json: Json = None,
    out: Out = None,
) -> None:
    """Detect the lymph nodes of a CT or an MR.

    lntracker was trained on synthetic CTs and on real CTs with inserted synthetic nodes, mr on synthetic T2-weighted
    MR; neither has seen annotated patients. Check every detection, and look for missed nodes.
    """
    from oncotrack.detection.detector import CAUTION, detector, detector_for

    with progress_bar() as progress:
        started = time.perf_counter()
        progress(0.0, "Loading")
        volume = read_scan(image, series, resample=resample, modality=_MODALITIES.get(method or "", ""))
        name = method or detector_for(volume)
        chosen = detector(name, device, config, weights)
        loaded = time.perf_counter()
        found = chosen.detect(volume, progress, time_point=_TIME_POINT)
        done = time.perf_counter()
    rows = [_as_json(finding) for finding in found]
    result = {
        "findings": rows,
        "seconds": {"load": loaded - started, "detect": done - loaded},
        "method": found[0].observations[_TIME_POINT].provenance.method if found else name,
    }
    if out is not None:
        from oncotrack.findings.finding_list import FindingList
        from oncotrack.findings.node_files import write_nodes
        from oncotrack.findings.scans import time_point_of
        from oncotrack.report import write_node_report

        scan = time_point_of(volume, _TIME_POINT, volume.name)
        written = write_nodes(out, FindingList([scan], found), found, _TIME_POINT, volume.geometry)
        report = write_node_report(out / "report.html", volume, found, _TIME_POINT, note=CAUTION)
        for path in (*written, report):
            print_written(path)
    lines = {
        row["label"]: f"{format_position(row['position_ras'])}  {row['size']}, {row['side']}, score {row['score']:.2f}"
        for row in rows[:_LISTED]
    }
    if len(rows) > _LISTED:
        lines["..."] = f"{len(rows) - _LISTED} more; --json or --out gives all"
    reason = "as requested" if method else f"the default for {volume.modality or 'an image of unknown modality'}"
    lines["Unchecked proposals"] = str(len(rows))
    lines["Method"] = f"{result['method']} ({reason})"
    lines["Seconds"] = "loading {load:.1f}, detecting {detect:.1f}".format(**result["seconds"])
    lines["Caution"] = CAUTION
    print_result(result, json, lines)


def _as_json(finding: Finding) -> dict[str, Any]:
    """Return one detection with the JSON keys that scripts read; positions in RAS mm."""
    from oncotrack.findings.sizes import axes_text

    observation = finding.observations[_TIME_POINT]
    assert observation.box and observation.long_axis and observation.short_axis and observation.tracklet, (
        "every detector gives these"
    )
    return {
        "label": finding.label,
        "position_ras": list(observation.centre),
        "center_ras": list(observation.centre),
        "box_ras": [list(observation.box.low), list(observation.box.high)],
        "score": observation.score,
        "long_axis_mm": observation.long_axis.length_mm,
        "short_axis_mm": observation.short_axis.length_mm,
        "axes_from": "slice box" if observation.has_box_axes else "measurement",
        "size": axes_text(observation),
        "side": finding.side.value,
        "slices": len(observation.tracklet.boxes),
    }

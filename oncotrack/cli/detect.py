"""``oncotrack detect``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oncotrack.cli.options import Config, Device, Image, Json, Out, Resample, SamePatient, Series
from oncotrack.cli.output import format_position, print_result, print_written, progress_bar
from oncotrack.cli.petct_detection import PETOptions, detect_in_petct, uptake_as_json, uptake_text
from oncotrack.cli.scans import read_scan

if TYPE_CHECKING:
    from oncotrack.findings.finding import Finding

_TIME_POINT = "t0"
_MODALITIES = {"combined": "CT", "lntracker": "CT", "fatblobs": "CT", "mr": "MR", "petct": "CT"}
_LISTED = 20  # nodes that are printed; files hold all


def detect(
    image: Image,
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            help="lntracker, fatblobs or combined (CT), mr or petct; chosen by the images when missing.",
            show_default=False,
        ),
    ] = None,
    pet: Annotated[
        Path | None,
        typer.Option("--pet", metavar="PET", help="The PET of the study, for petct.", show_default=False),
    ] = None,
    tumour: Annotated[
        str,
        typer.Option(
            "--tumour",
            metavar="MASK|R,A,S",
            help="The primary tumour, for petct: its mask, or a point in it.",
            show_default=False,
        ),
    ] = "",
    series: Series = None,
    resample: Resample = False,
    device: Device = "auto",
    config: Config = "compact",
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Use these weights (petct: a folder), not the bundled ones.")
    ] = None,
    pet_series: Annotated[
        str | None,
        typer.Option("--pet-series", metavar="N|UID|WORDS", help="Which series of the PET.", show_default=False),
    ] = None,
    pet_ct: Annotated[
        Path | None,
        typer.Option(
            "--pet-ct", metavar="CT", help="The CT of the PET/CT, to align a PET with another CT.", show_default=False
        ),
    ] = None,
    tumour_suv: Annotated[
        float | None,
        typer.Option(
            "--tumour-suv", min=0.1, help="SUV from which a tumour is grown; 41 % of its highest when missing."
        ),
    ] = None,
    weight: Annotated[
        float | None, typer.Option("--weight", metavar="KG", help="The patient's weight, for SUV.")
    ] = None,
    tagger: Annotated[
        Path | None, typer.Option("--tagger", metavar="FILE", help="LesaNet's weights, for petct of config paper.")
    ] = None,
    same_patient: SamePatient = "",
    json: Json = None,
    out: Out = None,
) -> None:
    """Detect the lymph nodes of a CT, an MR or a PET/CT.

    lntracker was trained on synthetic CTs and on real CTs with inserted synthetic nodes, mr on synthetic T2-weighted
    MR, petct on synthetic PET/CT; none has seen annotated patients. Check every detection, and look for missed nodes.
    """
    from oncotrack.detection.detector import CAUTION, detector, detector_for
    from oncotrack.detection.shown import shown_and_hidden

    with progress_bar() as progress:
        started = time.perf_counter()
        progress(0.0, "Loading")
        volume = read_scan(image, series, resample=resample, modality=_MODALITIES.get(method or "", ""))
        name = method or ("petct" if pet else detector_for(volume))
        if name == "petct":
            loaded = time.perf_counter()
            options = PETOptions(pet, tumour, pet_series, pet_ct, tumour_suv, weight, tagger, same_patient)
            found, alignment = detect_in_petct(volume, options, device, config, weights, progress, _TIME_POINT)
        else:
            chosen, alignment = detector(name, device, config, weights), ""
            loaded = time.perf_counter()
            found = chosen.detect(volume, progress, time_point=_TIME_POINT)
        done = time.perf_counter()
    shown, hidden = shown_and_hidden(found, _TIME_POINT)
    rows, hidden_rows = (
        [_as_json(finding) | uptake_as_json(finding, _TIME_POINT) for finding in part] for part in (shown, hidden)
    )
    result: dict[str, Any] = {
        "findings": rows,
        "hidden": hidden_rows,
        "seconds": {"load": loaded - started, "detect": done - loaded},
        "method": found[0].observations[_TIME_POINT].provenance.method if found and name != "combined" else name,
    }
    if out is not None:
        from oncotrack.findings.finding_list import FindingList
        from oncotrack.findings.node_files import write_nodes
        from oncotrack.findings.scans import time_point_of
        from oncotrack.report import write_node_report

        scan = time_point_of(volume, _TIME_POINT, volume.name)
        written = write_nodes(out, FindingList([scan], found), shown, _TIME_POINT, volume.geometry)
        report = write_node_report(
            out / "report.html", volume, shown, _TIME_POINT, note=f"{alignment} {CAUTION}".strip()
        )
        for path in (*written, report):
            print_written(path)
    lines = {
        row["label"]: f"{format_position(row['position_ras'])}  {row['size']}, {_place(row)}, {_confidence(row)}"
        f" {uptake_text(row)}".rstrip()
        for row in rows[:_LISTED]
    }
    if len(rows) > _LISTED:
        lines["..."] = f"{len(rows) - _LISTED} more; --json or --out gives all"
    default = "PET/CT" if pet else volume.modality or "an image of unknown modality"
    reason = "as requested" if method else f"the default for {default}"
    if alignment:
        result["alignment"] = lines["Alignment"] = alignment
    lines["Unchecked proposals"] = (
        f"{len(rows)}, and {len(hidden_rows)} less probable" if hidden_rows else str(len(rows))
    )
    lines["Method"] = f"{result['method']} ({reason})"
    lines["Seconds"] = "loading {load:.1f}, detecting {detect:.1f}".format(**result["seconds"])
    lines["Caution"] = CAUTION
    print_result(result, json, lines)


def _place(row: dict[str, Any]) -> str:
    return row["region"] or row["side"]


def _confidence(row: dict[str, Any]) -> str:
    probability = row["probability"]
    return f"score {row['score']:.2f}" if probability is None else f"probability {probability:.2f}"


def _as_json(finding: Finding) -> dict[str, Any]:
    """Return one detection with the JSON keys that scripts read; positions in RAS mm."""
    from oncotrack.detection.anatomy.regions import region_named
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
        "probability": observation.probability,
        "region": finding.region_text or None,
        "region_code": region.code if (region := region_named(finding.region)) else None,
        "long_axis_mm": observation.long_axis.length_mm,
        "short_axis_mm": observation.short_axis.length_mm,
        "axes_from": "slice box" if observation.has_box_axes else "measurement",
        "size": axes_text(observation),
        "side": finding.side.value,
        "slices": len(observation.tracklet.boxes),
    }

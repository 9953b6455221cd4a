"""``oncotrack follow``."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from oncotrack.cli.options import (
    BaselineSeries,
    FollowupSeries,
    Json,
    Method,
    NoCache,
    Out,
    Radius,
    Resample,
    SamePatient,
)
from oncotrack.cli.output import (
    format_position,
    format_seconds,
    match_as_json,
    print_result,
    print_written,
    progress_bar,
)
from oncotrack.cli.scans import read_visits
from oncotrack.errors import InputError
from oncotrack.followup import DEFAULT_METHOD


def follow(
    scans: Annotated[
        list[Path],
        typer.Argument(
            metavar="BASELINE FOLLOWUP...",
            help="Scans, earliest first: DICOM (folder, file, DICOMDIR or zip archive), NIfTI, NRRD or MetaImage file. "
            "Three or more are matched one after the other.",
            show_default=False,
        ),
    ],
    at: Annotated[
        tuple[float, float, float],
        typer.Option("--at", metavar="R A S", help="Position of the lesion in the baseline, RAS mm."),
    ],
    series: BaselineSeries = None,
    followup_series: FollowupSeries = None,
    resample: Resample = False,
    radius: Radius = 10.0,
    method: Method = DEFAULT_METHOD,
    json: Json = None,
    out: Out = None,
    no_cache: NoCache = False,
    same_patient: SamePatient = "",
) -> None:
    """Find a baseline lesion in one follow-up scan or in several.

    dlt, tlt and the default, ensemble (dlt and selfsim together), were trained on synthetic patients and on real CTs
    that were warped and had lesions inserted, never on two annotated scans of a patient. selfsim, affine and bspline
    need no training.
    """
    if len(scans) < 2:
        raise InputError("One scan is not enough. Give the baseline and at least one follow-up, earliest first.")
    if not 0.5 <= radius <= 200:
        raise InputError(
            f"A lesion radius of {radius:g} mm is not plausible. Give a number of mm between 0.5 and 200.",
            parameter="radius",
        )
    read = partial(read_visits, series=series, followup_series=followup_series, resample=resample)
    if len(scans) > 2:
        from oncotrack.cli.follow_visits import follow_visits

        follow_visits(scans, at, radius, method, json, out, cache=not no_cache, same_patient=same_patient, read=read)
        return
    from oncotrack.cli.scan_checks import check_scans
    from oncotrack.findings.visit_table import off_text
    from oncotrack.followup.methods import prepare, tracker
    from oncotrack.followup.tracker import ScanPair

    chosen = tracker(method)
    seconds: dict[str, float] = {}
    with progress_bar() as progress:
        started = time.perf_counter()
        progress(0.02, "Loading")
        baseline, followup = read(scans)
        checked = check_scans(scans, (baseline, followup), same_patient)
        pair = ScanPair(baseline, followup, cache=not no_cache)
        point = pair.check_click(at)
        seconds["load"] = time.perf_counter() - started
        started = time.perf_counter()
        prepare(chosen, pair, progress)
        seconds["register"] = time.perf_counter() - started
        started = time.perf_counter()
        match = chosen.match(pair, point, radius, progress)
        seconds["match"] = time.perf_counter() - started
    result: dict[str, Any] = {
        **match_as_json(match),
        "patient": checked.patient,
        "registration": {"similarity": pair.registration().similarity, "overlap": pair.registration().overlap},
        "seconds": seconds,
    }
    if out is not None:
        from oncotrack.cli.results import findings_of_pair, write_pair

        findings = findings_of_pair(pair, [(point, radius, match)], checked.notes)
        for path in write_pair(out, pair, findings, title="Lesion follow-up", truths={}):
            print_written(path)
    lines = {
        "Found": "yes" if match.found else f"not found (program). {match.reason}",
        "Position in follow-up": format_position(match.position),
        "Position from registration alone": format_position(match.registration_guess),
        "Reverse check": off_text(match.cycle_error_mm) or "unknown",
        "Similarity": f"{match.score:.2f}",
        **{
            f"Alternative {n}": f"{format_position(other.centre)}  (similarity {other.score:.2f})"
            for n, other in enumerate(match.alternatives, 1)
        },
        "Method": match.method,
        "Patient": checked.patient,
        "Seconds": format_seconds(seconds),
    }
    print_result(result, json, lines)

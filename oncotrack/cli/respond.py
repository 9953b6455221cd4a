"""``oncotrack respond``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oncotrack.cli.options import Criteria, Json, Out
from oncotrack.cli.output import print_result, print_written
from oncotrack.errors import InputError

if TYPE_CHECKING:
    from oncotrack.report.response import Scans
    from oncotrack.response.criteria import Settings
    from oncotrack.response.result import CourseResponse


def respond(
    findings: Annotated[
        list[Path],
        typer.Argument(metavar="FINDINGS.json ...", help="Findings of one patient; several files for a cohort."),
    ],
    criteria: Criteria = "recist11",
    too_small: Annotated[
        float, typer.Option("--too-small", metavar="MM", help="Diameter of a lesion too small to measure.")
    ] = 5.0,
    stable_days: Annotated[
        int,
        typer.Option("--stable-days", metavar="DAYS", help="SD counts as best response from this long after baseline."),
    ] = 42,
    confirmation_days: Annotated[
        int,
        typer.Option("--confirmation-days", metavar="DAYS", help="CR, PR and iUPD are confirmed from this much later."),
    ] = 28,
    scan: Annotated[
        list[Path] | None,
        typer.Option(
            "--scan",
            metavar="SCAN",
            help="The scan of a visit, for pictures; repeat in the order of the visits.",
            show_default=False,
        ),
    ] = None,
    json: Json = None,
    out: Out = None,
) -> None:
    """Response to treatment from measured findings: RECIST 1.1, iRECIST.

    Uses the findings that have a role: target, non-target or new. Each response comes with the rule and the
    measurements that gave it. Several files also give waterfall, spider and swimmer plots with --out.
    """
    from oncotrack.response.criteria import Settings
    from oncotrack.response.result import as_json

    settings = Settings(too_small, stable_days, confirmation_days)
    results = [_result(path, name, criteria, settings) for path, name in zip(findings, _names(findings), strict=True)]
    if out is not None:
        if scan and len(findings) > 1:
            raise InputError("Scans can be given for one patient at a time.", parameter="scan")
        scans = _scans(findings[0], scan) if scan else None
        for path in _write(out, results, scans):
            print_written(path)
    if len(results) == 1:
        _print_one(results[0], json)
        return
    patients = [as_json(result) for result in results]
    print_result({"patients": patients}, json, {r.course.name: _summary(r) for r in results})


def _result(path: Path, name: str, criteria: str, settings: Settings) -> CourseResponse:
    from oncotrack.findings.finding_list import FindingList
    from oncotrack.response.course_of_findings import course_of_findings
    from oncotrack.response.result import respond

    found = FindingList.open(path)
    try:
        return respond(course_of_findings(found.time_points, found, name), criteria, settings)
    except InputError as error:
        raise InputError(f"{path}: {error}", parameter=error.parameter) from error


def _scans(path: Path, scans: Sequence[Path]) -> Scans:
    """Read the scans of one patient, in the order of the visits."""
    from oncotrack.cli.scans import read_scan
    from oncotrack.findings.finding_list import FindingList
    from oncotrack.report.response import Scans

    found = FindingList.open(path)
    return Scans(found.time_points, found.findings, [read_scan(each) for each in scans])


def _names(paths: Sequence[Path]) -> list[str]:
    """Return a name for every patient: that of the file, or of its folder where all files have the same name."""
    from oncotrack.findings.names import numbered

    same = len(paths) > 1 and len({path.name for path in paths}) == 1
    return numbered([path.absolute().parent.name if same else path.name.split(".")[0] for path in paths])


def _print_one(result: CourseResponse, json: str | None) -> None:
    from oncotrack.response.result import as_json
    from oncotrack.response.table import plain_text

    if json is not None:
        print_result(as_json(result), json, {})
    if json != "-":
        typer.echo(plain_text(result), nl=False)


def _summary(result: CourseResponse) -> str:
    from oncotrack.findings.sizes import signed_text

    change = result.best_change_percent
    parts: list[Any] = [result.best.response.value, signed_text(change, "%") if change is not None else ""]
    parts.append(f"progression at {result.progression.visit.text}" if result.progression else "no progression")
    return ", ".join(part for part in parts if part)


def _write(out: Path, results: Sequence[CourseResponse], scans: Scans | None) -> list[Path]:
    from oncotrack.atomic import replacing, write_text
    from oncotrack.findings.csv_text import csv_text
    from oncotrack.findings.names import file_stems
    from oncotrack.report.page import labels_as_written
    from oncotrack.report.response import write_response
    from oncotrack.report.response_plots import plot_spider, plot_swimmer, plot_waterfall

    written = []
    for stem, result in zip(file_stems([each.course.name for each in results]), results, strict=True):
        written += write_response(out, f"{stem}.response", result, scans)
    if len(results) > 1:
        header = ["patient", "best overall response", "best change (%)", "progression", "days"]
        written.append(write_text(out / "cohort.csv", csv_text([header, *map(_row, results)], "\n")))
        for name, plot in (("waterfall", plot_waterfall), ("spider", plot_spider), ("swimmer", plot_swimmer)):
            with replacing(out / f"{name}.png") as temporary, labels_as_written():
                plot(results).savefig(temporary, dpi=150)
            written.append(out / f"{name}.png")
    return written


def _row(result: CourseResponse) -> list[str]:
    change, end = result.best_change_percent, result.progression
    days = result.course.days(end.index) if end else None
    return [
        result.course.name,
        result.best.response.value,
        "" if change is None else f"{change:.1f}",
        end.visit.label if end else "",
        "" if days is None else str(days),
    ]

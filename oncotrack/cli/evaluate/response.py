"""``oncotrack evaluate response``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from oncotrack.cli.options import Json
from oncotrack.cli.output import print_result, progress_bar
from oncotrack.errors import InputError
from oncotrack.followup import DEFAULT_METHOD


def response(
    cases: Annotated[int, typer.Option("--cases", min=1, help="Number of pairs of scans, or of courses.")] = 10,
    method: Annotated[
        str, typer.Option("--method", help="The follow-up method that finds the lesions.")
    ] = DEFAULT_METHOD,
    courses: Annotated[
        bool, typer.Option("--courses", help="Compare responses over five visits instead, with those of the truth.")
    ] = False,
    insert: Annotated[
        list[Path] | None,
        typer.Option(
            "--insert-into",
            metavar="CT",
            help="A real CT to insert lesions into and to move, instead of synthetic patients; repeatable.",
        ),
    ] = None,
    validation: Annotated[
        bool, typer.Option("--validation", help="Use the validation patients, not the test patients.")
    ] = False,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep", metavar="FILE", help="Keep what is done here; the same command goes on where it was ended."
        ),
    ] = None,
    json: Json = None,
) -> None:
    """Evaluate measurements proposed at the follow-up.

    Long axis, volume and mask of each accepted match, next to those of the baseline copied and to an ellipsoid on the
    baseline's diameters.
    """
    from oncotrack.datasets.measured_visits import measured_courses, measured_insertions, measured_phantoms
    from oncotrack.datasets.node_scans import HELD_OUT, TEST
    from oncotrack.evaluation.kept_parts import KeptParts
    from oncotrack.evaluation.measured_courses import evaluate_measured_courses
    from oncotrack.evaluation.measured_follow_up import evaluate_measured_follow_up
    from oncotrack.followup.methods import tracker

    if courses and insert:
        raise InputError("Courses are made of synthetic patients. Leave out --courses or --insert-into.")
    first, chosen = HELD_OUT if validation else TEST, tracker(method)
    what = "courses" if courses else f"insertions into {', '.join(map(str, insert))}" if insert else "pairs"
    kept = KeptParts(keep, f"response, {what}, method {method}, seeds from {first}")
    with progress_bar() as progress:
        if courses:
            made = measured_courses(first, cases)
            result = evaluate_measured_courses(chosen, made, count=cases, kept=kept, progress=progress)
        else:
            pairs = measured_insertions(insert, first, cases) if insert else measured_phantoms(first, cases)
            result = evaluate_measured_follow_up(chosen, pairs, count=cases, kept=kept, progress=progress)
    print_result(result, json, dict(_course_lines(result) if courses else _lines(result)))


def _course_lines(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Courses", "{courses} with {visits} visits after baseline".format(**result)
    yield "Same response", "{visits_agree:.0f} % of the visits".format(**result)
    yield "Same best response", "{courses_agree:.0f} % of the courses".format(**result)
    for each in result["differences"]:
        yield "{course}, {visit}".format(**each), "truth {truth}, measured {measured}".format(**each)


def _lines(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Lesions", "{lesions} in {pairs} pairs, {accepted} matches accepted".format(**result)
    for name, of in result.items():
        if isinstance(of, dict) and "Dice" in of:
            yield (
                name,
                "long axis right {long_axis_right:.0f} %, volume right {volume_right:.0f} %, Dice {Dice:.1f}, "
                "errors {long_error_mm:.1f} mm and {volume_error_percent:.0f} %".format(**of),
            )
    yield "Not measured", str(len(result["not_measured"]))
    if unregistered := result["not_registered"]:
        yield "Left out", f"{', '.join(unregistered)}: the scans could not be registered"
    yield "Seconds a lesion", "match {match:.2f}, measure {measure:.2f}".format(**result["seconds"])

"""``oncotrack follow`` with more than two scans."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oncotrack.background.jobs import part_of
from oncotrack.cli.output import (
    format_position,
    format_seconds,
    match_as_json,
    print_result,
    print_written,
    progress_bar,
)

if TYPE_CHECKING:
    from oncotrack.images.volume import Volume

_LOADED, _REGISTERED = 0.1, 0.6  # fractions of the progress bar


def follow_visits(
    scans: Sequence[Path],
    at: Sequence[float],
    radius: float,
    method: str,
    json: str | None,
    out: Path | None,
    *,
    cache: bool,
    same_patient: str,
    read: Callable[[Sequence[Path]], list[Volume]],
) -> None:
    """Match one lesion from each scan to the next and print its position in all of them; `read` reads the scans."""
    from oncotrack.cli.scan_checks import check_scans
    from oncotrack.findings.visit_table import check_sentence
    from oncotrack.followup.chain import KnownPosition, VisitPairs, follow_chain
    from oncotrack.followup.methods import prepare, tracker

    chosen = tracker(method)
    seconds: dict[str, float] = {}
    with progress_bar() as progress:
        started = time.perf_counter()
        progress(0.02, "Loading")
        visits = VisitPairs(read(scans), cache=cache)
        checked = check_scans(scans, visits.volumes, same_patient)
        point = visits(0, 1).check_click(at)
        seconds["load"] = time.perf_counter() - started
        started = time.perf_counter()
        step = (_REGISTERED - _LOADED) / (len(visits) - 1)
        for n in range(len(visits) - 1):
            prepare(chosen, visits(n, n + 1), part_of(progress, _LOADED + n * step, _LOADED + (n + 1) * step))
        seconds["register"] = time.perf_counter() - started
        started = time.perf_counter()
        chain = follow_chain(
            visits, len(visits), chosen, {0: KnownPosition(point, radius)}, part_of(progress, _REGISTERED, 1)
        )
        seconds["match"] = time.perf_counter() - started
    found = [
        {"visit": link.visit, "from": link.start, "image": str(scans[link.visit]), **match_as_json(link.match)}
        for link in chain
    ]
    result: dict[str, Any] = {
        **match_as_json(chain[-1].match),
        "visits": found,
        "patient": checked.patient,
        "seconds": seconds,
    }
    if out is not None:
        from oncotrack.cli.results import findings_of_visits, write_visits

        findings = findings_of_visits(visits, point, radius, chain, checked.notes)
        for path in write_visits(out, visits, findings, title="Lesion at all visits"):
            print_written(path)
    lines = {"Visit 1": format_position(point)}
    for link in chain:
        lines[f"Visit {link.visit + 1}"] = (
            f"{format_position(link.match.position)}  {check_sentence(link.match.cycle_error_mm)}".rstrip()
            if link.match.found
            else f"not found (program). {link.match.reason}"
        )
    lines["Method"] = chain[-1].match.method
    lines["Patient"] = checked.patient
    lines["Seconds"] = format_seconds(seconds)
    print_result(result, json, lines)

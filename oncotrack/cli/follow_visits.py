"""``oncotrack follow`` with more than two scans."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oncotrack.background.jobs import part_of
from oncotrack.cli.follow import as_json
from oncotrack.cli.output import give, place, progress_bar, say

_LOADING, _REGISTERING = 0.1, 0.6  # parts of the progress bar


def run(
    scans: Sequence[Path],
    at: Sequence[float],
    radius: float,
    method: str,
    json: str | None,
    out: Path | None,
    cache: bool,
) -> None:
    """Follow one lesion from the first scan to the last and tell where it is at each."""
    from oncotrack.findings.visit_table import cycle_error
    from oncotrack.followup.chain import KnownPosition, VisitPairs, follow_chain
    from oncotrack.followup.methods import prepare, tracker
    from oncotrack.images.files import load

    chosen = tracker(method)
    seconds: dict[str, float] = {}
    with progress_bar() as progress:
        started = time.perf_counter()
        progress(0.02, "Loading")
        visits = VisitPairs([load(scan) for scan in scans], cache=cache)
        point = visits(0, 1).check_click(at)
        seconds["load"] = time.perf_counter() - started
        started = time.perf_counter()
        step = (_REGISTERING - _LOADING) / (len(visits) - 1)
        for n in range(len(visits) - 1):
            prepare(chosen, visits(n, n + 1), part_of(progress, _LOADING + n * step, _LOADING + (n + 1) * step))
        seconds["register"] = time.perf_counter() - started
        started = time.perf_counter()
        chain = follow_chain(
            visits, len(visits), chosen, {0: KnownPosition(point, radius)}, part_of(progress, _REGISTERING, 1)
        )
        seconds["match"] = time.perf_counter() - started
    found = [
        {"visit": link.visit, "from": link.start, "image": str(scans[link.visit]), **as_json(link.match)}
        for link in chain
    ]
    result: dict[str, Any] = {**as_json(chain[-1].match), "visits": found, "seconds": seconds}
    if out is not None:
        from oncotrack.cli.results import followed_through, write_visits

        findings = followed_through(visits, point, radius, chain)
        for path in write_visits(out, visits, findings, title="Lesion through the visits"):
            say(f"Written: {path}")
    lines = {"Visit 1": place(point)}
    for link in chain:
        where = (
            f"{place(link.match.position)}  ({cycle_error(link.match.cycle_error_mm)})"
            if link.match.found
            else f"not found. {link.match.reason}"
        )
        lines[f"Visit {link.visit + 1}"] = where
    lines["Seconds"] = ", ".join(f"{name} {value:.2f}" for name, value in seconds.items())
    give(result, json, lines)

"""``oncotrack follow``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oncotrack.cli.output import give, place, progress_bar, say
from oncotrack.errors import InputError

if TYPE_CHECKING:
    from oncotrack.followup.tracker import Match


def run(
    scans: Sequence[Path],
    at: Sequence[float],
    radius: float,
    method: str,
    json: str | None,
    out: Path | None,
    cache: bool,
) -> None:
    """Match one lesion and tell where it is, in one follow-up or in several."""
    if len(scans) < 2:
        raise InputError("One scan is not enough. Give the baseline and one follow-up or more, earliest first.")
    if not 0.5 <= radius <= 200:
        raise InputError(f"A lesion radius of {radius:g} mm is not plausible; give a number of mm between 0.5 and 200.")
    if len(scans) > 2:
        from oncotrack.cli.follow_visits import run as follow_visits

        follow_visits(scans, at, radius, method, json, out, cache)
        return
    from oncotrack.followup.methods import prepare, tracker
    from oncotrack.followup.tracker import ScanPair
    from oncotrack.images.files import load

    chosen = tracker(method)
    seconds: dict[str, float] = {}
    with progress_bar() as progress:
        started = time.perf_counter()
        progress(0.02, "Loading")
        pair = ScanPair(*map(load, scans), cache=cache)
        point = pair.check_click(at)
        seconds["load"] = time.perf_counter() - started
        started = time.perf_counter()
        prepare(chosen, pair, progress)
        seconds["register"] = time.perf_counter() - started
        started = time.perf_counter()
        match = chosen.match(pair, point, radius, progress)
        seconds["match"] = time.perf_counter() - started
    result: dict[str, Any] = {
        **as_json(match),
        "registration": {"similarity": pair.registration().similarity, "overlap": pair.registration().overlap},
        "seconds": seconds,
    }
    if out is not None:
        from oncotrack.cli.results import followed, write

        findings = followed(pair, [(point, radius, match)])
        for path in write(out, pair, findings, title="Lesion follow-up", truths={}):
            say(f"Written: {path}")
    lines = {
        "Found": "yes" if match.found else f"no. {match.reason}",
        "Match": place(match.position),
        "Registered guess": place(match.registration_guess),
        "Trust": trust(match),
        "Similarity": f"{match.score:.2f}",
        **{f"Alternative {n}": f"{place(a.centre)}  ({a.score:.2f})" for n, a in enumerate(match.alternatives, 1)},
        "Seconds": ", ".join(f"{name} {value:.2f}" for name, value in seconds.items()),
    }
    give(result, json, lines)


def as_json(match: Match) -> dict[str, Any]:
    """What scripts read of a match."""
    return {
        "found": match.found,
        "match_ras": list(match.position),
        "affine_ras": list(match.registration_guess),
        "score": match.score,
        "cycle_error_mm": match.cycle_error_mm,
        "alternatives": [{"match_ras": list(a.centre), "score": a.score} for a in match.alternatives],
        "radius_mm": match.radius_mm,
        "reason": match.reason,
        "method": match.method,
    }


def trust(match: Match) -> str:
    """Return the cycle error as a sentence."""
    from oncotrack.findings.visit_table import return_match

    return return_match(match.cycle_error_mm) or "unknown"

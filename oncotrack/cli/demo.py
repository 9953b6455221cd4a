"""``oncotrack demo``: the main job from end to end, on a public sample or on a synthetic patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oncotrack.cli.output import progress_bar, say
from oncotrack.evaluation.landmarks import read_points
from oncotrack.findings.finding import State
from oncotrack.followup.methods import tracker
from oncotrack.followup.tracker import ScanPair
from oncotrack.images.files import load
from oncotrack.samples import FOLDER_VARIABLE, sample

_SEED = 20
_LESIONS = 6
_SMALLEST_MM = 4.0


@dataclass(frozen=True)
class DemoCase:
    """Two scans, lesions to follow (RAS mm, radius mm) and where they are known to lie in the follow-up."""

    pair: ScanPair
    lesions: Sequence[tuple[np.ndarray, float]]
    truths: Sequence[np.ndarray]
    note: str


def run(out: Path) -> None:
    """Follow the case's lesions and write what a reader would want to see."""
    from oncotrack.cli.results import followed, write

    with progress_bar() as progress:
        progress(0.02, "Loading")
        case = _real_case() or _synthetic_case()
        method = tracker()
        case.pair.registration(lambda fraction, text: progress(0.1 + 0.4 * fraction, text))
        matches = []
        for number, (at, radius) in enumerate(case.lesions):
            progress(0.5 + 0.4 * number / len(case.lesions), f"Following lesion {number + 1} of {len(case.lesions)}")
            matches.append((tuple(at), radius, method.match(case.pair, at, radius)))
        progress(0.9, "Writing")
        findings = followed(case.pair, matches)
        truths = {f.uid: tuple(t) for f, t in zip(findings, case.truths, strict=True)}
        title = "OncoTrack demo: lesions followed from baseline to follow-up"
        written = write(out, case.pair, findings, title=title, note=case.note, truths=truths)
    errors = [
        np.linalg.norm(np.subtract(match.position, t)) for (_, _, match), t in zip(matches, case.truths, strict=True)
    ]
    found = sum(match.found for *_, match in matches)
    say(case.note)
    say(
        f"{len(matches)} lesions followed, {found} found; distance to the known place: "
        f"mean {np.mean(errors):.1f} mm, largest {np.max(errors):.1f} mm."
    )
    for path in written:
        say(f"Written: {path.absolute()}")
    say("Open report.html in a browser; scene.mrb in 3D Slicer.")


def _real_case() -> DemoCase | None:
    about = sample("lung-pair")
    folder = about.local_folder()
    if folder is None:
        return None
    pair = ScanPair(load(folder / about.baseline), load(folder / about.followup))
    points = read_points(folder / about.baseline_points, pair.baseline)
    truths = read_points(folder / about.followup_points, pair.followup)
    chosen = [0, 3, 5, 6, 7]
    note = f"Real data: {about.title}; {about.origin}, {about.licence}. The marked places are anatomical landmarks."
    return DemoCase(pair, [(points[n], 10.0) for n in chosen], [truths[n] for n in chosen], note)


def _synthetic_case() -> DemoCase:
    from oncotrack.phantom import make_patient

    patient = make_patient(_SEED, visits=2, size=(192, 192, 96))
    first, last = (time_point.id for time_point in patient.findings.time_points)
    lesions, truths = [], []
    for finding in patient.findings:
        before, after = finding.at(first), finding.at(last)
        seen = before and after and State.ABSENT not in (before.state, after.state)
        if seen and before.radius_mm and before.radius_mm >= _SMALLEST_MM:
            lesions.append((np.array(before.centre), before.radius_mm))
            truths.append(np.array(after.centre))
    note = (
        f"Synthetic patient, as no real image is at hand (set {FOLDER_VARIABLE}, or: oncotrack samples --fetch "
        "lung-pair). It shows that the program runs, not how well it does on patients."
    )
    pair = ScanPair(patient.visits[0].image, patient.visits[1].image)
    return DemoCase(pair, lesions[:_LESIONS], truths[:_LESIONS], note)

"""``oncotrack demo``: the main task from end to end, on a public sample or on a synthetic patient."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from oncotrack.cli.options import out_folder
from oncotrack.cli.output import print_message, print_written, program, progress_bar

if TYPE_CHECKING:
    from oncotrack.findings.finding import Point
    from oncotrack.followup.tracker import ScanPair

SIZE = (192, 192, 96)
"""Voxels (i, j, k) of a scan of the synthetic patient."""
_SEED = 20
_LESIONS = 6
_SMALLEST_MM = 4.0


@dataclass(frozen=True)
class DemoCase:
    """Two scans, lesions to follow (RAS mm, radius mm) and their known positions in the follow-up (RAS mm)."""

    pair: ScanPair
    lesions: Sequence[tuple[Point, float]]
    truths: Sequence[Point]
    note: str


def demo(out: Annotated[Path, out_folder("Where to write.")] = Path("demo")) -> None:
    """Follow several lesions of a sample or synthetic patient.

    Writes findings.json, report.html and, where Slicer's libraries are installed, scene.mrb. Without the sample
    lung-pair (oncotrack samples) it makes a synthetic patient.
    """
    from math import dist

    from oncotrack.cli.results import findings_of_pair, write_pair
    from oncotrack.followup.methods import tracker

    with progress_bar() as progress:
        progress(0.02, "Loading")
        case = _sample_case() or _synthetic_case()
        method = tracker()
        case.pair.registration(lambda fraction, text: progress(0.1 + 0.4 * fraction, text))
        matches = []
        for number, (at, radius) in enumerate(case.lesions):
            progress(0.5 + 0.4 * number / len(case.lesions), f"Following lesion {number + 1} of {len(case.lesions)}")
            matches.append((at, radius, method.match(case.pair, at, radius)))
        progress(0.9, "Writing")
        findings = findings_of_pair(case.pair, matches)
        truths = {finding.uid: truth for finding, truth in zip(findings, case.truths, strict=True)}
        title = "OncoTrack demo: lesions followed from baseline to follow-up"
        written = write_pair(out, case.pair, findings, title=title, note=case.note, truths=truths)
    errors = [dist(match.position, truth) for (_, _, match), truth in zip(matches, case.truths, strict=True)]
    found = sum(match.found for *_, match in matches)
    print_message(case.note)
    print_message(
        f"{len(matches)} lesions followed, {found} found; distance to the known position: "
        f"mean {sum(errors) / len(errors):.1f} mm, largest {max(errors):.1f} mm."
    )
    for path in written:
        print_written(path)
    print_message(_next_steps(out.absolute(), {path.name for path in written}))


def _next_steps(out: Path, names: set[str]) -> str:
    """Return how to look at the written files."""
    lines = ["To look at the result:", f"  a web browser opens {out / 'report.html'}"]
    if "scene.mrb" in names:
        lines.append(f"  3D Slicer opens {out / 'scene.mrb'}")
        if importlib.util.find_spec("trame_slicer"):
            lines.append(f"  {program()} view {out / 'scene.mrb'} opens the viewer")
        else:
            lines.append('  pip install "oncotrack[web]" installs the viewer: oncotrack view')
    return "\n".join(lines)


def _sample_case() -> DemoCase | None:
    """Return the public sample pair, or None when its files are not on this computer."""
    from oncotrack.evaluation.landmarks import read_points
    from oncotrack.findings.finding import point
    from oncotrack.followup.tracker import ScanPair
    from oncotrack.images.files import load
    from oncotrack.samples import sample

    about = sample("lung-pair")
    folder = about.local_folder()
    if folder is None:
        return None
    pair = ScanPair(load(folder / about.baseline), load(folder / about.followup))
    points = read_points(folder / about.baseline_points, pair.baseline)
    truths = read_points(folder / about.followup_points, pair.followup)
    chosen = [0, 3, 5, 6, 7]
    note = f"Real data: {about.title}; {about.origin}, {about.licence}. The marked positions are anatomical landmarks."
    return DemoCase(pair, [(point(points[n]), 10.0) for n in chosen], [point(truths[n]) for n in chosen], note)


def _synthetic_case() -> DemoCase:
    """Return two scans of a synthetic patient and lesions that are present in both."""
    from oncotrack.followup.tracker import ScanPair
    from oncotrack.phantom import make_patient
    from oncotrack.samples import FOLDER_VARIABLE

    patient = make_patient(_SEED, visits=2, size=SIZE)
    first, last = (time_point.id for time_point in patient.findings.time_points)
    lesions, truths = [], []
    for finding in patient.findings:
        before, after = finding.at(first), finding.at(last)
        if not (before and before.is_there and after and after.is_there):
            continue
        if before.radius_mm and before.radius_mm >= _SMALLEST_MM:
            lesions.append((before.centre, before.radius_mm))
            truths.append(after.centre)
    note = (
        f"Synthetic patient, because the sample scans are not on this computer ({program()} samples --fetch lung-pair "
        f"downloads them; {FOLDER_VARIABLE} names a folder that holds them). It shows that the program runs, not how "
        "accurate it is on patients."
    )
    pair = ScanPair(patient.visits[0].image, patient.visits[1].image)
    return DemoCase(pair, lesions[:_LESIONS], truths[:_LESIONS], note)

"""A self-contained page that shows every followed lesion: both axial pictures, the marks, the anatomy map."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oncotrack import __version__
from oncotrack.atomic import write_text
from oncotrack.findings import Finding, FindingList, Observation
from oncotrack.followup.tracker import ScanPair
from oncotrack.geometry import Geometry
from oncotrack.heatmap import gaussian_dlt
from oncotrack.registration import is_ct
from oncotrack.volume import Volume

_HALF_MM = 70.0
_PIXEL_MM = 0.5
_BOX = {"facecolor": "black", "alpha": 0.6, "pad": 1.5, "linewidth": 0}
_WINDOWS = {"soft tissue": (-160.0, 240.0), "lung": (-1350.0, 150.0)}


@dataclass(frozen=True)
class Truth:
    """Where a lesion is known to lie in the follow-up (RAS mm), by finding UID."""

    uid: str
    followup: tuple[float, float, float]


def write_report(
    path: str | Path,
    pair: ScanPair,
    findings: FindingList,
    *,
    title: str = "Lesion follow-up",
    note: str = "",
    truths: Sequence[Truth] = (),
) -> Path:
    """Write ``report.html``: no other file, no network needed to read it.

    Parameters
    ----------
    path : path
    pair : ScanPair
        The scans of the list's first and last time point.
    findings : FindingList
    note : str
        What the reader must know of the images (a sample's licence, that a patient is synthetic).
    truths : sequence of Truth
        Drawn and measured where known.
    """
    first, last = findings.time_points[0].id, findings.time_points[-1].id
    known = {truth.uid: truth.followup for truth in truths}
    sections, rows = [], []
    for finding in findings:
        seen, match = finding.at(first), finding.at(last)
        if seen is None or match is None:
            continue
        truth = known.get(finding.uid)
        rows.append(_row(finding, seen, match, truth))
        picture = _picture(pair, finding.label, seen, match, truth)
        caption = _caption(finding, match, truth)
        sections.append(
            f"<section><h2>{html.escape(finding.label)}</h2><p>{html.escape(caption)}</p>"
            f'<img alt="Baseline and follow-up of {html.escape(finding.label)}" src="data:image/png;base64,{picture}">'
            "</section>"
        )
    head = "<tr><th>Lesion<th>Baseline R A S (mm)<th>Follow-up R A S (mm)<th>State<th>Trust<th>Similarity"
    head += "<th>Error to truth</tr>" if known else "</tr>"
    registration = pair.register()
    quality = f"Registration: similarity {registration.similarity:.2f}, overlap {100 * registration.overlap:.0f} %."
    scans = f"Baseline {pair.baseline.name}, follow-up {pair.followup.name}."
    page = _PAGE.format(
        title=html.escape(title),
        note=html.escape(f"{note} {scans} {quality}".strip()),
        version=__version__,
        table=head + "".join(rows),
        sections="\n".join(sections),
        truth_key=" White star: known truth." if known else "",
    )
    return write_text(path, page)


def _row(finding: Finding, seen: Observation, match: Observation, truth) -> str:
    evidence = match.evidence
    trust = "" if evidence is None or evidence.cycle_error_mm is None else f"cycle {evidence.cycle_error_mm:.1f} mm"
    cells = [
        finding.label,
        "{:.1f}, {:.1f}, {:.1f}".format(*seen.centre),
        "{:.1f}, {:.1f}, {:.1f}".format(*match.centre),
        match.state.value,
        trust,
        "" if match.score is None else f"{match.score:.2f}",
    ]
    if truth is not None:
        cells.append(f"{np.linalg.norm(np.subtract(match.centre, truth)):.1f} mm")
    return "<tr><td>" + "<td>".join(html.escape(cell) for cell in cells) + "</tr>"


def _caption(finding: Finding, match: Observation, truth) -> str:
    words = [f"State: {match.state.value}."]
    if match.evidence is not None:
        if match.evidence.reason:
            words.append(match.evidence.reason)
        elif match.evidence.cycle_error_mm is not None:
            words.append(f"Matching back misses the clicked point by {match.evidence.cycle_error_mm:.1f} mm.")
        moved = np.linalg.norm(np.subtract(match.centre, match.evidence.expected))
        words.append(f"It lies {moved:.1f} mm from the registered guess.")
    if truth is not None:
        words.append(f"Error to the known truth: {np.linalg.norm(np.subtract(match.centre, truth)):.1f} mm.")
    return " ".join(words)


def _picture(pair: ScanPair, label: str, seen: Observation, match: Observation, truth) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.6), facecolor="#14171a")
    left, right = figure.subplots(1, 2)
    window = _choose_window(pair.baseline, seen.centre)
    _slice(left, pair.baseline, seen.centre, window, f"Baseline, S {seen.centre[2]:.1f} mm")
    _slice(right, pair.followup, match.centre, window, f"Follow-up, S {match.centre[2]:.1f} mm")
    _mark(left, (0, 0), "o", "#ffd24d", label)
    evidence = match.evidence
    if evidence is not None:
        grid = _plane(match.centre, 1.0)
        signal = gaussian_dlt(grid, evidence.expected, evidence.radius_mm)[0]
        extent = (-_HALF_MM, _HALF_MM, -_HALF_MM, _HALF_MM)
        right.imshow(signal, extent=extent, origin="lower", cmap="viridis", vmin=0, vmax=1, alpha=0.25 * signal)
        right.contour(signal, levels=(0.25, 0.5, 0.75), extent=extent, colors="#7ad151", linewidths=0.7)
        _mark(right, np.subtract(evidence.expected, match.centre)[:2], "x", "#ff7fd0", "guess")
        for letter, other in zip("bcd", evidence.alternatives, strict=False):
            offset = np.subtract(other.centre, match.centre)
            if np.abs(offset[:2]).max() < _HALF_MM and abs(offset[2]) < 15:
                _mark(right, offset[:2], "s", "#6ec6ff", f"{letter} ({offset[2]:+.0f} mm)")
    _mark(right, (0, 0), "o", "#ffd24d", label)
    if truth is not None:
        _mark(right, np.subtract(truth, match.centre)[:2], "*", "#ffffff", "")
    figure.subplots_adjust(0.005, 0.01, 0.995, 0.93, wspace=0.02)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, facecolor=figure.get_facecolor())
    return base64.b64encode(buffer.getvalue()).decode()


def _plane(centre, pixel_mm: float) -> Geometry:
    """One axial RAS-aligned slice round a point."""
    half = int(_HALF_MM / pixel_mm)
    origin = (centre[0] - half * pixel_mm, centre[1] - half * pixel_mm, centre[2])
    return Geometry((2 * half + 1, 2 * half + 1, 1), (pixel_mm, pixel_mm, 1.0), origin)


def _slice(axes, volume: Volume, centre, window: tuple[float, float], title: str) -> None:
    """An axial picture as radiologists look at it: the patient's right on the left, anterior on top."""
    array = volume.resampled(_plane(centre, _PIXEL_MM)).array[0]
    extent = (-_HALF_MM, _HALF_MM, -_HALF_MM, _HALF_MM)
    axes.imshow(array, extent=extent, origin="lower", cmap="gray", vmin=window[0], vmax=window[1])
    axes.set_xlim(_HALF_MM, -_HALF_MM)
    axes.set_ylim(-_HALF_MM, _HALF_MM)
    axes.set_title(title, color="#e8eaed", fontsize=11)
    axes.axis("off")
    for x, y, letter in ((0.02, 0.5, "R"), (0.96, 0.5, "L"), (0.49, 0.95, "A"), (0.49, 0.02, "P")):
        axes.text(x, y, letter, color="#e8eaed", fontsize=9, transform=axes.transAxes, bbox=_BOX)


def _mark(axes, at, shape: str, colour: str, text: str) -> None:
    """A mark with a dark rim, visible on bright and dark tissue."""
    hollow = "none" if shape in "os" else colour
    size = {"o": 16, "s": 9, "x": 9, "*": 11}[shape]
    axes.plot(*at, shape, mfc="none", mec="black", ms=size, mew=3.5)
    axes.plot(*at, shape, mfc=hollow, mec=colour, ms=size, mew=1.6)
    if text:
        axes.annotate(text, at, (10, 9), textcoords="offset points", color=colour, fontsize=9, bbox=_BOX)


def _choose_window(volume: Volume, centre) -> tuple[float, float]:
    around = volume.resampled(_plane(centre, 2.0)).array
    if not is_ct(volume):
        low, high = np.percentile(around, (1, 99.5))
        return float(low), float(max(high, low + 1e-3))
    middle = slice(around.shape[1] // 2 - 12, around.shape[1] // 2 + 13)
    return _WINDOWS["lung" if np.median(around[0, middle, middle]) < -400 else "soft tissue"]


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ background: #14171a; color: #e8eaed; font: 15px/1.5 system-ui, sans-serif; max-width: 1100px;
  margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; margin: 1rem 0; width: 100%; }}
th, td {{ border-bottom: 1px solid #3c4043; padding: .3rem .6rem; text-align: left; font-variant-numeric: tabular-nums; }}
section {{ margin: 2rem 0; }}
img {{ width: 100%; border-radius: 4px; }}
.key, footer {{ color: #bdc1c6; }}
</style></head><body>
<h1>{title}</h1>
<p>{note}</p>
<table>{table}</table>
<p class="key">Ring: the lesion and its match. Cross: the registered guess, centre of the Gaussian anatomy map (green
lines at 25, 50 and 75 %). Squares: alternatives, with their distance from the slice.{truth_key} The patient's right is
on the left. Trust is the distance by which matching back misses the clicked point: small is good.</p>
{sections}
<footer>OncoTrack {version}. Research use only; not a medical device.</footer>
</body></html>
"""

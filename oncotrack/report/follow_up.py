"""The report of a follow-up: each lesion in both scans with its match, the alternatives and the anatomy map."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oncotrack.findings.alternative_letters import alternative_letter
from oncotrack.findings.finding import Finding, Observation, State, TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.sizes import change_text
from oncotrack.findings.visit_table import cell, check_sentence, description, headings, reverse_check
from oncotrack.followup.tracker import ScanPair
from oncotrack.networks.heatmap import gaussian_dlt
from oncotrack.report.measurements import measurements_section
from oncotrack.report.page import (
    BACKGROUND,
    HALF_MM,
    MARKS,
    choose_window,
    draw_slice,
    labels_as_written,
    mark,
    mark_finding,
    plane,
    png,
    write_page,
)
from oncotrack.report.scans import scans_text

_KEY = (
    f"{MARKS} Pink cross: position from registration alone, centre of the Gaussian anatomy map (green "
    "lines at 25, 50 and 75 %). Squares: alternatives, with their distance from the slice."
)
_TRUST_KEY = (
    ' The patient\'s right is on the left. Sizes are long x short axis; "box" are the sides of a slice box, not measured. '
    "Reverse check: the match is searched back in the baseline, and the number is the distance from the clicked point."
)


@dataclass(frozen=True)
class Truth:
    """Known position of a lesion in the follow-up (RAS mm), by the finding's UID."""

    uid: str
    followup: tuple[float, float, float]


@labels_as_written()
def write_report(
    path: str | Path,
    pair: ScanPair,
    findings: FindingList,
    *,
    title: str = "Lesion follow-up",
    note: str = "",
    truths: Sequence[Truth] = (),
) -> Path:
    """Write the report, which needs no other file and no network.

    Parameters
    ----------
    path : path
        The HTML file.
    pair : ScanPair
        The scans of the list's first and last time point.
    findings : FindingList
        The lesions with their matches.
    title : str
        Title of the page.
    note : str
        Remarks on the images (a sample's licence, that a patient is synthetic).
    truths : sequence of Truth
        Known positions, which are drawn and compared with the matches.
    """
    first, last = (time_point.id for time_point in _ends(findings))
    known = {truth.uid: truth.followup for truth in truths}
    heads = headings(_ends(findings))
    sections, rows = [], []
    for finding in findings:
        lesion, match = finding.at(first), finding.at(last)
        truth = known.get(finding.uid)
        rows.append(_row(finding, lesion, match, truth, bool(known)))
        if lesion is None or match is None:
            continue
        picture = _picture(pair, heads, finding.label, lesion, match, truth)
        caption = _caption(finding, lesion, match, truth)
        sections.append(
            f"<section><h2>{html.escape(finding.label)}</h2><p>{html.escape(caption)}</p>"
            f'<img alt="Baseline and follow-up of {html.escape(finding.label)}" src="data:image/png;base64,{picture}">'
            "</section>"
        )
    titles = ["Lesion", "Role, site", *(f"{time_point.label}: state, size" for time_point in _ends(findings)), "Change"]
    titles += ["Reverse check", "Similarity", *(["Error to truth"] if known else [])]
    head = "<tr><th>" + "<th>".join(html.escape(title[:1].upper() + title[1:]) for title in titles) + "</tr>"
    registration = pair.registration()
    quality = f"Registration: similarity {registration.similarity:.2f}, overlap {100 * registration.overlap:.0f} %."
    names = [time_point.label for time_point in _ends(findings)]
    scans = scans_text(list(zip(names, (pair.baseline, pair.followup), strict=True)), findings.notes)
    key = _KEY + (" White star: known truth." if known else "") + _TRUST_KEY
    remarks = f"{note}\n{scans}\n{quality}".strip()
    return write_page(path, title, remarks, head + "".join(rows), key, [*sections, measurements_section(findings)])


def _ends(findings: FindingList) -> tuple[TimePoint, TimePoint]:
    return findings.time_points[0], findings.time_points[-1]


def _row(
    finding: Finding,
    lesion: Observation | None,
    match: Observation | None,
    truth: Sequence[float] | None,
    has_truth: bool,
) -> str:
    """Return a lesion's row of the table, HTML."""
    score = match.score if match and match.state is not State.ABSENT else None
    cells = [
        finding.label,
        description(finding),
        cell(lesion),
        cell(match),
        change_text(lesion, match),
        reverse_check(match),
        "" if score is None else f"{score:.2f}",
    ]
    if has_truth:
        cells.append("" if truth is None or match is None else f"{math.dist(match.centre, truth):.1f} mm")
    return "<tr><td>" + "<td>".join(html.escape(cell) for cell in cells) + "</tr>"


def _caption(finding: Finding, lesion: Observation, match: Observation, truth) -> str:
    """Return the text under a lesion's heading."""
    words = [f"Baseline: {cell(lesion)}, {_position(lesion)}. Follow-up: {cell(match)}, {_position(match)}."]
    words += [f"Comment: {finding.comment}"] * bool(finding.comment)
    if match.state is State.NOT_FOUND and match.evidence is not None:
        words.append(match.evidence.reason)
    elif match.is_there and match.evidence is not None:
        words.append(check_sentence(match.evidence.cycle_error_mm))
        moved = np.linalg.norm(np.subtract(match.centre, match.evidence.expected))
        words.append(f"It lies {moved:.1f} mm from the position given by registration alone.")
    visits = ("baseline", lesion), ("follow-up", match)
    words += [f"Doubtful at {visit}: {' '.join(seen.doubts)}" for visit, seen in visits if seen.doubts]
    if truth is not None:
        words.append(f"Error to the known truth: {np.linalg.norm(np.subtract(match.centre, truth)):.1f} mm.")
    return " ".join(filter(None, words))


def _position(observation: Observation) -> str:
    return "R {:.1f} A {:.1f} S {:.1f} mm".format(*observation.centre)


def _picture(pair: ScanPair, heads: Sequence[str], label: str, lesion: Observation, match: Observation, truth) -> str:
    """Draw a lesion in both scans; PNG in base64."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.6), facecolor=BACKGROUND)
    left, right = figure.subplots(1, 2)
    window = choose_window(pair.baseline, lesion.centre)
    draw_slice(left, pair.baseline, lesion.centre, window, f"{heads[0]}, S {lesion.centre[2]:.1f} mm")
    draw_slice(right, pair.followup, match.centre, window, f"{heads[1]}, S {match.centre[2]:.1f} mm")
    mark_finding(left, label, lesion)
    evidence = match.evidence if match.state is not State.ABSENT else None
    if evidence is not None:
        grid = plane(match.centre, 1.0)
        signal = gaussian_dlt(grid, evidence.expected, evidence.radius_mm)[0]
        extent = (-HALF_MM, HALF_MM, -HALF_MM, HALF_MM)
        right.imshow(signal, extent=extent, origin="lower", cmap="viridis", vmin=0, vmax=1, alpha=0.25 * signal)
        right.contour(signal, levels=(0.25, 0.5, 0.75), extent=extent, colors="#7ad151", linewidths=0.7)
        mark(right, np.subtract(evidence.expected, match.centre)[:2], "x", "#ff7fd0", "registration")
        for index, other in enumerate(evidence.alternatives, 1):
            offset = np.subtract(other.centre, match.centre)
            if np.abs(offset[:2]).max() < HALF_MM and abs(offset[2]) < 15:
                mark(right, offset[:2], "s", "#6ec6ff", f"{alternative_letter(index)} ({offset[2]:+.0f} mm)")
    mark_finding(right, label, match)
    if truth is not None:
        mark(right, np.subtract(truth, match.centre)[:2], "*", "#ffffff", "")
    figure.subplots_adjust(0.005, 0.01, 0.995, 0.93, wspace=0.02)
    return png(figure)

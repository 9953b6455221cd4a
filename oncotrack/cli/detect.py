"""``oncotrack detect``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from oncotrack.cli.output import give, place, progress_bar, say
from oncotrack.findings.finding import Finding, TimePoint
from oncotrack.findings.finding_list import FindingList

TIME_POINT = "t0"
_LISTED = 20


def run(
    image: Path, method: str, device: str, config: str, weights: Path | None, json: str | None, out: Path | None
) -> None:
    """Find the nodes of a scan and tell where they are."""
    from oncotrack.detection.detector import CAUTION, detector
    from oncotrack.findings.node_files import write_nodes
    from oncotrack.findings.sizes import size_word
    from oncotrack.images.files import load
    from oncotrack.report import write_node_report

    with progress_bar() as progress:
        started = time.perf_counter()
        progress(0.0, "Loading")
        volume = load(image)
        chosen = detector(method, device, config, weights)
        loaded = time.perf_counter()
        found = chosen.detect(volume, progress, time_point=TIME_POINT)
        done = time.perf_counter()
    rows = [row(finding) for finding in found]
    result = {
        "findings": rows,
        "seconds": {"load": loaded - started, "detect": done - loaded},
        "method": found[0].at(TIME_POINT).provenance.method if found else method,
    }
    if out is not None:
        about = volume.metadata
        scan = TimePoint(TIME_POINT, volume.name, about.get("path", ""), about.get("date", ""),
                         about.get("series_uid", ""), volume.fingerprint)  # fmt: skip
        findings = FindingList([scan], found)
        written = write_nodes(out, findings, found, TIME_POINT, volume.geometry)
        for path in (*written, write_node_report(out / "report.html", volume, found, TIME_POINT, note=CAUTION)):
            say(f"Written: {path}")
    lines = {
        each["label"]: f"{place(each['center_ras'])}  {each['long_axis_mm']:.0f} x {each['short_axis_mm']:.0f} mm, "
        f"{each['side']}, score {each['score']:.2f} {size_word(each['short_axis_mm'])}".rstrip()
        for each in rows[:_LISTED]
    }
    if len(rows) > _LISTED:
        lines["..."] = f"{len(rows) - _LISTED} more; --json or --out gives all"
    lines["Nodes"] = str(len(rows))
    lines["Seconds"] = "loading {load:.1f}, detecting {detect:.1f}".format(**result["seconds"])
    lines["Caution"] = CAUTION
    give(result, json, lines)


def row(finding: Finding) -> dict[str, Any]:
    """One detection for scripts: RAS mm."""
    seen = finding.at(TIME_POINT)
    return {
        "label": finding.label,
        "center_ras": list(seen.centre),
        "box_ras": [list(seen.box.low), list(seen.box.high)],
        "score": seen.score,
        "long_axis_mm": seen.long_axis.length_mm,
        "short_axis_mm": seen.short_axis.length_mm,
        "side": finding.site,
        "slices": len(seen.tracklet.boxes),
    }

"""The nodes of one scan as files: boxes for Slicer, a table, a label map, and the findings themselves."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from oncotrack.atomic import write_text
from oncotrack.findings.ellipses import label_map
from oncotrack.findings.finding import Finding
from oncotrack.findings.finding_list import FindingList
from oncotrack.images.files import save
from oncotrack.images.geometry import Geometry

BOXES, TABLE, LABELS, FINDINGS = "nodes.mrk.json", "nodes.csv", "nodes.nii.gz", "findings.json"
_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
_HEADING = ("number", "label", "state", "side", "score", "R (mm)", "A (mm)", "S (mm)", "short axis (mm)",
            "long axis (mm)", "volume of ellipses (mm3)", "slices", "box low R", "box low A", "box low S",
            "box high R", "box high A", "box high S", "method", "reader", "tracking UID")  # fmt: skip


def write_nodes(
    folder: Path, findings: FindingList, chosen: Sequence[Finding], time_point: str, geometry: Geometry
) -> tuple[Path, ...]:
    """Write the chosen nodes of a scan, in place of what an earlier run wrote there.

    Parameters
    ----------
    folder : Path
        Gets `BOXES` (ROI markups, RAS mm), `TABLE` (one row a node), `LABELS` (the ellipse in each slice box, as thick
        as its slice; voxel values are the table's numbers) and `FINDINGS` (the whole list, not only the chosen). Without
        nodes there is no `BOXES`: Slicer opens no empty ones.
    findings : FindingList
    chosen : sequence of Finding
        With slice boxes at `time_point`.
    geometry : Geometry
        The scan's grid, which the label map is drawn on.

    Raises
    ------
    OutputError
        The folder cannot be written to.
    """
    tracklets = [finding.at(time_point).tracklet for finding in chosen]
    written = (
        write_text(folder / TABLE, table_text(chosen, time_point)),
        save(label_map(geometry, tracklets), folder / LABELS),
        findings.save(folder / FINDINGS),
    )
    if chosen:
        return (write_text(folder / BOXES, boxes_text(chosen, time_point)), *written)
    (folder / BOXES).unlink(missing_ok=True)
    return written


def boxes_text(chosen: Sequence[Finding], time_point: str) -> str:
    """The 3D boxes as a markups file that Slicer opens: one ROI a node, RAS mm."""
    return json.dumps({"@schema": _SCHEMA, "markups": [_roi(each, time_point) for each in chosen]}, indent=1)


def table_text(chosen: Sequence[Finding], time_point: str) -> str:
    """One row a node as comma-separated text (RFC 4180); lengths in mm, positions RAS mm."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_HEADING)
    for number, finding in enumerate(chosen, 1):
        seen = finding.at(time_point)
        lengths = (axis and axis.length_mm for axis in (seen.short_axis, seen.long_axis))
        writer.writerow([
            number, finding.label, seen.state.value, finding.site, _number(seen.score), *map(_number, seen.centre),
            *map(_number, lengths), _number(seen.tracklet.volume_mm3), len(seen.tracklet.boxes),
            *map(_number, seen.box.low), *map(_number, seen.box.high), seen.provenance.method, seen.provenance.reader,
            finding.uid,
        ])  # fmt: skip
    return text.getvalue()


def _roi(finding: Finding, time_point: str) -> dict:
    seen = finding.at(time_point)
    score = "" if seen.score is None else f", score {seen.score:.2f}"
    return {
        "type": "ROI",
        "coordinateSystem": "RAS",
        "coordinateUnits": "mm",
        "name": finding.label,
        "locked": False,
        "roiType": "Box",
        "insideOut": False,
        "center": list(seen.box.centre),
        "orientation": [1, 0, 0, 0, 1, 0, 0, 0, 1],
        "size": [high - low for low, high in zip(seen.box.low, seen.box.high, strict=True)],
        "controlPoints": [
            {
                "id": "1",
                "label": finding.label,
                "description": f"{finding.site} {seen.state.value}{score}".strip(),
                "position": list(seen.box.centre),
                "positionStatus": "defined",
            }
        ],
    }


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"

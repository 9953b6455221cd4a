"""Files of the nodes of one scan: boxes for Slicer, a table, a label map, and the findings themselves."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from oncotrack.atomic import write_text
from oncotrack.findings.ellipses import label_map
from oncotrack.findings.finding import Box, Finding, Observation
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
    """Write the files of the chosen nodes of a scan, replacing those of an earlier run, and return their paths.

    Parameters
    ----------
    folder : Path
        Receives `BOXES` (ROI markups, RAS mm), `TABLE` (one row per node), `LABELS` (the ellipse inscribed in each slice
        box, as thick as its slice; voxel values are the table's numbers) and `FINDINGS` (the whole list, not only the
        chosen nodes). Without nodes there is no `BOXES`, because Slicer cannot open an empty one.
    findings : FindingList
        All findings.
    chosen : sequence of Finding
        The nodes to write, with slice boxes at `time_point`.
    time_point : str
        Identifier of the scan.
    geometry : Geometry
        The scan's grid, which the label map is drawn on.

    Raises
    ------
    OutputError
        The folder cannot be written to.
    """
    tracklets = [tracklet for finding in chosen if (tracklet := finding.observation(time_point).tracklet)]
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
    """Return the 3D boxes as the text of a markups file for Slicer: one ROI per node, RAS mm.

    Parameters
    ----------
    chosen : sequence of Finding
        The nodes; those without a box are left out.
    time_point : str
        Identifier of the scan.
    """
    observed = [(finding, finding.observation(time_point)) for finding in chosen]
    rois = [_roi(finding, observation, observation.box) for finding, observation in observed if observation.box]
    return json.dumps({"@schema": _SCHEMA, "markups": rois}, indent=1)


def table_text(chosen: Sequence[Finding], time_point: str) -> str:
    """Return the table as comma-separated text (RFC 4180), one row per node; lengths in mm, positions in RAS mm.

    Parameters
    ----------
    chosen : sequence of Finding
        The nodes, with slice boxes at `time_point`.
    time_point : str
        Identifier of the scan.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_HEADING)
    for number, finding in enumerate(chosen, 1):
        seen = finding.observation(time_point)
        lengths = (axis and axis.length_mm for axis in (seen.short_axis, seen.long_axis))
        boxes = (_number(seen.tracklet.volume_mm3), len(seen.tracklet.boxes)) if seen.tracklet else ("", 0)
        corners = (*seen.box.low, *seen.box.high) if seen.box else (None,) * 6
        writer.writerow([
            number, finding.label, seen.state.value, finding.site, _number(seen.score), *map(_number, seen.centre),
            *map(_number, lengths), *boxes, *map(_number, corners), seen.provenance.method, seen.provenance.reader,
            finding.uid,
        ])  # fmt: skip
    return text.getvalue()


def _roi(finding: Finding, observation: Observation, box: Box) -> dict:
    score = "" if observation.score is None else f", score {observation.score:.2f}"
    return {
        "type": "ROI",
        "coordinateSystem": "RAS",
        "coordinateUnits": "mm",
        "name": finding.label,
        "locked": False,
        "roiType": "Box",
        "insideOut": False,
        "center": list(box.centre),
        "orientation": [1, 0, 0, 0, 1, 0, 0, 0, 1],
        "size": [high - low for low, high in zip(box.low, box.high, strict=True)],
        "controlPoints": [
            {
                "id": "1",
                "label": finding.label,
                "description": f"{finding.site} {observation.state.value}{score}".strip(),
                "position": list(box.centre),
                "positionStatus": "defined",
            }
        ],
    }


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"

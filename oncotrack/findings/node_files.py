"""Files of the nodes of one scan: boxes for Slicer, a table, a label map, and the findings themselves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from oncotrack.atomic import remove, write_text
from oncotrack.errors import InputError
from oncotrack.findings.csv_text import csv_text
from oncotrack.findings.ellipses import label_map
from oncotrack.findings.finding import Box, Finding, Observation
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.names import scan_prefix
from oncotrack.findings.tracklet import Tracklet
from oncotrack.images.files import save
from oncotrack.images.geometry import Geometry

BOXES, TABLE, LABELS, FINDINGS = "nodes.mrk.json", "nodes.csv", "nodes.nii.gz", "findings.json"
_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
_HEADING = ("number", "label", "state", "side", "score", "organ or station", "R (mm)", "A (mm)", "S (mm)",
            "long axis (mm)", "short axis (mm)", "axes from", "volume of ellipses (mm3)", "slices", "box low R", "box low A", "box low S",
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
        chosen nodes). Without nodes there is no `BOXES`, because Slicer cannot open an empty one. Where the list has
        several scans, the names of all but `FINDINGS` begin with the scan's.
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
    InputError
        One of the nodes has no slice boxes.
    OutputError
        The folder cannot be written to.
    """
    tracklets = [_observation_and_boxes(finding, time_point)[1] for finding in chosen]
    prefix = scan_prefix(findings.time_points, time_point)
    boxes, table, labels = (folder / f"{prefix}{name}" for name in (BOXES, TABLE, LABELS))
    written = (
        write_text(table, table_text(chosen, time_point)),
        save(label_map(geometry, tracklets), labels),
        findings.save(folder / FINDINGS),
    )
    if chosen:
        return (write_text(boxes, boxes_text(chosen, time_point)), *written)
    remove(boxes)
    return written


def boxes_text(chosen: Sequence[Finding], time_point: str) -> str:
    """Return the 3D boxes as the text of a markups file for Slicer: one ROI per node, RAS mm.

    Parameters
    ----------
    chosen : sequence of Finding
        The nodes, with slice boxes at `time_point`.
    time_point : str
        Identifier of the scan.
    """
    rois = [_roi(finding, time_point) for finding in chosen]
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
    rows: list[Sequence[object]] = [_HEADING]
    for number, finding in enumerate(chosen, 1):
        observation, tracklet, box = _observation_and_boxes(finding, time_point)
        lengths = (axis and axis.length_mm for axis in (observation.long_axis, observation.short_axis))
        source = "slice box" if observation.has_box_axes else "measurement"
        provenance = observation.provenance
        rows.append([
            number, finding.label, observation.state.value, finding.side.value, _number(observation.score), finding.site,
            *map(_number, observation.centre), *map(_number, lengths), source, _number(tracklet.volume_mm3), len(tracklet.boxes),
            *map(_number, box.low), *map(_number, box.high), provenance.method, provenance.reader, finding.uid,
        ])  # fmt: skip
    return csv_text(rows)


def _observation_and_boxes(finding: Finding, time_point: str) -> tuple[Observation, Tracklet, Box]:
    """Return the observation of a node, its slice boxes and its 3D box."""
    observation = finding.observation(time_point)
    if observation.tracklet is None:
        raise InputError(f"{finding.label} has no slice boxes on this scan. Choose a node that has them.")
    return observation, observation.tracklet, observation.box or Box(*observation.tracklet.bounds())


def _roi(finding: Finding, time_point: str) -> dict:
    observation, _tracklet, box = _observation_and_boxes(finding, time_point)
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
                "description": f"{finding.place} {observation.state.value}{score}".strip(),
                "position": list(box.centre),
                "positionStatus": "defined",
            }
        ],
    }


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"

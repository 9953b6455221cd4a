"""From boxes on working slices to findings in the scan, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from oncotrack.detection.lntracker.grid import LNSlices, reading_geometry
from oncotrack.detection.lntracker.tracking import Track
from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding, Kind, Observation, Provenance
from oncotrack.findings.tracklet import SliceBox, Tracklet
from oncotrack.images.geometry import Geometry

_MIDLINE_MM = 10.0


def findings_of(
    tracks: Sequence[Track], slices: LNSlices, time_point: str, provenance: Provenance, prefix: str = "LN"
) -> list[Finding]:
    """Findings "LN 1", "LN 2", ... with one proposed observation each, best score first."""
    findings = []
    for number, track in enumerate(sorted(tracks, key=lambda track: -track.score), 1):
        seen = observation(tracklet_of(track, slices), track.score, provenance)
        site = side(seen.centre, slices.geometry)
        findings.append(
            Finding(label=f"{prefix} {number}", kind=Kind.LYMPH_NODE, site=site, observations={time_point: seen})
        )
    return findings


def observation(tracklet: Tracklet, score: float, provenance: Provenance) -> Observation:
    """What a tracklet says of its node, as a proposal."""
    somewhere = tracklet.bounds()[0]
    return Observation(centre=somewhere, score=score, provenance=provenance).with_tracklet(tracklet)


def side(centre: Sequence[float], body: Geometry) -> str:
    """Which side of the body's middle a place lies on."""
    offset = centre[0] - body.centre[0]
    return "midline" if abs(offset) < _MIDLINE_MM else "right" if offset > 0 else "left"


def tracklet_of(track: Track, slices: LNSlices) -> Tracklet:
    """A node on the scan's own slices where these are read from below, else on the working slices.

    Between two working slices the box is interpolated; a scan's slice thicker than the node gets the nearest box.
    """
    own = slices.volume.geometry
    grid = own if _is_read_along_k(own) else slices.geometry
    indices = np.array(sorted(track.boxes))
    edges = np.array([track.boxes[n] for n in indices]) - 0.5
    scores = np.array([track.scores[n] for n in indices])
    middle = np.asarray(grid.size[:2]) / 2
    heights = slices.geometry.to_ijk(grid.to_ras([(*middle, k) for k in range(grid.size[2])]))[:, 2]
    reach = (heights >= indices[0] - 0.5) & (heights <= indices[-1] + 0.5)
    levels = np.flatnonzero(reach) if reach.any() else [int(np.abs(heights - indices.mean()).argmin())]
    spacing = np.asarray(grid.spacing[:2])
    boxes = []
    for k in levels:
        x0, y0, x1, y1 = (np.interp(heights[k], indices, edge) for edge in edges.T)
        ijk = grid.to_ijk(slices.geometry.to_ras([(x0, y0, heights[k]), (x1, y1, heights[k])]))[:, :2] * spacing
        boxes.append(
            SliceBox(int(k), tuple(ijk.min(0)), tuple(ijk.max(0)), float(np.interp(heights[k], indices, scores)))
        )
    return Tracklet.on(grid, boxes)


def box_on_working_slice(tracklet: Tracklet, slice_index: int, slices: LNSlices) -> tuple[int, np.ndarray]:
    """The working slice nearest to a tracklet's box, and the box there: (4,) x0, y0, x1, y1 in pixels.

    Raises
    ------
    InputError
        The tracklet has no box on that slice, or it lies outside of the scan.
    """
    box = tracklet.at(slice_index)
    if box is None:
        raise InputError(f"There is no box on slice {slice_index}; draw one there first.")
    ijk = slices.geometry.to_ijk(tracklet.corners(box))
    if not -1 <= ijk[:, 2].mean() <= len(slices):
        raise InputError(f"Slice {slice_index} of this node lies outside of {slices.volume.name}.")
    index = int(np.clip(np.round(ijk[:, 2].mean()), 0, len(slices) - 1))
    return index, np.concatenate([ijk[:, :2].min(0), ijk[:, :2].max(0)]) + 0.5


def goes_with(tracklet: Tracklet, slices: LNSlices) -> bool:
    """Whether a tracklet's slice numbers grow in the direction in which the scan is read."""
    return float(np.dot(tracklet.step, np.asarray(slices.geometry.direction)[:, 2])) > 0


def joined(old: Tracklet, new: Mapping[int, SliceBox], slice_index: int, up: bool, down: bool) -> Tracklet:
    """`old` with what was followed anew from `slice_index` in place of its boxes in those directions."""
    kept = {
        box.slice_index: box
        for box in old.boxes
        if box.slice_index == slice_index
        or (box.slice_index > slice_index and not up)
        or (box.slice_index < slice_index and not down)
    }
    added = {
        k: box for k, box in new.items() if k not in kept and ((k > slice_index and up) or (k < slice_index and down))
    }
    return Tracklet(old.origin, old.u_axis, old.v_axis, old.step, tuple((kept | added).values()))


def on_slices_of(old: Tracklet, track: Track, slices: LNSlices) -> dict[int, SliceBox]:
    """A track's boxes on the slices of another tracklet, whatever grid that was made on."""
    found = tracklet_of(track, slices)
    step, origin = np.asarray(old.step), np.asarray(old.origin)
    result = {}
    for box in found.boxes:
        corners = np.array(found.corners(box)) - origin
        k = int(np.round((corners @ step).mean() / (step @ step)))
        flat = corners @ np.stack([old.u_axis, old.v_axis], 1)
        result[k] = SliceBox(k, tuple(flat.min(0)), tuple(flat.max(0)), box.score)
    return result


def _is_read_along_k(geometry: Geometry) -> bool:
    """Whether the scan's slices, k, are those that are read one after the other."""
    along = np.asarray(reading_geometry(geometry).direction)[:, 2] @ np.asarray(geometry.direction)[:, 2]
    return bool(abs(along) > 0.999)

"""Conversion between tracks on working slices and findings in the scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from oncotrack.detection.midline import Midline
from oncotrack.detection.orientation import reading_geometry
from oncotrack.detection.tracks import Track
from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding, Kind, Observation, Provenance
from oncotrack.findings.tracklet import SliceBox, Tracklet
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume


class WorkingSlices(Protocol):
    """The slices that a detector reads: a scan and the grid it is resampled to."""

    @property
    def volume(self) -> Volume:
        """The scan itself."""
        ...

    @cached_property
    def geometry(self) -> Geometry:
        """The working grid; its k axis runs along the slices."""
        ...

    def __len__(self) -> int: ...


def findings_from_tracks(
    tracks: Sequence[Track],
    slices: WorkingSlices,
    time_point: str,
    provenance: Provenance,
    midline: Midline | None = None,
) -> list[Finding]:
    """Return one finding with one proposed observation for each track, named "LN 1", "LN 2", ...

    Parameters
    ----------
    tracks : sequence of Track
        Boxes in pixels of `slices`.
    slices : WorkingSlices
        The slices that the tracks lie on.
    time_point : str
        Time point of the observations.
    provenance : Provenance
        Method and weights, stored in each observation.
    midline : Midline, optional
        Of the scan; found when missing.

    Returns
    -------
    list of Finding
        Highest score first.
    """
    findings, midline = [], midline or Midline.of(slices.volume)
    for number, track in enumerate(sorted(tracks, key=lambda track: -track.score), 1):
        observation = proposed_observation(tracklet_of(track, slices), track.score, provenance)
        side = midline.side(observation.centre)
        findings.append(
            Finding(label=f"LN {number}", kind=Kind.LYMPH_NODE, side=side, observations={time_point: observation})
        )
    return findings


def proposed_observation(tracklet: Tracklet, score: float, provenance: Provenance) -> Observation:
    """Return a proposed observation with the box, centre and axes of a tracklet.

    Parameters
    ----------
    tracklet : Tracklet
        The node's boxes.
    score : float
        0 to 1.
    provenance : Provenance
        Method and weights.

    Returns
    -------
    Observation
        Positions in RAS mm.
    """
    corner = tracklet.bounds()[0]
    return Observation(centre=corner, score=score, provenance=provenance).with_tracklet(tracklet)


def tracklet_of(track: Track, slices: WorkingSlices) -> Tracklet:
    """Return a track as slice boxes on the scan's own slices, or on the working slices if those are differently oriented.

    Boxes between two working slices are interpolated; if the scan's slices are thicker than the node, the nearest slice
    receives the box.

    Parameters
    ----------
    track : Track
        Boxes in pixels of `slices`.
    slices : WorkingSlices
        The slices that the track lies on.

    Returns
    -------
    Tracklet
        Scores are interpolated like the boxes.
    """
    scan_grid = slices.volume.geometry
    grid = scan_grid if _is_read_along_k(scan_grid) else slices.geometry
    indices = np.array(sorted(track.boxes))
    edges = np.array([track.boxes[n] for n in indices]) - 0.5
    scores = np.array([track.scores[n] for n in indices])
    middle = np.asarray(grid.size[:2]) / 2
    heights = slices.geometry.to_ijk(grid.to_ras([(*middle, k) for k in range(grid.size[2])]))[:, 2]
    covered = (heights >= indices[0] - 0.5) & (heights <= indices[-1] + 0.5)
    levels = np.flatnonzero(covered) if covered.any() else [int(np.abs(heights - indices.mean()).argmin())]
    spacing = np.asarray(grid.spacing[:2])
    boxes = []
    for k in levels:
        x0, y0, x1, y1 = (np.interp(heights[k], indices, edge) for edge in edges.T)
        ijk = grid.to_ijk(slices.geometry.to_ras([(x0, y0, heights[k]), (x1, y1, heights[k])]))[:, :2] * spacing
        boxes.append(
            SliceBox(int(k), tuple(ijk.min(0)), tuple(ijk.max(0)), float(np.interp(heights[k], indices, scores)))
        )
    return Tracklet.on(grid, boxes)


def box_on_working_slice(tracklet: Tracklet, slice_index: int, slices: WorkingSlices) -> tuple[int, np.ndarray]:
    """Return the working slice nearest to a tracklet's box, and the box on it.

    Parameters
    ----------
    tracklet : Tracklet
        The node's boxes.
    slice_index : int
        Slice of the tracklet.
    slices : WorkingSlices
        The slices that the detector reads.

    Returns
    -------
    index : int
        Index of the working slice.
    box : (4,) ndarray
        x0, y0, x1, y1 in pixels.

    Raises
    ------
    InputError
        The tracklet has no box on that slice, or the box lies outside the scan.
    """
    box = tracklet.at(slice_index)
    if box is None:
        raise InputError(f"There is no box on slice {slice_index}; draw one there first.")
    ijk = slices.geometry.to_ijk(tracklet.corners(box))
    if not -1 <= ijk[:, 2].mean() <= len(slices):
        raise InputError(f"Slice {slice_index} of this node lies outside {slices.volume.name}.")
    index = int(np.clip(np.round(ijk[:, 2].mean()), 0, len(slices) - 1))
    return index, np.concatenate([ijk[:, :2].min(0), ijk[:, :2].max(0)]) + 0.5


def retracking_ranges(tracklet: Tracklet, slices: WorkingSlices, index: int, up: bool, down: bool) -> list[range]:
    """Return the working slices to visit, in order, for each requested direction.

    Parameters
    ----------
    tracklet : Tracklet
        Its slice numbers define "up" and "down".
    slices : WorkingSlices
        The slices that the detector reads.
    index : int
        Working slice where tracking starts.
    up, down : bool
        Whether to visit the slices with higher and with lower slice numbers of the tracklet.

    Returns
    -------
    list of range
        One for each requested direction, starting next to `index`.
    """
    higher, lower = range(index + 1, len(slices)), range(index - 1, -1, -1)
    if not is_parallel(tracklet, slices):
        higher, lower = lower, higher
    return [higher] * up + [lower] * down


def is_parallel(tracklet: Tracklet, slices: WorkingSlices) -> bool:
    """Return whether a tracklet's slice numbers increase in the direction in which the scan is read.

    Parameters
    ----------
    tracklet : Tracklet
        The node's boxes.
    slices : WorkingSlices
        The slices that the detector reads.

    Returns
    -------
    bool
        False if they decrease.
    """
    return float(np.dot(tracklet.step, np.asarray(slices.geometry.direction)[:, 2])) > 0


def replace_boxes(old: Tracklet, new: Mapping[int, SliceBox], slice_index: int, up: bool, down: bool) -> Tracklet:
    """Return a tracklet whose boxes above or below a slice are replaced.

    Parameters
    ----------
    old : Tracklet
        The present boxes.
    new : mapping of int to SliceBox
        Boxes by slice number of `old`.
    slice_index : int
        The slice whose box always stays unchanged.
    up, down : bool
        Whether boxes on higher and on lower slice numbers are replaced.

    Returns
    -------
    Tracklet
        On the same slices as `old`.
    """
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


def boxes_on_slices_of(tracklet: Tracklet, track: Track, slices: WorkingSlices) -> dict[int, SliceBox]:
    """Return the boxes of a track on the slices of an existing tracklet, whichever grid the tracklet was made on.

    Parameters
    ----------
    tracklet : Tracklet
        Defines the slices.
    track : Track
        Boxes in pixels of `slices`.
    slices : WorkingSlices
        The slices that the track lies on.

    Returns
    -------
    dict of int to SliceBox
        By slice number of `tracklet`.
    """
    step, origin = np.asarray(tracklet.step), np.asarray(tracklet.origin)
    converted = tracklet_of(track, slices)
    result = {}
    for box in converted.boxes:
        corners = np.array(converted.corners(box)) - origin
        k = int(np.round((corners @ step).mean() / (step @ step)))
        in_plane = corners @ np.stack([tracklet.u_axis, tracklet.v_axis], 1)
        result[k] = SliceBox(k, tuple(in_plane.min(0)), tuple(in_plane.max(0)), box.score)
    return result


def _is_read_along_k(geometry: Geometry) -> bool:
    """Return whether the detector reads along the scan's own slice axis, k."""
    along = np.asarray(reading_geometry(geometry).direction)[:, 2] @ np.asarray(geometry.direction)[:, 2]
    return bool(abs(along) > 0.999)

"""Suggested RECIST axes and masks of findings that any tool made."""

from __future__ import annotations

import numpy as np

from oncotrack.errors import InputError
from oncotrack.findings.finding import Axis, Observation, box_axes, point
from oncotrack.findings.tracklet import SliceBox, Tracklet
from oncotrack.images.volume import Volume
from oncotrack.masks.axes import SHORTEST_MM, RecistAxes
from oncotrack.masks.extent import Extent, extent_at
from oncotrack.masks.plane import Region
from oncotrack.masks.propagate import propagate_to_3d
from oncotrack.masks.pseudo_mask import pseudo_mask
from oncotrack.masks.recist import measure


def propose_mask(image: Volume, observation: Observation) -> Volume:
    """Suggest the mask of a finding from what is known of it.

    A finding with slice boxes gets a mask on all its slices, on each from the sides of its box, so that the mask's volume
    is that of the whole finding; on the slice of measured diameters these are used. A finding without slice boxes gets a
    mask in the slice of `propose_axes`.

    Parameters
    ----------
    image : Volume
        The scan.
    observation : Observation
        The finding on this scan.

    Returns
    -------
    Volume of uint8
        On the part of the image's grid around the finding.

    Raises
    ------
    InputError
        As `propose_axes` and `propagate_to_3d`, or no slice box is large enough and inside the image.
    """
    if observation.tracklet is None:
        if (extent := _extent(observation, image)) is not None:
            return pseudo_mask(image, extent.axes)
        return pseudo_mask(image, measure(pseudo_mask(image, propose_axes(observation))).axes)
    by_slice = {
        box.slice_index: axes
        for box in observation.tracklet.boxes
        if (axes := _axes_of_box(observation.tracklet, box, image)) is not None
    } | _measured(observation, observation.tracklet)
    if not by_slice:
        raise InputError("The slice boxes of this finding are too small for a mask. Draw its two diameters.")
    *smaller, largest = sorted(by_slice.values(), key=lambda axes: axes.long.length_mm * axes.short.length_mm)
    grid = Region.of(largest, image.geometry).grid
    # boxes on slices of another orientation may lie closer than the voxels: the largest of a slice is used
    by_height = {round(float(grid.to_ijk(axes.ends)[:, 2].mean())): axes for axes in (*smaller, largest)}
    return propagate_to_3d(image, largest, [axes for axes in by_height.values() if axes is not largest], beyond=False)


def _axes_of_box(tracklet: Tracklet, box: SliceBox, image: Volume) -> RecistAxes | None:
    """Return the sides of a slice box as axes; None when no mask can be made from them."""
    long, short = box_axes(tracklet, box)
    if short.length_mm < SHORTEST_MM:
        return None
    axes = RecistAxes(long, short)
    return axes if image.geometry.contains(axes.ends).all() else None


def _measured(observation: Observation, tracklet: Tracklet) -> dict[int, RecistAxes]:
    """Return the measured diameters by their slice; empty when there are none on one of the tracklet's slices."""
    if not observation.is_measured or observation.long_axis is None or observation.short_axis is None:
        return {}
    axes = RecistAxes.of(observation.long_axis, observation.short_axis)
    slices = {tracklet.flat(end)[2] for end in axes.ends.tolist()}
    (index, *others) = slices
    return {} if others or tracklet.at(index) is None else {index: axes}


def _extent(observation: Observation, image: Volume) -> Extent | None:
    """Return what the image shows at a finding of which only the position and perhaps a radius are known, else None."""
    if observation.tracklet or observation.box or observation.long_axis or observation.short_axis:
        return None
    return extent_at(image, observation.centre)


def propose_axes(observation: Observation, image: Volume | None = None) -> RecistAxes:
    """Suggest RECIST axes for a finding.

    They are the axes already known, else the sides of the largest slice box or of the 3D box, else what the image shows at
    the position (`extent_at`), else the diameter given by the radius. All but the first two lie in the axial plane through
    the centre.

    Parameters
    ----------
    observation : Observation
        The finding at one time point.
    image : Volume, optional
        The scan; without it the image is not asked.

    Raises
    ------
    InputError
        The observation has a position but no size.
    """
    if image is not None and (extent := _extent(observation, image)) is not None:
        return extent.axes
    if observation.tracklet is not None and None in (observation.long_axis, observation.short_axis):
        observation = observation.with_tracklet(observation.tracklet)
    if observation.long_axis is not None and observation.short_axis is not None:
        return RecistAxes(observation.long_axis, observation.short_axis)
    if observation.box is not None:
        centre, half = np.array(observation.box.centre), np.subtract(observation.box.high, observation.box.low) / 2
    elif observation.radius_mm:
        centre, half = np.array(observation.centre), np.full(3, observation.radius_mm)
    else:
        raise InputError("This finding has a position but no size. Draw its long and its short axis.")
    one, other = (Axis(point(centre - offset), point(centre + offset)) for offset in np.diag(half)[:2])
    return RecistAxes.of(one, other)

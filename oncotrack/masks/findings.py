"""Findings from masks, and suggested RECIST axes from findings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from oncotrack.errors import InputError
from oncotrack.findings.finding import Axis, Finding, Kind, Observation, Provenance, State, TimePoint, point
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.packed_mask import PackedMask
from oncotrack.images.volume import Volume
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.recist import measure

METHOD = "RECIST pseudo-mask"


def observation(
    mask: Volume,
    axes: RecistAxes | None = None,
    *,
    method: str = METHOD,
    reader: str = "",
    state: State = State.PROPOSED,
) -> Observation:
    """Compute the observation of a finding from its mask.

    Parameters
    ----------
    mask : Volume
        Inside where not 0.
    axes : RecistAxes, optional
        As drawn by the reader; by default they are measured on the mask.
    method, reader : str
        Provenance.
    state : State
        State of the observation.

    Returns
    -------
    Observation
        Centre, box and tracklet (RAS mm), volume (mm^3), both axes, and the mask itself.

    Raises
    ------
    InputError
        The mask is empty.
    """
    measured = measure(mask)
    long, short = (axes.long, axes.short) if axes else (measured.long_axis, measured.short_axis)
    return Observation(
        centre=measured.centre,
        state=state,
        radius_mm=long.length_mm / 2,
        box=measured.box,
        tracklet=measured.tracklet,
        long_axis=long,
        short_axis=short,
        volume_mm3=measured.volume_mm3,
        mask=PackedMask.of(mask),
        provenance=Provenance(method=method, reader=reader),
    )


def finding_list(
    time_point: TimePoint, observations: Mapping[str, Observation], kind: Kind = Kind.LESION
) -> FindingList:
    """Return the findings of one scan.

    Parameters
    ----------
    time_point : TimePoint
        The scan.
    observations : mapping of str to Observation
        By the finding's label.
    kind : Kind
        What the findings are.
    """
    findings = [
        Finding(label=label, kind=kind, observations={time_point.id: observed})
        for label, observed in observations.items()
    ]
    return FindingList([time_point], findings)


def propose_axes(observation: Observation) -> RecistAxes:
    """Suggest RECIST axes for a finding.

    They are the axes already measured, else the edges of the largest slice box, of the 3D box, or the diameter given by
    the radius. Axes from a box or a radius lie in the axial plane through its centre.

    Parameters
    ----------
    observation : Observation
        The finding at one time point.

    Raises
    ------
    InputError
        The observation has a position but no size.
    """
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

"""Masks as findings, and findings as axes to begin with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from oncotrack.errors import InputError
from oncotrack.findings.finding import Axis, Finding, Kind, Observation, Provenance, State
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
    """What a mask tells of a finding.

    Parameters
    ----------
    mask : Volume
        Inside where not 0.
    axes : RecistAxes, optional
        As a reader drew them; measured on the mask when missing.
    method, reader : str
        For the provenance.

    Returns
    -------
    Observation
        Centre, box and tracklet (RAS mm), volume (mm^3), both axes, and the mask itself.

    Raises
    ------
    InputError
        The mask is empty.
    """
    found = measure(mask)
    long, short = (axes.long, axes.short) if axes else (found.long_axis, found.short_axis)
    return Observation(
        centre=found.centre,
        state=state,
        radius_mm=long.length_mm / 2,
        box=found.box,
        tracklet=found.tracklet,
        long_axis=long,
        short_axis=short,
        volume_mm3=found.volume_mm3,
        mask=PackedMask.of(mask),
        provenance=Provenance(method=method, reader=reader),
    )


def finding_list(time_point, observations: Mapping[str, Observation], kind: Kind = Kind.LESION) -> FindingList:
    """A list of findings of one scan (`TimePoint`), named by the keys."""
    findings = [
        Finding(label=label, kind=kind, observations={time_point.id: seen}) for label, seen in observations.items()
    ]
    return FindingList([time_point], findings)


def proposed_axes(seen: Observation) -> RecistAxes:
    """Axes to begin with: those measured, else the edges of the largest slice box, of the box, or of its radius.

    Axes that come from a box or a radius lie in the axial plane through its middle, or in the tracklet's own slices.

    Raises
    ------
    InputError
        The observation has a place only.
    """
    if seen.long_axis is not None and seen.short_axis is not None:
        return RecistAxes(seen.long_axis, seen.short_axis)
    if seen.tracklet is not None:
        with_tracklet = seen.with_tracklet(seen.tracklet)
        return RecistAxes(with_tracklet.long_axis, with_tracklet.short_axis)
    if seen.box is not None:
        centre, half = np.array(seen.box.centre), np.subtract(seen.box.high, seen.box.low) / 2
    elif seen.radius_mm:
        centre, half = np.array(seen.centre), np.full(3, seen.radius_mm)
    else:
        raise InputError("This finding has a place but no size. Draw its long and its short axis.")
    along_r, along_a = np.diag(half)[:2]
    return RecistAxes.of(*(Axis(tuple(centre - way), tuple(centre + way)) for way in (along_r, along_a)))

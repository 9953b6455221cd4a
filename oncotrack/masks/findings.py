"""Findings from masks."""

from __future__ import annotations

from collections.abc import Mapping

from oncotrack.findings.finding import Finding, Kind, Observation, Provenance, State, TimePoint
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

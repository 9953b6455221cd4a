"""Setting and removing the mask of an observation: volume and centre are measured on the mask, all else is kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding, Observation
from oncotrack.findings.observation_edits import edited_by_reader
from oncotrack.images.volume import Volume
from oncotrack.masks.axes import RecistAxes
from oncotrack.masks.findings import observation
from oncotrack.masks.recist import measure


def with_mask(old: Observation | None, mask: Volume, axes: RecistAxes) -> Observation:
    """Return the observation with this mask and these axes.

    An observation with slice boxes keeps them, its box and its centre; state, score and evidence are kept too.

    Parameters
    ----------
    old : Observation, optional
        The observation to change; a new proposal is made when missing.
    mask : Volume
        On the scan's grid, possibly cropped; not empty.
    axes : RecistAxes
        The axes that the mask was made from, or those measured on it.
    """
    new = replace(observation(mask, axes, reader="reader"), tracklet=None)
    if old is None:
        return new
    methods = [old.provenance.method, new.provenance.method]
    method = ", ".join(dict.fromkeys(each for name in methods for each in name.split(", ") if each))
    kept = {"state": old.state, "score": old.score, "evidence": old.evidence}
    if old.tracklet is not None:
        kept |= {"tracklet": old.tracklet, "box": old.box, "centre": old.centre}
    provenance = replace(new.provenance, method=method, weights_sha256=old.provenance.weights_sha256)
    return replace(new, provenance=provenance, **kept)


def with_painted_mask(old: Observation, mask: Volume) -> Observation:
    """Return the observation, as edited by a reader, with a painted mask; the axes are measured on the mask."""
    return edited_by_reader(with_mask(old, mask, measure(mask).axes))


def without_mask(old: Observation) -> Observation:
    """Return the observation without its mask, as edited by a reader; the axes stay."""
    return edited_by_reader(replace(old, mask=None, volume_mm3=None))


def is_3d(seen: Observation) -> bool:
    """Return whether a mask extends beyond the slice of its axes."""
    if seen.mask is None or seen.long_axis is None or seen.short_axis is None:
        return False
    axes, mask = RecistAxes.of(seen.long_axis, seen.short_axis), seen.mask.volume()
    thickness = np.abs(np.asarray(mask.geometry.direction).T @ axes.normal) @ mask.spacing
    offsets_mm = mask.geometry.to_ras(np.argwhere(mask.array)[:, ::-1]) - np.asarray(axes.centre)
    return bool(np.abs(offsets_mm @ axes.normal).max() > 0.75 * thickness)


def axes_of(finding: Finding, time_point: str) -> RecistAxes:
    """Return the two axes of a finding on a scan; InputError when it has none."""
    seen = finding.at(time_point)
    if seen is None or seen.long_axis is None or seen.short_axis is None:
        raise InputError(
            f"{finding.label} has no diameters on this scan. Draw them, or press Suggest diameters and mask."
        )
    return RecistAxes.of(seen.long_axis, seen.short_axis)

"""Observations measured on the mask of a node."""

from __future__ import annotations

from dataclasses import replace

from oncotrack.findings.finding import Observation
from oncotrack.findings.packed_mask import PackedMask
from oncotrack.images.volume import Volume
from oncotrack.masks.recist import measure_masks

_LEAST_PIXELS = 3  # a smaller mask has no axes


def with_mask(observation: Observation, mask: Volume) -> Observation:
    """Return an observation with a mask, and the volume and axes measured on the mask.

    Parameters
    ----------
    observation : Observation
        Of the same node.
    mask : Volume
        1 in the node, 0 outside.

    Returns
    -------
    Observation
        Unchanged if the mask is empty; without new axes if the mask is too small to measure.
    """
    count = int(mask.array.sum())
    if not count:
        return observation
    observation = replace(observation, mask=PackedMask.of(mask), volume_mm3=count * mask.geometry.voxel_mm3)
    if mask.array.sum(axis=(1, 2)).max() < _LEAST_PIXELS:
        return observation
    measured = measure_masks(mask)[1]
    return replace(
        observation,
        long_axis=measured.long_axis,
        short_axis=measured.short_axis,
        radius_mm=measured.long_axis.length_mm / 2,
    )

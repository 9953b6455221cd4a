"""The measurement of a matched lesion at the follow-up, proposed from what it looked like at baseline."""

from __future__ import annotations

from dataclasses import replace

from oncotrack.findings.finding import Observation
from oncotrack.followup.tracker import ScanPair
from oncotrack.images.volume import Volume
from oncotrack.masks import findings as mask_findings
from oncotrack.masks.carry import carry_mask
from oncotrack.masks.propagate import propagate_to_3d
from oncotrack.masks.quality import with_doubts
from oncotrack.masks.suggestion import propose_axes, propose_mask

METHOD = "baseline mask carried to the follow-up"


def measure_match(pair: ScanPair, before: Observation, match: Observation) -> Observation:
    """Return the observation of a match with the mask, the diameters and the volume that are proposed for it.

    A lesion without a mask at baseline gets one there first, from its diameters, boxes or radius; it is not kept.

    Parameters
    ----------
    pair : ScanPair
        Baseline and follow-up.
    before : Observation
        The lesion at baseline.
    match : Observation
        The match, with its evidence.

    Raises
    ------
    InputError
        The lesion has no size at baseline, or nothing like it is at the match.
    """
    mask = before.mask.volume() if before.mask is not None else _baseline_mask(pair.baseline, before)
    found, _fit = carry_mask(pair.baseline, mask, pair.followup, pair.registration(), match.centre)
    measured = mask_findings.observation(found)
    method = f"{match.provenance.method}; {METHOD}".removeprefix("; ")
    proposed = replace(
        match,
        radius_mm=measured.radius_mm,
        box=measured.box,
        tracklet=measured.tracklet,
        long_axis=measured.long_axis,
        short_axis=measured.short_axis,
        volume_mm3=measured.volume_mm3,
        mask=measured.mask,
        provenance=replace(match.provenance, method=method),
    )
    return with_doubts(proposed, pair.followup)


def _baseline_mask(image: Volume, before: Observation) -> Volume:
    """Return a mask in 3D of a lesion of which diameters, boxes or a radius are known."""
    return propose_mask(image, before) if before.tracklet else propagate_to_3d(image, propose_axes(before, image))

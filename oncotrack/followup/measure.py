"""The measurement of a matched lesion at the follow-up, proposed from what it looked like at baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import InputError
from oncotrack.findings.finding import Observation, State
from oncotrack.findings.observation_edits import with_proposed_size
from oncotrack.followup.match_lesions import lesion_message
from oncotrack.followup.tracker import Match, ScanPair
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
        tracklet=None,
        long_axis=measured.long_axis,
        short_axis=measured.short_axis,
        volume_mm3=measured.volume_mm3,
        mask=measured.mask,
        provenance=replace(match.provenance, method=method),
    )
    return with_doubts(with_proposed_size(proposed), pair.followup)


def is_sized(before: Observation) -> bool:
    """Return whether a lesion's size is known, so that a match of it is measured at once; a click's radius is no size.

    Parameters
    ----------
    before : Observation
        The lesion at baseline.
    """
    return before.mask is not None or before.is_measured or before.tracklet is not None


def measure_if_possible(pair: ScanPair, before: Observation, match: Observation) -> Observation:
    """Return `measure_match` of a match whose lesion is sized; the match as it is where it was not found or cannot be measured.

    Parameters
    ----------
    pair : ScanPair
        Baseline and follow-up.
    before : Observation
        The lesion at baseline.
    match : Observation
        The match.
    """
    if match.state is State.NOT_FOUND or not (before.is_there and is_sized(before)):
        return match
    try:
        return measure_match(pair, before, match)
    except InputError:
        return match


def measure_each(
    pair: ScanPair, before: Sequence[Observation | None], matches: Sequence[Match], progress: Progress = silent
) -> list[Observation]:
    """Return the observations of matches, measured where the lesion's size is known; several at once on the CPU.

    Parameters
    ----------
    pair : ScanPair
        Baseline and follow-up.
    before : sequence of Observation or None
        The lesions at baseline, in the order of the matches; may be shorter.
    matches : sequence of Match
        Where they were found.
    progress : Progress
        Called between groups of lesions; it may cancel.
    """
    import torch

    from oncotrack.networks.threads import map_in_threads, parallel_items

    lesions = list(zip_longest(before, [match.observation() for match in matches]))

    def _measured(lesion: tuple[Observation | None, Observation]) -> Observation:
        return measure_if_possible(pair, lesion[0], lesion[1]) if lesion[0] is not None else lesion[1]

    done: list[Observation] = []
    for first in range(0, len(lesions), parallel_items()):
        progress(first / len(lesions), lesion_message(first, len(lesions)))
        done += map_in_threads(_measured, lesions[first : first + parallel_items()], torch.device("cpu"))
    return done


def measure_start(image: Volume, before: Observation) -> Observation:
    """Return a lesion with a mask in 3D, diameters and volume, all proposed from what is known of it; nothing else changes.

    Parameters
    ----------
    image : Volume
        Its scan.
    before : Observation
        The lesion, with diameters, boxes or a radius.

    Raises
    ------
    InputError
        It has no size.
    """
    measured = mask_findings.observation(_baseline_mask(image, before))
    long, short = (before.long_axis, before.short_axis) if before.is_measured else (None, None)
    method = ", ".join(filter(None, (before.provenance.method, mask_findings.METHOD)))
    sized = replace(
        before,
        radius_mm=measured.radius_mm,
        box=before.box or measured.box,
        long_axis=long or measured.long_axis,
        short_axis=short or measured.short_axis,
        volume_mm3=measured.volume_mm3,
        mask=measured.mask,
        provenance=replace(before.provenance, method=method),
    )
    return with_doubts(sized if before.is_measured else with_proposed_size(sized), image)


def _baseline_mask(image: Volume, before: Observation) -> Volume:
    """Return a mask in 3D of a lesion of which diameters, boxes or a radius are known."""
    return propose_mask(image, before) if before.tracklet else propagate_to_3d(image, propose_axes(before, image))

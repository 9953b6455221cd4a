"""Matching several lesions side by side on the CPU, a round at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch

from oncotrack.background.jobs import Progress, part_of, silent
from oncotrack.followup.match_lesions import Lesion, told
from oncotrack.followup.tracker import Match
from oncotrack.networks.threads import at_once, side_by_side


def matched_side_by_side(
    match: Callable[[Progress, Lesion], Match], lesions: Sequence[Lesion], progress: Progress
) -> list[Match]:
    """What `match` says of each lesion, on the CPU with as many at once as `threads.at_once` tells.

    Progress is told, and may stop it, between such rounds, on the calling thread alone.
    """
    matches: list[Match] = []
    for first in range(0, len(lesions), at_once()):
        few = lesions[first : first + at_once()]
        part = part_of(progress, first / len(lesions), (first + len(few)) / len(lesions))
        part(0.0, told(first, len(lesions)))
        matches += side_by_side(partial(match, part if len(few) == 1 else silent), few, torch.device("cpu"))
    return matches

"""Match several lesions in parallel on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import torch

from oncotrack.background.jobs import Progress, part_of, silent
from oncotrack.followup.match_lesions import lesion_message
from oncotrack.followup.tracker import Match
from oncotrack.networks.threads import map_in_threads, parallel_items

Item = TypeVar("Item")


def match_in_parallel(
    match: Callable[[Progress, Item], Match], lesions: Sequence[Item], progress: Progress
) -> list[Match]:
    """Return the match of each lesion; as many run at once as `threads.parallel_items` allows.

    Parameters
    ----------
    match : callable
        Matches one lesion.
    lesions : sequence
        Arguments of `match`, one per lesion.
    progress : Progress
        Called between the groups, on the calling thread only; it may cancel there.
    """
    matches: list[Match] = []
    for first in range(0, len(lesions), parallel_items()):
        group = lesions[first : first + parallel_items()]
        part = part_of(progress, first / len(lesions), (first + len(group)) / len(lesions))
        part(0.0, lesion_message(first, len(lesions)))
        matches += map_in_threads(partial(match, part if len(group) == 1 else silent), group, torch.device("cpu"))
    return matches

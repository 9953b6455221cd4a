"""Jobs that make synthetic training data from seeds, alone or on the background of real CTs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from oncotrack.datasets.node_scans import HELD_OUT
from oncotrack.datasets.real_cts import read_cts
from oncotrack.errors import InputError
from oncotrack.images.volume import Volume

Made = TypeVar("Made")


def check_seeds(unit: str, *counts: int) -> None:
    """Check that training stays below the seeds that are held out for testing.

    Raises
    ------
    InputError
        One of the counts is too large; `unit` names what is counted.
    """
    if max(counts) >= HELD_OUT:
        raise InputError(f"At most {HELD_OUT - 1} synthetic {unit} can be made; later seeds are for testing.")


def background_jobs(
    prefix: str, paths: Sequence[Path], count: int, make: Callable[[Volume, int], Made]
) -> Iterator[tuple[str, Callable[[], Made]]]:
    """Yield a key and a function for each of `count` seeds, using the CTs of `paths` in turn as backgrounds."""
    if not paths or not count:
        return
    volumes = read_cts(paths)
    for seed in range(count):
        yield f"{prefix}-{seed}", partial(make, volumes[seed % len(volumes)], seed)

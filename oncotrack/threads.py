"""Many small tensor operations on a shared processor: one thread an operation, slabs side by side.

Operations of a millisecond gain little from OpenMP and lose much when another program holds a core, because every one
of them waits for the slowest thread. Whole slabs in a few Python threads use the cores as well and wait once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import torch

Item = TypeVar("Item")


@contextmanager
def one_thread_an_operation() -> Iterator[None]:
    """Inside, torch computes each CPU operation on the calling thread alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def side_by_side(job: Callable[[Item], None], items: Iterable[Item], device: torch.device) -> None:
    """Run `job` on every item: on the CPU in a few threads, on an accelerator one after the other."""
    items = list(items)
    if device.type != "cpu" or len(items) < 2:
        for item in items:
            job(item)
        return
    workers = min(os.cpu_count() or 1, len(items), 8)
    with ThreadPoolExecutor(workers, initializer=partial(torch.set_num_threads, 1)) as pool:
        list(pool.map(job, items))


def seeds(generator: torch.Generator, count: int, device: torch.device) -> list[torch.Generator]:
    """Independent generators drawn from one, so that the order in which slabs are done does not matter."""
    numbers = torch.randint(2**62, (count,), generator=generator, device=device).tolist()
    return [torch.Generator(device=device).manual_seed(n) for n in numbers]

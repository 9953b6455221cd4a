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

Item, Result = TypeVar("Item"), TypeVar("Result")


@contextmanager
def one_thread_an_operation() -> Iterator[None]:
    """Inside, torch computes each CPU operation on the calling thread alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def side_by_side(job: Callable[[Item], Result], items: Iterable[Item], device: torch.device) -> list[Result]:
    """Run `job` on every item, results in their order: on the CPU in a few threads, on an accelerator one by one."""
    items = list(items)
    if device.type != "cpu" or len(items) < 2:
        return [job(item) for item in items]
    with ThreadPoolExecutor(min(at_once(), len(items)), initializer=partial(torch.set_num_threads, 1)) as pool:
        return list(pool.map(job, items))


def at_once() -> int:
    """How many slabs lie side by side on the CPU."""
    return min(os.cpu_count() or 1, 8)


def seeds(generator: torch.Generator, count: int, device: torch.device) -> list[torch.Generator]:
    """Independent generators drawn from one, so that the order in which slabs are done does not matter."""
    numbers = torch.randint(2**62, (count,), generator=generator, device=device).tolist()
    return [torch.Generator(device=device).manual_seed(n) for n in numbers]

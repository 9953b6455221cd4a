"""Parallel work on the CPU: one thread per tensor operation, whole slabs of an image in several Python threads.

Operations of a millisecond gain little from OpenMP and lose much when another program uses a core, because each waits
for its slowest thread. Slabs in Python threads use the cores equally well and wait only once.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")
_most = 8


def use_threads(count: int) -> None:
    """Compute with this many threads in this process from now on, so that several processes share a computer.

    Parameters
    ----------
    count : int
        Threads of torch, OpenCV, ITK and `map_in_threads`; BLAS reads its number from the environment when it is loaded.
    """
    global _most
    import cv2
    import SimpleITK as sitk

    _most = count
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(count)
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(count)  # read by elastix when it runs first


@contextmanager
def one_thread_per_operation() -> Iterator[None]:
    """Compute each torch operation inside the block on the calling thread alone."""
    with _threads_per_operation(1):
        yield


@contextmanager
def _threads_per_operation(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def map_in_threads(function: Callable[[Item], Result], items: Iterable[Item], device: torch.device) -> list[Result]:
    """Return the results of a function for every item, in their order.

    Parameters
    ----------
    function : callable
        Takes one item.
    items : iterable
        The items.
    device : torch.device
        On the CPU several items are computed at once, on an accelerator one after the other.
    """
    items = list(items)
    if device.type != "cpu" or len(items) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(min(parallel_items(), len(items)), initializer=partial(torch.set_num_threads, 1)) as pool:
        return list(pool.map(function, items))


def map_ahead(function: Callable[[Item], Result], items: Iterable[Item], most: int) -> Generator[Result, None, None]:
    """Yield the results of a function for every item on the CPU, in their order, several computed ahead of the caller.

    torch's threads are shared out between them and the caller until the generator is closed.

    Parameters
    ----------
    function : callable
        Takes one item.
    items : iterable
        The items; read by the caller's thread.
    most : int
        Most items at once, for the sake of the memory.

    Yields
    ------
    Result
        Of each item.
    """
    threads = torch.get_num_threads()
    workers = min(threads, most)
    if workers < 2:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(workers, initializer=partial(torch.set_num_threads, threads // workers))
    waiting: deque[Future[Result]] = deque()
    with _threads_per_operation(threads // workers):
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > workers:  # one more than is computed, so that no worker waits for the caller
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def parallel_items() -> int:
    """Return how many items `map_in_threads` computes at once on the CPU."""
    return min(os.cpu_count() or 1, _most)


def seeds(generator: torch.Generator, count: int, device: torch.device) -> list[torch.Generator]:
    """Draw independent generators from one, so that results do not depend on the order of the slabs.

    Parameters
    ----------
    generator : torch.Generator
        On `device`; its state advances.
    count : int
        How many.
    device : torch.device
        Device of the new generators.
    """
    numbers = torch.randint(2**62, (count,), generator=generator, device=device).tolist()
    return [torch.Generator(device=device).manual_seed(n) for n in numbers]

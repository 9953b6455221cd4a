"""Stacks of slices: filled in this process or, where the helper process reads them, sent slice by slice as they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

Fill = Callable[[int, np.ndarray], None]
"""Writes the part of a number, along the first axis, into the array that it is given."""


def filled(shape: Sequence[int], dtype: Any, fill: Fill) -> np.ndarray:
    """Return an array whose parts along the first axis were filled one after another.

    Parameters
    ----------
    shape : sequence of int
        Its shape.
    dtype : dtype
        Its type.
    fill : callable
        Takes the number of a part and the part.
    """
    array = np.empty(shape, dtype)
    for number, part in enumerate(array):
        fill(number, part)
    return array


_stack: Callable[[Sequence[int], Any, Fill], np.ndarray] = filled


def stacked(shape: Sequence[int], dtype: Any, fill: Fill) -> np.ndarray:
    """Return what `filled` returns; inside `stacking` it may be an array that must not be looked at here, only returned.

    Parameters
    ----------
    shape, dtype, fill
        As in `filled`.
    """
    return _stack(shape, dtype, fill)


@contextmanager
def stacking(stack: Callable[[Sequence[int], Any, Fill], np.ndarray] = filled) -> Iterator[None]:
    """Let `stacked` use this inside the block; by default `filled`, for functions that compute with the values.

    Parameters
    ----------
    stack : callable
        Takes what `filled` takes.
    """
    global _stack
    before, _stack = _stack, stack
    try:
        yield
    finally:
        _stack = before

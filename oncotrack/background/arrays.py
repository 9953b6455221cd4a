"""Stacks of slices: computed in this process or, where the helper process reads them, sent as stored while they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Stored:
    """A slice as it is stored.

    Attributes
    ----------
    values : (H, W) ndarray
        Stored values, of any numeric type.
    slope, intercept : float
        What they are multiplied with, and what is added then.
    """

    values: np.ndarray
    slope: float = 1.0
    intercept: float = 0.0

    def write(self, out: np.ndarray) -> None:
        """Compute the values, slope * stored + intercept.

        Parameters
        ----------
        out : (H, W) float32 ndarray
            Where to write them.
        """
        if self.slope == 1 and float(self.intercept).is_integer():
            np.add(self.values, np.float32(self.intercept), out=out, casting="unsafe", dtype=np.float32)
        else:
            scaled = np.multiply(self.values, self.slope, dtype=np.float64)
            np.add(scaled, self.intercept, out=out, casting="unsafe")

    def ends(self) -> tuple[float, float]:
        """Return the smallest and the largest of the computed values; NaN or infinite where any is."""
        both = np.empty(2, np.float32)
        Stored(np.array([self.values.min(), self.values.max()]), self.slope, self.intercept).write(both)
        return float(both.min()), float(both.max())


Read = Callable[[int, np.ndarray], Stored]
"""Reads the slice of a number; the stored values may lie at the beginning of the bytes that it is given, 4 for each pixel."""


def filled(shape: Sequence[int], read: Read) -> np.ndarray:
    """Return a stack of slices that were read one after another, float32.

    Parameters
    ----------
    shape : (3,) sequence of int
        Its shape; the first number is that of the slices.
    read : callable
        Takes the number of a slice and bytes, returns the slice.
    """
    array = np.empty(shape, np.float32)
    room = np.empty(array[:1].nbytes, np.uint8)
    for number, part in enumerate(array):
        read(number, room).write(part)
    return array


_stack: Callable[[Sequence[int], Read], np.ndarray] = filled


def stacked(shape: Sequence[int], read: Read) -> np.ndarray:
    """Return what `filled` returns; inside `stacking` it may be an array that must not be looked at here, only returned.

    Parameters
    ----------
    shape, read
        As in `filled`.
    """
    return _stack(shape, read)


@contextmanager
def stacking(stack: Callable[[Sequence[int], Read], np.ndarray] = filled) -> Iterator[None]:
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

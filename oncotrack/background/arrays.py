"""Large arrays for results: ordinary memory, or memory shared with the program where the helper process makes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_allocate: Callable[[Sequence[int], Any], np.ndarray] = np.empty


def empty(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """Return an array of undefined content; what the helper process returns in such an array is not copied.

    Parameters
    ----------
    shape : sequence of int
        Its shape.
    dtype : dtype
        Its type.
    """
    return _allocate(shape, dtype)


def allocate_with(allocate: Callable[[Sequence[int], Any], np.ndarray] = np.empty) -> None:
    """Choose where `empty` takes its memory from.

    Parameters
    ----------
    allocate : callable
        Takes shape and dtype.
    """
    global _allocate
    _allocate = allocate

"""Free memory of this process: given back to the system instead of kept by the C library, where that is glibc."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable


def give_memory_back() -> bool:
    """Give free memory back to the system: the C library of Linux would keep hundreds of MB that a network has used.

    Returns
    -------
    bool
        Whether the C library can do it.
    """
    if (trim := _function("malloc_trim")) is not None:
        trim(0)
    return trim is not None


@functools.cache
def _function(name: str) -> Callable[..., int] | None:
    """Return a function of the C library; None where it has none of this name."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # macOS, other C libraries, Windows
        return None

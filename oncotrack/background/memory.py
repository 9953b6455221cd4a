"""Free memory of this process: given back to the system instead of kept by the C library, where that is glibc."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

_MMAP_THRESHOLD, _LARGE = -3, 128 * 1024  # M_MMAP_THRESHOLD, and glibc's first value of it, in bytes


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


def keep_large_blocks_apart() -> bool:
    """Give blocks from 128 KiB back as soon as they are free, in this process, from now on.

    glibc starts like this, but raises the limit, up to 32 MiB, whenever a large block is freed. Images then lie among small
    objects, and their memory cannot be given back while one of these is used.

    Returns
    -------
    bool
        Whether the C library can do it.
    """
    set_option = _function("mallopt")
    return set_option is not None and set_option(_MMAP_THRESHOLD, _LARGE) == 1


@functools.cache
def _function(name: str) -> Callable[..., int] | None:
    """Return a function of the C library; None where it has none of this name."""
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # macOS, other C libraries, Windows
        return None

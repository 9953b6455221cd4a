"""How much memory a process keeps, once garbage and free pages were given back.

Pages of files, mostly the code of libraries, do not count: the system drops them when it needs the memory.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import NamedTuple

from oncotrack.background.jobs import give_memory_back


class Kept(NamedTuple):
    """Memory in MiB.

    Parameters
    ----------
    allocated
        Blocks that are in use; NaN where the C library does not tell. Small objects of Python count only while
        `count_small_objects` holds.
    resident
        Pages, which free space between blocks in use also fills.
    """

    allocated: float
    resident: float

    def grown_since(self, first: Kept) -> dict[str, float]:
        """Return by how much both have grown, as entries of the outcome."""
        return {
            "allocated_grow_mib": round(self.allocated - first.allocated, 1),
            "resident_grow_mib": round(self.resident - first.resident, 1),
        }


def kept() -> Kept:
    """Return the memory that this process keeps."""
    gc.collect()
    give_memory_back()
    resident = int(re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
    return Kept(_allocated_bytes() / 2**20, resident)


def write_on_signal(path: Path) -> None:
    """Write `kept` to a file whenever this process gets SIGUSR1."""

    def write(*_about: object) -> None:
        path.with_suffix(".new").write_text(json.dumps(kept()))
        path.with_suffix(".new").replace(path)

    signal.signal(signal.SIGUSR1, write)


def count_small_objects() -> None:
    """Start this program again, unless it has been, so that Python takes its small objects from the C library, too."""
    if os.environ.get("PYTHONMALLOC") != "malloc":
        os.environ["PYTHONMALLOC"] = "malloc"
        os.execv(sys.executable, [sys.executable, *sys.argv])


class _Counted(ctypes.Structure):
    """struct mallinfo2 of glibc."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "mapped", "usmblks", "fsmblks", "used", "free", "keepcost")
    ]


def _allocated_bytes() -> float:
    count = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if count is None:
        return float("nan")
    count.restype = _Counted
    counted = count()
    return float(counted.used + counted.mapped)

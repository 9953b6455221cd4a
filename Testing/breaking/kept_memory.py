"""How much memory a process keeps, once garbage and free pages were given back.

Pages of files, mostly the code of libraries, do not count: the system drops them when it needs the memory.
"""

from __future__ import annotations

import gc
import re
import signal
from pathlib import Path

from oncotrack.background.jobs import give_memory_back


def kept_mib() -> float:
    """Return the memory that this process keeps."""
    gc.collect()
    give_memory_back()
    return int(re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def write_on_signal(path: Path) -> None:
    """Write `kept_mib` to a file whenever this process gets SIGUSR1."""

    def write(*_about: object) -> None:
        path.with_suffix(".new").write_text(f"{kept_mib():.1f}")
        path.with_suffix(".new").replace(path)

    signal.signal(signal.SIGUSR1, write)

"""The cost of many patients for client and scheduler, with simulated patients; imports no more than a run does."""

from __future__ import annotations

import re
import time
from pathlib import Path

import oncotrack.archive.workers  # noqa: F401  (part of the memory of a run)
from oncotrack.archive.cluster import Cluster, computed, connect


def one_millisecond(number: int) -> int:
    """Take a millisecond, as a simulated patient."""
    time.sleep(0.001)
    return number


def many_jobs(count: int, workers: int) -> dict[str, float]:
    """Run simulated patients on new workers, and return the peak memory of this process and the seconds a job.

    Parameters
    ----------
    count : int
        Number of patients.
    workers : int
        Number of workers.
    """
    with connect(Cluster(workers=workers)) as client:
        list(computed(client, one_millisecond, range(10), lambda number: f"warm {number}"))
        started = time.perf_counter()
        done = sum(1 for _ in computed(client, one_millisecond, range(count), str))
        seconds = time.perf_counter() - started
    status = Path("/proc/self/status")
    peak = re.search(r"VmHWM:\s+(\d+)", status.read_text()) if status.exists() else None
    return {
        "jobs": done,
        "mib": int(peak.group(1)) / 1024 if peak else 0.0,
        "ms_per_job": 1000 * seconds / count,
    }

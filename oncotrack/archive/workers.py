"""What runs in a worker process of a Dask cluster: its preparation, and the computation of one patient."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed import WorkerPlugin, get_worker

from oncotrack import __version__
from oncotrack.archive.cases import Case
from oncotrack.archive.compute import Outcome, Turns, compute
from oncotrack.archive.plan import KeyMaker, Keys, Plan
from oncotrack.background.isolation import _physical_memory, use_helper
from oncotrack.errors import Cancelled, InputError


@dataclass(frozen=True)
class Task:
    """A patient to compute, with all that a worker needs to know."""

    case: Case
    plan: Plan
    keys: Keys
    out: Path


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # parameters of glibc's mallopt
_KEPT_BYTES, _LARGEST_KEPT_BYTES = 2**28, 2**25

_turns: dict[str, Turns] = {}
"""Of the workers in this process, by address."""


class Preparation(WorkerPlugin):
    """Prepares a worker: threads that do not fight, reading in a helper process, and the same version and weights.

    Parameters
    ----------
    threads : int
        Threads that compute a patient.
    expected : Keys
        Of `case`, as the client made them; a worker with other weights makes others.
    case : Case
        Any patient.
    plan : Plan
        What is computed.
    """

    name = "oncotrack-archive"

    def __init__(self, threads: int, case: Case, plan: Plan) -> None:
        self._threads, self._case, self._plan = threads, case, plan
        self._expected, self._version = KeyMaker(plan).keys(case), __version__

    def setup(self, worker: Any) -> None:
        """Prepare a worker; raises InputError if it cannot be used."""
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[name] = str(self._threads)
        if self._version != __version__:
            raise InputError(
                f"The worker {worker.address} has OncoTrack {__version__}, and this computer {self._version}. Install the same "
                "version on both."
            )
        if KeyMaker(self._plan).keys(self._case) != self._expected:
            raise InputError(
                f"The worker {worker.address} has other weights than this computer. Install the same on both."
            )
        from oncotrack.networks.threads import use_threads

        use_threads(self._threads)
        _keep_freed_memory()
        use_helper(now=True)
        _turns[worker.address] = Turns(worker.memory_manager.memory_limit or _physical_memory())


def _keep_freed_memory() -> None:
    """Let the C library keep the memory of arrays that are freed, as it does in other programs.

    Dask has it give that memory back at once (``MALLOC_TRIM_THRESHOLD_``); the system then clears every page of the next array.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
            mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)


def patient(task: Task) -> Outcome:
    """Compute one patient; called by Dask in a worker."""
    worker = get_worker()
    key = worker.get_current_task()

    def stop_if_cancelled(_fraction: float, _text: str) -> None:
        state = worker.state.tasks.get(key)
        if state is None or state.state == "cancelled":
            raise Cancelled

    return compute(task.case, task.plan, task.keys, task.out, _turns[worker.address], stop_if_cancelled)

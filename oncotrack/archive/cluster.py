"""A Dask cluster for the patients of an archive: this computer's, or any that exists, by its address."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from oncotrack.errors import InputError, MissingPackageError, OncoTrackError

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
_AHEAD = 3  # patients that are submitted for each thread of the workers
_CONNECT_S = 20
_CLOSE_S = 4
_START_S = 300  # a worker that imports PyTorch on a busy computer takes long
_LOST = (
    "The connection to the scheduler was lost. What was computed is written: start the scheduler, and run the same command "
    "again."
)


class LostClusterError(OncoTrackError):
    """The scheduler cannot be reached any more."""


@dataclass(frozen=True)
class Cluster:
    """Where patients are computed.

    Attributes
    ----------
    address : str
        Of an existing scheduler; "" starts workers on this computer.
    workers : int
        Number of workers on this computer; 0 for one a core.
    memory : float
        Memory of each of them, GB; 0 for an equal share of what the computer has.
    """

    address: str = ""
    workers: int = 0
    memory: float = 0.0

    @property
    def count(self) -> int:
        """Number of workers on this computer."""
        return self.workers or os.cpu_count() or 1

    @property
    def threads(self) -> int:
        """Threads that compute a patient in each worker: this computer's cores shared out; one on another cluster."""
        return 1 if self.address else max(1, (os.cpu_count() or 1) // self.count)

    @property
    def bytes(self) -> int:
        """Memory of each worker on this computer: as asked for, else an equal share of what the computer has."""
        from distributed.system import MEMORY_LIMIT

        return int(self.memory * 1e9) or MEMORY_LIMIT // self.count

    def size(self) -> int:
        """Return the number of workers, asking the scheduler if there is one."""
        if not self.address:
            return self.count
        with connect(self) as client:
            return len(client.scheduler_info(n_workers=-1)["workers"]) or 1


def distributed() -> Any:
    """Return the package distributed.

    Raises
    ------
    MissingPackageError
        It is not installed.
    """
    try:
        import distributed as package
    except ImportError as error:
        raise MissingPackageError(
            'Running an archive needs the package distributed. Install it with: pip install "oncotrack[archive]"'
        ) from error
    return package


@contextmanager
def connect(cluster: Cluster, plugin: Any = None) -> Iterator[Client]:
    """Start workers on this computer, or connect to a scheduler; workers that were started end with the block.

    Each worker has two threads: while one computes a patient, the other reads the next.

    Parameters
    ----------
    cluster : Cluster
        Which.
    plugin : WorkerPlugin, optional
        Prepares every worker, also those that join later.

    Raises
    ------
    InputError
        There is no scheduler at the address.
    OncoTrackError
        A worker cannot be used.
    """
    package = distributed()
    from dask.config import set as configured

    settings = {
        "distributed.comm.timeouts.connect": f"{_START_S}s",
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "500ms",  # patients take minutes; watching 50 times a second costs 5 % of a core
        "distributed.admin.system-monitor.interval": "2s",
        "distributed.scheduler.work-stealing": True,
        "logging.distributed": "critical",
    }
    with ExitStack() as stack:
        stack.enter_context(configured(settings))
        if cluster.address:
            try:
                client = package.Client(cluster.address, timeout=_CONNECT_S, set_as_default=False)
            except (OSError, ValueError, TypeError) as error:
                raise InputError(
                    f"There is no Dask scheduler at {cluster.address}. Check the address, for example tcp://host:8786.",
                    parameter="scheduler",
                ) from error
        else:
            local = stack.enter_context(_local(package, cluster))
            client = package.Client(local, timeout=_START_S, set_as_default=False)
        stack.callback(client.close, timeout=5)
        if plugin is not None:
            client.register_plugin(plugin)
        yield client


@contextmanager
def _local(package: Any, cluster: Cluster) -> Iterator[Any]:
    found = package.LocalCluster(
        n_workers=cluster.count,
        threads_per_worker=2,
        processes=True,
        memory_limit=cluster.bytes,  # Dask's own "auto" counts threads, of which only one of two computes
        dashboard_address="127.0.0.1:0",
        silence_logs=50,
    )
    try:
        yield found
    finally:
        _close(found)


def _close(cluster: Any) -> None:
    """End the workers; those that do not end by themselves, because they compute or are just starting, are killed."""
    nannies = list(cluster.workers.values())
    with suppress(TimeoutError):
        cluster.close(timeout=_CLOSE_S)
    for nanny in nannies:
        if nanny.pid:
            with suppress(OSError):
                os.kill(nanny.pid, signal.SIGKILL if os.name == "posix" else signal.SIGTERM)


def computed(
    client: Client, function: Callable[[Item], Any], items: Iterable[Item], name: Callable[[Item], str]
) -> Iterator[tuple[Item, Any]]:
    """Yield each item with the result of a function, or with the exception that ended it, in the order of completion.

    Only a few items for each worker are submitted at a time, so that neither the scheduler nor this process holds more.

    Parameters
    ----------
    client : Client
        Of the cluster.
    function : callable
        Of a module, takes one item.
    items : iterable
        The items; they are taken when they can be submitted.
    name : callable
        Returns a text that identifies an item: one that is submitted twice is computed once.

    Raises
    ------
    LostClusterError
        The scheduler cannot be reached any more.
    """
    package = distributed()
    waiting, running = iter(items), {}
    finished = package.as_completed(raise_errors=False, loop=client.loop)
    is_over = False
    while True:
        while not is_over and len(running) < max(_AHEAD * _threads(client), 8):
            item = next(waiting, None)
            if item is None:
                is_over = True
                break
            # a tuple, so that all of them are one group for the scheduler
            future = client.submit(function, item, key=(function.__name__, name(item)), pure=False)
            running[future.key] = item
            finished.add(future)
        if not running:
            return
        future = next(finished)
        item = running.pop(future.key)
        if client.status != "running" or future.status in ("cancelled", "lost"):
            raise LostClusterError(_LOST)
        try:
            result = future.exception() if future.status == "error" else future.result()
        except (OSError, CancelledError) as error:  # it ended while the result was on its way
            raise LostClusterError(_LOST) from error
        yield item, result


def _threads(client: Client) -> int:
    return sum(each["nthreads"] for each in client.scheduler_info(n_workers=-1)["workers"].values())


def dashboard(client: Client) -> str:
    """Return the address of Dask's page for this cluster; "" where it has none.

    Parameters
    ----------
    client : Client
        Of the cluster.
    """
    import importlib.util

    return (client.dashboard_link or "") if importlib.util.find_spec("bokeh") else ""

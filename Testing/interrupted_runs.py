"""Runs over an archive in processes of their own, which tests kill: the client, a worker or the scheduler."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from oncotrack.archive.tables import TABLES, read_table

TESTING = Path(__file__).resolve().parent
SECONDS = 240  # a worker that imports PyTorch on a busy computer takes long


class Disturbed:
    """A run that is killed at a random moment and started again.

    Parameters
    ----------
    index : Path
        Index of a cohort of `stand_in_stages.write_cohort`.
    folder : Path
        Where to write; made.
    seconds : float
        Time that each stage takes.
    """

    def __init__(self, index: Path, folder: Path, seconds: float = 0.03) -> None:
        self.index, self.folder, self.out = index, folder, folder / "out"
        folder.mkdir(parents=True, exist_ok=True)
        self.nannies: list[subprocess.Popen] = []
        self.log = folder / "computed.txt"
        self.log.touch()
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(TESTING), str(TESTING.parent)]),
            "DASK_DISTRIBUTED__WORKER__PRELOAD": json.dumps([str(TESTING / "stand_in_stages.py")]),
            "ONCOTRACK_TEST_LOG": str(self.log),
            "ONCOTRACK_TEST_SECONDS": str(seconds),
        }

    def start(self, *options: str) -> subprocess.Popen:
        """Start ``oncotrack archive run``."""
        return self._process("oncotrack", "archive", "run", str(self.index), "--out", str(self.out),
                             "--method", "affine", "--json", "-", *options)  # fmt: skip

    @contextmanager
    def cluster(self, workers: int = 2):
        """Start a scheduler and workers; yields the scheduler's process and its address."""
        file = self.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        with ExitStack() as stack:
            scheduler = self._process("distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard",
                                      "--scheduler-file", str(file), "--host", "127.0.0.1", said=subprocess.DEVNULL)  # fmt: skip
            stack.callback(end, scheduler)
            until(file.is_file, "the scheduler listens")
            address = json.loads(file.read_text())["address"]
            for _ in range(workers):
                worker = self._process("distributed.cli.dask_worker", address, "--nthreads", "2", "--no-dashboard",
                                       "--death-timeout", "60", "--local-directory", str(self.folder),
                                       said=subprocess.DEVNULL)  # fmt: skip
                stack.callback(end, worker)
                self.nannies.append(worker)
            yield scheduler, address
            self.nannies.clear()

    def wait_for(self, lines: int, process: subprocess.Popen) -> bool:
        """Wait until this many stages were begun; False if the run ended before."""
        begun = len(self.log.read_text().splitlines()) + lines
        until(lambda: self.count() >= begun or process.poll() is not None, f"{begun} stages were begun")
        return process.poll() is None

    def count(self) -> int:
        """Return the number of stages that were begun."""
        return len(self.log.read_text().splitlines())

    def written(self) -> set[str]:
        """Return the stages whose results are written, as the log names them."""
        found = set()
        for path in self.out.glob("patients/*/stages/*.json"):
            name = path.name.partition("-")[0]
            if name in ("detect", "follow"):
                points = json.loads(path.read_text())["time_points"]
                found.add(" ".join([name, *(point["fingerprint"] for point in points)]))
        return found

    def kill(self, pid: int) -> Callable[[], list[str]]:
        """Kill a process, and return a function that returns what was computed again although it had been written."""
        os.kill(pid, signal.SIGKILL)
        before, offset = self.written(), self.count()
        return lambda: [line for line in self.log.read_text().splitlines()[offset:] if line in before]

    def _process(self, module: str, *arguments: str, said: int = subprocess.PIPE) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=self._environment, stdout=said, stderr=said, text=True, start_new_session=True,
        )  # fmt: skip


def tables(out: Path) -> dict[str, list[dict]]:
    """Return all tables without what differs from run to run: UIDs and times."""
    return {
        name: sorted(
            (
                {
                    key: value
                    for key, value in row.items()
                    if key not in ("uid", "when") and not key.endswith("_seconds")
                }
                for row in read_table(out, name)
            ),
            key=str,
        )
        for name in TABLES
    }


def workers_of(process: subprocess.Popen) -> list[psutil.Process]:
    """Return the worker processes of a run on this computer."""
    found = psutil.Process(process.pid).children()
    return [each for each in found if any("spawn_main" in part for part in each.cmdline())]


def finished(process: subprocess.Popen) -> dict:
    """Wait for the end of a run, and return what it printed."""
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err[-2000:]
    return json.loads(out)


def end(process: subprocess.Popen) -> None:
    """End a process and all that it started."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds."""
    limit = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < limit, f"It did not happen in {SECONDS} s that {what}."
        time.sleep(0.01)


def kill_client(run: Disturbed, chance: random.Random, stages: int) -> list[str]:
    """Kill the client with its scheduler, then run again; return what was computed again although it was written."""
    process = run.start("--workers", "2")
    try:
        if not run.wait_for(chance.randrange(1, stages), process):
            return []
        workers = workers_of(process)
        again = run.kill(process.pid)
        until(lambda: not any(each.is_running() for each in workers), "the workers of a killed client end")
    finally:
        end(process)
    finished(run.start("--workers", "2"))
    return again()


def kill_worker(run: Disturbed, chance: random.Random, stages: int) -> list[str]:
    """Kill a worker; the run goes on by itself."""
    process = run.start("--workers", "2")
    try:
        if not run.wait_for(chance.randrange(1, stages), process):
            return []
        again = run.kill(chance.choice(workers_of(process)).pid)
        finished(process)
        return again()
    finally:
        end(process)


def kill_scheduler(run: Disturbed, chance: random.Random, stages: int) -> list[str]:
    """Kill the scheduler of another cluster; the run ends with a sentence, and continues on a new cluster."""
    with run.cluster() as (scheduler, address):
        process = run.start("--scheduler", address)
        try:
            if not run.wait_for(chance.randrange(1, stages), process):
                return []
            scheduler.kill()
            _out, err = process.communicate(timeout=SECONDS)
            assert process.returncode == 2 and "The connection to the scheduler was lost" in err, err[-2000:]
        finally:
            end(process)
    before, offset = run.written(), run.count()
    with run.cluster() as (_scheduler, address):
        finished(run.start("--scheduler", address))
    return [line for line in run.log.read_text().splitlines()[offset:] if line in before]


KILLS = {"client": kill_client, "worker": kill_worker, "scheduler": kill_scheduler}


class Standing:
    """A cluster that serves run after run, so that each costs little; what is killed is replaced.

    Parameters
    ----------
    run : Disturbed
        The runs; each is given a folder of its own.
    """

    def __init__(self, run: Disturbed) -> None:
        self._run, self._stack = run, ExitStack()
        self._start()

    def close(self) -> None:
        """End the cluster."""
        self._stack.close()

    def kill(self, which: str, out: Path, chance: random.Random, stages: int) -> list[str] | None:
        """Kill a process of a run, and let the run end, or start it again; None where it ended before.

        Parameters
        ----------
        which : str
            "client", "worker" or "scheduler".
        out : Path
            Folder of the results.
        chance : random.Random
            Draws the moment.
        stages : int
            Number of stages that the run computes.

        Returns
        -------
        list of str
            What was computed again although it was written when the process was killed.
        """
        run, run.out = self._run, out
        process = run.start("--scheduler", self._address)
        try:
            if not run.wait_for(chance.randrange(1, stages), process):
                return None
            if which == "worker":
                again = run.kill(chance.choice([each for nanny in run.nannies for each in workers_of(nanny)]).pid)
                finished(process)
                return again()
            again = run.kill(process.pid if which == "client" else self._scheduler.pid)
            if which == "scheduler":
                _out, err = process.communicate(timeout=SECONDS)
                assert process.returncode == 2 and "The connection to the scheduler was lost" in err, err[-2000:]
                self._stack.close()
                self._start()
        finally:
            end(process)
        finished(run.start("--scheduler", self._address))
        return again()

    def _start(self) -> None:
        self._scheduler, self._address = self._stack.enter_context(self._run.cluster())

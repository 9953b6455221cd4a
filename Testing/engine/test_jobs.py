"""The worker runs jobs in order, reports progress, and delivers no result of a cancelled job."""

import queue
import re
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from oncotrack.background import jobs
from oncotrack.background.jobs import Worker, give_memory_back
from oncotrack.errors import Cancelled, InputError


class Interface:
    """Replacement of Qt or asyncio: runs the posted callbacks on this thread."""

    def __init__(self):
        self.posted = queue.Queue()
        self.worker = Worker(self.posted.put)
        self.received = []

    def submit(self, work, name="job"):
        return self.worker.submit(
            work,
            lambda result: self.received.append((name, result)),
            lambda error: self.received.append((name, error)),
            lambda fraction, text: self.received.append((name, fraction, text)),
        )

    def run_until(self, done):
        while not done():
            self.posted.get(timeout=10)()


@pytest.fixture
def interface():
    interface = Interface()
    yield interface
    interface.worker.stop()


def results(interface):
    return [entry for entry in interface.received if len(entry) == 2]


def test_jobs_run_in_order_on_one_thread_and_are_delivered_here(interface):
    threads = []

    def work(progress):
        threads.append(threading.current_thread())
        progress(0.5, "half")
        return len(threads)

    for name in "abc":
        interface.submit(work, name)
    interface.run_until(lambda: len(results(interface)) == 3)
    assert results(interface) == [("a", 1), ("b", 2), ("c", 3)]
    assert len(set(threads)) == 1
    assert threading.current_thread() not in threads
    assert ("b", 0.5, "half") in interface.received


def test_a_cancelled_job_stops_at_its_next_report_and_delivers_nothing(interface):
    started, released = threading.Event(), threading.Event()

    def work(progress):
        started.set()
        released.wait(10)
        progress(0.9, "never shown")
        raise AssertionError("the job continued")

    job = interface.submit(work)
    waiting = interface.submit(lambda _progress: "never", "waiting")
    started.wait(10)
    job.cancel()
    waiting.cancel()
    released.set()
    interface.run_until(lambda: len(results(interface)) == 2)
    assert all(isinstance(error, Cancelled) for _, error in results(interface))
    assert not any("never shown" in entry for entry in interface.received)


def test_cancelling_between_the_last_report_and_the_delivery_counts(interface):
    job = interface.submit(lambda _progress: "done")
    while interface.worker.is_busy:
        pass
    job.cancel()
    interface.run_until(lambda: results(interface))
    assert isinstance(results(interface)[0][1], Cancelled)


def test_a_failure_is_delivered_as_a_message_and_the_worker_continues(interface):
    def fails(_progress):
        raise InputError("The image is empty.")

    def breaks(_progress):
        raise ZeroDivisionError

    interface.submit(fails, "a")
    interface.submit(breaks, "b")
    interface.submit(lambda _progress: 7, "c")
    interface.run_until(lambda: len(results(interface)) == 3)
    (_, first), (_, second), third = results(interface)
    assert str(first) == "The image is empty."
    assert "error in OncoTrack" in str(second)
    assert third == ("c", 7)


def test_an_idle_worker_keeps_nothing_of_its_last_job(interface):
    scan = np.zeros(10)
    kept = weakref.ref(scan)
    interface.submit(lambda _progress, scan=scan: scan.sum())
    interface.run_until(lambda: len(results(interface)) == 1)
    del scan
    deadline = time.monotonic() + 10
    while kept() is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert kept() is None and not interface.worker.is_busy


@pytest.mark.skipif(not give_memory_back(), reason="the C library cannot give memory back")
def test_memory_that_long_work_has_freed_is_given_back(interface, monkeypatch):
    last = []

    def work(_progress):
        blocks = [bytes(1000) for _ in range(200_000)]
        last.append(blocks[-1])  # behind free memory, which the C library then keeps
        return anonymous_mib()

    monkeypatch.setattr(jobs, "_LONG_S", 0.0)
    give_memory_back()  # or the blocks would lie in memory that earlier tests have freed
    before = anonymous_mib()
    interface.submit(work)
    interface.run_until(lambda: len(results(interface)) == 1)
    ((_name, most),) = results(interface)
    assert most - before > 120
    interface.posted.get(timeout=10)()
    interface.submit(lambda _progress: None)  # runs after memory was given back
    interface.run_until(lambda: len(results(interface)) == 2)
    assert anonymous_mib() - before < 60


def anonymous_mib() -> float:
    """Return the memory of this process that is no file's."""
    return int(re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024

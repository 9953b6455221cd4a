"""Cancel ends the work that runs and waits within seconds, and nothing that comes later."""

from __future__ import annotations

import queue
import threading
import time

import pytest

from oncotrack.background import jobs
from oncotrack.background.jobs import Worker
from oncotrack.errors import Cancelled


class Interface:
    """An interface's thread: runs what the worker posts, in the test's thread."""

    def __init__(self) -> None:
        self._calls = queue.SimpleQueue()
        self.worker = Worker(self._calls.put)
        self.said = []

    def submit(self, name, work):
        """Queue work and note how it ends."""
        return self.worker.submit(
            work, lambda result: self.said.append((name, result)), lambda error: self.said.append((name, type(error)))
        )

    def until(self, count):
        """Handle calls until so many jobs have ended."""
        while len(self.said) < count:
            self._calls.get(timeout=20)()

    def rest(self):
        """Handle the calls that wait now."""
        while not self._calls.empty():
            self._calls.get()()


@pytest.fixture
def interface():
    interface = Interface()
    yield interface
    interface.worker.stop()


def test_work_that_does_not_stop_is_given_up_and_the_next_work_runs(interface, monkeypatch):
    monkeypatch.setattr(jobs, "_PATIENCE_S", 0.2)
    started, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def stubborn(_progress):
        started.set()
        may_end.wait(20)
        ended.set()
        return "too late"

    interface.submit("stubborn", stubborn)
    waiting = interface.submit("waiting", lambda _progress: "never")
    assert started.wait(10)
    pressed = time.monotonic()
    interface.worker.cancel_all()
    interface.until(2)
    assert sorted(interface.said) == [("stubborn", Cancelled), ("waiting", Cancelled)] and waiting.is_cancelled
    assert time.monotonic() - pressed < 5
    interface.submit("next", lambda _progress: "done")
    interface.until(3)
    may_end.set()
    assert ended.wait(10)
    interface.submit("after", lambda _progress: "done")
    interface.until(4)
    interface.rest()
    assert interface.said[2:] == [("next", "done"), ("after", "done")], "what was given up delivers nothing"


def test_cancelling_some_jobs_leaves_later_ones(interface):
    may_go = threading.Event()
    first = interface.submit("first", lambda progress: (may_go.wait(10), progress(0.5, "")))
    second = interface.submit("second", lambda _progress: "done")
    interface.worker.cancel([first])
    may_go.set()
    interface.until(2)
    assert interface.said == [("first", Cancelled), ("second", "done")] and not second.is_cancelled

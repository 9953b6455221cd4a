"""The Cancel button acts on what the page showed when it was pressed."""

from __future__ import annotations

import queue
import threading

from oncotrack.scene.nodes.tasks import Task
from oncotrack.web.work import Work


def test_cancel_ends_what_was_shown_and_not_what_came_later():
    calls, shown, said, done = queue.SimpleQueue(), [], [], []
    work = Work(calls.put, shown.append, lambda error: said.append(str(error)))
    may_go = threading.Event()

    def wait(progress):
        may_go.wait(10)
        progress(0.5, "")

    try:
        work.submit(Task("first", wait, done.append))
        work.submit(Task("second", wait, done.append))
        pressed_at = shown[-1]["last"]
        work.submit(Task("later", lambda _progress: "later", done.append))
        work.cancel(pressed_at)
        may_go.set()
        while work.is_busy:
            calls.get(timeout=10)()
        assert done == ["later"] and len(said) == 2 and all("Cancelled" in text for text in said)
        before = len(shown)
        work.cancel(pressed_at)
        assert len(shown) == before, "a press that arrives too late does nothing"
    finally:
        work.stop()

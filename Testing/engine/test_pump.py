"""An interface with nothing but a timer gets a worker's answers on its own thread."""

import threading
import time

import pytest

from oncotrack.background.dispatcher import TimerDispatcher
from oncotrack.errors import Cancelled, OncoTrackError


class HandTimer:
    """A timer that the test turns by hand."""

    def __init__(self):
        self.is_running = False

    def start(self):
        self.is_running = True

    def stop(self):
        self.is_running = False


@pytest.fixture
def pump():
    timer, finished = HandTimer(), []
    pump = TimerDispatcher(timer, lambda: finished.append(threading.current_thread()))
    pump.timer, pump.finished = timer, finished

    def turn(seconds=10.0):
        end = time.monotonic() + seconds
        while timer.is_running and time.monotonic() < end:
            pump.tick()
        assert not timer.is_running, "the timer stops by itself"

    pump.turn = turn
    yield pump
    pump.close()


def test_answers_come_on_the_thread_that_ticks_and_the_timer_stops(pump):
    seen = []

    def work(progress):
        progress(0.5, "half")
        return threading.current_thread()

    pump.worker.submit(
        work,
        lambda worker: seen.append((worker, threading.current_thread())),
        pytest.fail,
        lambda fraction, text: seen.append((fraction, text)),
    )
    pump.start()
    pump.turn()
    here = threading.current_thread()
    assert seen[:2] == [(0.0, ""), (0.5, "half")]
    worker, told = seen[2]
    assert worker is not here
    assert told is here
    assert pump.finished == [here]


def test_an_error_and_a_cancel_arrive_too(pump):
    errors, started = [], threading.Event()

    def fail(_progress):
        raise OncoTrackError("No.")

    def wait(progress):
        started.set()
        while True:
            progress(0.1, "waiting")
            time.sleep(0.001)

    pump.worker.submit(fail, pytest.fail, errors.append)
    pump.worker.submit(wait, pytest.fail, errors.append)
    pump.start()
    assert started.wait(5)
    pump.worker.cancel_all()
    pump.turn()
    assert str(errors[0]) == "No."
    assert isinstance(errors[1], Cancelled)


def test_an_answer_that_raises_does_not_stop_the_next(pump):
    seen = []

    def broken(_result):
        raise ValueError

    pump.worker.submit(lambda _progress: 1, broken, pytest.fail)
    pump.worker.submit(lambda _progress: 2, seen.append, pytest.fail)
    pump.start()
    with pytest.raises(ValueError):
        pump.turn()
    pump.turn()
    assert seen == [2]

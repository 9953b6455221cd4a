"""A user interface with only a timer receives the results of a worker on its own thread."""

import threading
import time

import pytest

from oncotrack.background.dispatcher import TimerDispatcher
from oncotrack.errors import Cancelled, OncoTrackError


class ManualTimer:
    """A timer whose ticks the test calls itself."""

    def __init__(self):
        self.is_running = False

    def start(self):
        self.is_running = True

    def stop(self):
        self.is_running = False


@pytest.fixture
def dispatcher():
    timer, finished = ManualTimer(), []
    dispatcher = TimerDispatcher(timer, lambda: finished.append(threading.current_thread()))
    dispatcher.timer, dispatcher.finished = timer, finished

    def run(seconds=10.0):
        end = time.monotonic() + seconds
        while timer.is_running and time.monotonic() < end:
            dispatcher.tick()
        assert not timer.is_running, "the timer stops by itself"

    dispatcher.run = run
    yield dispatcher
    dispatcher.close()


def test_results_are_delivered_on_the_thread_that_ticks_and_the_timer_stops(dispatcher):
    received = []

    def work(progress):
        progress(0.5, "half")
        return threading.current_thread()

    dispatcher.worker.submit(
        work,
        lambda worker: received.append((worker, threading.current_thread())),
        pytest.fail,
        lambda fraction, text: received.append((fraction, text)),
    )
    dispatcher.start()
    dispatcher.run()
    here = threading.current_thread()
    assert received[:2] == [(0.0, ""), (0.5, "half")]
    worker, delivery = received[2]
    assert worker is not here
    assert delivery is here
    assert dispatcher.finished == [here]


def test_errors_and_cancellations_are_delivered(dispatcher):
    errors, started = [], threading.Event()

    def fail(_progress):
        raise OncoTrackError("No.")

    def wait(progress):
        started.set()
        while True:
            progress(0.1, "waiting")
            time.sleep(0.001)

    dispatcher.worker.submit(fail, pytest.fail, errors.append)
    dispatcher.worker.submit(wait, pytest.fail, errors.append)
    dispatcher.start()
    assert started.wait(5)
    dispatcher.worker.cancel_all()
    dispatcher.run()
    assert str(errors[0]) == "No."
    assert isinstance(errors[1], Cancelled)


def test_a_callback_that_raises_does_not_stop_the_next(dispatcher):
    received = []

    def broken(_result):
        raise ValueError

    dispatcher.worker.submit(lambda _progress: 1, broken, pytest.fail)
    dispatcher.worker.submit(lambda _progress: 2, received.append, pytest.fail)
    dispatcher.start()
    with pytest.raises(ValueError):
        dispatcher.run()
    dispatcher.run()
    assert received == [2]

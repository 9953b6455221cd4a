"""Registration and networks in a process of their own: the same results, cancelled at once, and a crash costs a sentence."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time

import numpy as np
import pytest

from oncotrack.background import work_process
from oncotrack.background.jobs import Worker
from oncotrack.background.work_process import Remote, call_method, close_work_process, in_work_process, use_work_process
from oncotrack.errors import Cancelled, InputError, OncoTrackError
from oncotrack.followup import methods
from oncotrack.followup.match_lesions import match_all
from oncotrack.followup.tracker import ScanPair
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume


@pytest.fixture
def process(monkeypatch):
    """Use the work process, and end it after the test."""
    monkeypatch.delenv("ONCOTRACK_UNSAFE_IN_PROCESS", raising=False)
    use_work_process()
    yield work_process._process
    close_work_process()


def small(seed: int = 0) -> Volume:
    array = np.random.default_rng(seed).normal(size=(48, 48, 48)).astype(np.float32)
    return Volume(array, Geometry((48, 48, 48), (1, 1, 1), (0, 0, 0)), "small")


@in_work_process
def about(volume: Volume, others: tuple[Volume, ...] = (), *, progress=None) -> tuple[int, int, float, int]:
    if progress:
        progress(0.5, "half")
    total = float(volume.array.sum()) + sum(float(each.array.sum()) for each in others)
    return os.getpid(), id(volume), total, len(work_process._kept)


@in_work_process
def fail(kind: str) -> None:
    if kind == "input":
        raise InputError("This cannot be used.")
    if kind == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == "memory":
        raise MemoryError
    time.sleep(60)


class Loaded:
    """A network that is made once."""

    made = 0

    def __init__(self, name: str) -> None:
        type(self).made += 1
        self.name = name

    def where(self) -> tuple[int, str, int]:
        return os.getpid(), self.name, type(self).made


def test_without_it_functions_run_here():
    assert about(small())[0] == os.getpid()


def test_images_are_handed_over_once_and_forgotten_with_the_last_user(process):
    first, second = small(1), small(2)
    reports = []
    pid, place, total, kept = about(first, (second,), progress=lambda *step: reports.append(step))
    assert pid != os.getpid() and kept == 2 and reports == [(0.5, "half")]
    assert total == pytest.approx(float(first.array.sum() + second.array.sum()), rel=1e-4)
    again = about(first)
    assert again[:2] == (pid, place), "the same object is used again"
    del second
    gc.collect()
    assert about(first)[3] == 1


def test_what_is_loaded_stays_loaded_there(process):
    network = Remote(Loaded, "net")
    pid, name, made = call_method(network, "where")
    assert pid != os.getpid() and name == "net" and made == 1
    assert call_method(network, "where") == (pid, "net", 1)
    assert Loaded.made == 0, "not in this process"


def test_an_error_is_the_same_sentence_and_the_process_stays(process):
    pid = about(small())[0]
    with pytest.raises(InputError, match="This cannot be used"):
        fail("input")
    assert about(small())[0] == pid


@pytest.mark.parametrize(("kind", "sentence"), [("crash", "stopped unexpectedly"), ("memory", "needs more memory")])
def test_a_crash_costs_a_sentence_and_the_next_call_works(process, kind, sentence):
    scan = small()
    before = about(scan)
    with pytest.raises(OncoTrackError, match=sentence):
        fail(kind)
    after = about(scan)
    assert after[2] == before[2] and (after[0] != before[0]) == (kind == "crash")


def test_without_a_python_to_start_nothing_is_computed_in_this_process(process, monkeypatch):
    def refused():
        raise FileNotFoundError("PythonSlicer")

    monkeypatch.setattr("oncotrack.background.helper_process.python", refused)
    for compute in (lambda: about(small()), lambda: call_method(Remote(Loaded, "here"), "where")):
        with pytest.raises(OncoTrackError, match=r"cannot be started: PythonSlicer\. Nothing was changed"):
            compute()


def idle_after_cancel(work) -> float:
    """Return the seconds from cancelling a job to its end, once it has computed for a moment."""
    done, failed = threading.Event(), []
    worker = Worker(lambda call: call())

    def fails(error):
        failed.append(error)
        done.set()

    started = threading.Event()

    def progress(_fraction, text):
        if "B-spline" in text or text == "started":
            started.set()

    worker.submit(work, lambda _result: done.set(), fails, progress)
    assert started.wait(60)
    time.sleep(0.3)
    start = time.monotonic()
    worker.cancel_all()
    assert done.wait(30)
    taken = time.monotonic() - start
    worker.stop()
    assert [type(each) for each in failed] == [Cancelled]
    return taken


def test_cancelling_ends_a_bspline_registration_at_once(process, known_pair):
    pair = ScanPair(known_pair.baseline, known_pair.followup, cache=False)
    tracker = methods.tracker("bspline")
    for _ in range(3):  # other work on the computer only adds to it
        taken = idle_after_cancel(lambda progress: tracker.match(pair, known_pair.lesions[0][0], 10.0, progress))
        if taken < 0.5:
            break
    assert taken < 0.5
    assert about(small())[2] != 0.0, "the next call finds a new process"


def test_matches_are_those_of_this_process(process, known_pair):
    here, there = (ScanPair(known_pair.baseline, known_pair.followup, cache=False) for _ in range(2))
    remote = methods.tracker("selfsim")
    assert not isinstance(remote, type(methods.make("selfsim")))
    for lesions in (known_pair.lesions[:1], known_pair.lesions[1:3]):
        found = match_all(remote, there, lesions)
        close_work_process()
        expected = match_all(methods.make("selfsim"), here, lesions)
        use_work_process()
        for one, other in zip(found, expected, strict=True):
            assert np.allclose(one.position, other.position, atol=0.05) and one.method == other.method
            assert one.cycle_error_mm == pytest.approx(other.cycle_error_mm, abs=0.1)
    assert np.allclose(there.registration().matrix, here.registration().matrix, atol=1e-3)

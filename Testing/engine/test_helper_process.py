"""Files are read in a helper process, whose end is a sentence; arrays come back through shared memory, and nothing is left behind."""

import gc
import logging
import os
import signal
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import stacks
from small_dicom import hounsfield, series, write

from oncotrack.background import arrays, isolation
from oncotrack.background.helper_process import Helper, HelperEnded
from oncotrack.background.isolation import in_this_process, use_helper
from oncotrack.background.jobs import Worker
from oncotrack.background.shared_ring import _SLOTS, Incoming
from oncotrack.errors import Cancelled, InputError
from oncotrack.images.dicom import load_study
from oncotrack.images.files import load, save
from oncotrack.images.volume import Volume
from oncotrack.masks.label_files import write_labels
from oncotrack.masks.label_reader import read_labels

pytestmark = pytest.mark.skipif(os.name == "nt", reason="looks at processes in the manner of POSIX")


@pytest.fixture(scope="module")
def helper():
    helper = Helper()
    yield helper
    helper.close()


@pytest.fixture
def used(monkeypatch):
    """Read through one helper process for all tests of this file."""
    monkeypatch.delenv(isolation.SWITCH, raising=False)
    use_helper()
    yield
    isolation._helpers.are_used = False


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a folder with a DICOM series of 2 MB, the same as a zip archive, a NIfTI file and a segmentation."""
    folder = tmp_path_factory.mktemp("files")
    dicom = write(series(hounsfield((8, 256, 256))), folder / "dicom")
    with zipfile.ZipFile(folder / "dicom.zip", "w") as archive:
        for path in dicom.iterdir():
            archive.write(path, path.name)
    volume = load(dicom)
    save(volume, folder / "image.nii.gz")
    mask = Volume((volume.array > 900).astype(np.uint8), volume.geometry)
    write_labels(folder / "masks.seg.nrrd", volume.geometry, {"LN 1": mask})
    return folder


def test_a_function_runs_in_another_process_that_stays(helper):
    assert helper.call(os.getpid) == helper.call(os.getpid) == helper.pid != os.getpid()


def test_arrays_of_any_layout_travel_there_and_back(helper):
    numbers = np.random.default_rng(0).normal(size=(50, 60, 70))
    for array in (numbers, numbers[::2, 3:], numbers.T, numbers.astype(">f4"), numbers[:0], np.float32(3)):
        twice = helper.call(np.multiply, array, 2)
        np.testing.assert_array_equal(twice, array * 2)
    twice = helper.call(np.multiply, numbers, 2)
    twice[0] = 1  # the result can be changed like any other array


def test_results_keep_their_values_while_others_are_computed(helper):
    kept = [helper.call(np.full, (100, 1000), n) for n in range(4)]
    del kept[1]
    kept += [helper.call(np.full, (100, 1000), n) for n in range(4, 7)]
    assert [int(each[0, 0]) for each in kept] == [0, 2, 3, 4, 5, 6]
    assert all((each == each[0, 0]).all() for each in kept)


@pytest.fixture
def stacking_helper(monkeypatch):
    """A helper that can import the functions of `stacks`."""
    monkeypatch.setenv("PYTHONPATH", str(Path(stacks.__file__).parent), prepend=os.pathsep)
    helper = Helper()
    yield helper
    helper.close()


def test_a_stack_travels_while_it_is_filled(stacking_helper):
    shapes = (5, 300, 200), (3, 1100, 900), (40, 20, 30), (1, 8, 9)  # parts of the memory, larger ones, small ones
    for shape, stored in [(each, "f4") for each in shapes] + [(shapes[0], each) for each in ("u1", ">i2", "i4", "f8")]:
        for slope in (1.0, 0.5):
            stack = stacking_helper.call(stacks.counted, shape, -1, stored, slope, streams=True)
            assert stack.shape == shape and stack.dtype == np.float32
            expected = [{slope * n + (slope != 1) / 4} for n in range(shape[0])]
            assert [set(np.unique(part)) for part in stack] == expected
            stack[0] = 7  # it can be changed like any other array


def test_slices_travel_as_they_are_stored_and_are_computed_once(stacking_helper, monkeypatch):
    """The helper reads and the program computes, so that both together do no more than one process would."""
    arrived, computed = [], []
    take, write = Incoming.take, arrays.Stored.write
    monkeypatch.setattr(Incoming, "take", lambda self, *message: (arrived.append(message), take(self, *message))[1])
    monkeypatch.setattr(arrays.Stored, "write", lambda self, out: (computed.append(self), write(self, out))[1])
    stacking_helper.call(stacks.counted, (9, 400, 500), -1, "i2", streams=True)
    assert [each.values.dtype for each in computed] == [np.int16] * 9
    assert [kind for kind, _about in arrived][:2] == ["array", "slices"]
    assert "piece" not in [kind for kind, _about in arrived]
    assert len(arrived) < 1 + 9  # several slices in one message


def test_refused_stacks_leave_the_memory_free(stacking_helper):
    for _ in range(2 * _SLOTS):
        with pytest.raises(InputError, match="Slice 3"):
            stacking_helper.call(stacks.counted, (5, 300, 200), 3, streams=True, seconds=30)
    assert stacking_helper.call(stacks.counted, (5, 300, 200), streams=True)[4, 0, 0] == 4


def test_a_stack_that_is_dropped_or_refused_does_not_stay_behind(stacking_helper):
    shape = 40, 300, 200
    assert stacking_helper.call(stacks.dropped, shape, streams=True) == shape
    assert not stacking_helper._arrived._arrays
    with pytest.raises(InputError, match="Slice 3"):
        stacking_helper.call(stacks.counted, shape, 3, streams=True)
    assert not stacking_helper._arrived._arrays
    assert stacking_helper.call(stacks.counted, shape, streams=True)[39, 0, 0] == 39


def test_a_function_that_looks_at_a_stack_ends_instead_of_seeing_wrong_values(stacking_helper):
    assert stacking_helper.call(stacks.looked_at, (5, 300, 200)) == 0.0
    with pytest.raises(HelperEnded):
        stacking_helper.call(stacks.looked_at, (5, 300, 200), streams=True)


def test_an_error_of_a_function_arrives_and_the_process_goes_on(helper):
    with pytest.raises(ValueError, match="invalid literal"):
        helper.call(int, "x")
    error = helper.call(InputError, "Choose another.", parameter="series")
    assert (str(error), error.parameter) == ("Choose another.", "series")
    assert helper.is_alive


def test_what_the_function_logs_is_logged_here(helper, caplog):
    with caplog.at_level(logging.WARNING):
        helper.call(logging.warning, "a file is odd")
    assert "a file is odd" in caplog.text


def test_a_memory_limit_holds_for_one_call(helper):
    if not Path("/proc/self/statm").exists():
        pytest.skip("the limit ends the process on this system")
    with pytest.raises(MemoryError):
        helper.call(np.ones, 10**8, memory=2 * 10**8)
    assert len(helper.call(np.ones, 3 * 10**7)) == 3 * 10**7


@pytest.mark.parametrize("call, seconds, reason", [((os.abort,), 60, "crash"), ((time.sleep, 60), 1, "time")])
def test_the_end_of_the_process_is_an_error_that_says_why(call, seconds, reason):
    helper = Helper()
    with pytest.raises(HelperEnded) as caught:
        helper.call(*call, seconds=seconds)
    assert caught.value.reason == reason
    assert not helper.is_alive


def test_progress_of_a_function_arrives_and_can_stop_it_at_once(tmp_path, monkeypatch):
    text = "import time\n\ndef work(seconds, progress):\n    progress(0.5, 'half')\n    time.sleep(seconds)\n"
    (tmp_path / "slow_work.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    from slow_work import work

    helper, seen = Helper(), []
    helper.call(work, 0, progress=lambda *report: seen.append(report))
    assert seen == [(0.5, "half")]

    def stop(_fraction, _text):
        raise Cancelled

    started = time.monotonic()
    with pytest.raises(Cancelled):
        helper.call(work, 60, progress=stop)
    assert time.monotonic() - started < 5
    assert not helper.is_alive


def test_a_helper_ends_with_its_program(tmp_path):
    """The program is killed while the helper is busy: the helper and its temporary folder are gone soon after."""
    import subprocess
    import sys

    text = (
        "import time; from oncotrack.background.helper_process import Helper; helper = Helper();"
        "print(helper.pid, helper._folder.name, flush=True); helper.call(time.sleep, 60)"
    )
    program = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    pid, folder = program.stdout.readline().split()
    time.sleep(1.0)
    program.send_signal(signal.SIGKILL)
    program.wait()
    deadline = time.monotonic() + 10
    while (is_running(int(pid)) or Path(folder).exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(int(pid))
    assert not Path(folder).exists()


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("name", ["dicom", "dicom.zip", "image.nii.gz"])
def test_a_scan_read_through_the_helper_is_the_same(files, used, name):
    there = load(files / name)
    with in_this_process():
        here = load(files / name)
    np.testing.assert_array_equal(there.array, here.array)
    assert (there.geometry, there.metadata, there.modality) == (here.geometry, here.metadata, here.modality)


def test_masks_read_through_the_helper_are_the_same(files, used):
    there = read_labels(files / "masks.seg.nrrd")
    with in_this_process():
        here = read_labels(files / "masks.seg.nrrd")
    assert there.keys() == here.keys()
    np.testing.assert_array_equal(there["LN 1"].array, here["LN 1"].array)


def test_the_files_of_an_archive_live_as_long_as_its_study(files, used):
    study = load_study(files / "dicom.zip")
    unpacked = study.series[0].files[0].parent
    assert unpacked.is_dir()
    assert load(study).array.shape == (8, 256, 256)
    assert unpacked.is_dir()
    del study
    gc.collect()
    assert not unpacked.exists()


def test_a_refusal_is_the_same_sentence(tmp_path, used):
    damaged = tmp_path / "damaged.nii"
    damaged.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"damaged\.nii is damaged"):
        load(damaged)


def test_a_file_that_stops_the_process_is_refused_and_the_next_one_is_read(files, used):
    reader = isolation.isolated(os._exit)
    with pytest.raises(InputError, match="stopped the process that reads files"):
        reader(3)
    assert load(files / "image.nii.gz").array.shape == (8, 256, 256)


def test_a_file_that_takes_too_long_is_refused(used, monkeypatch):
    monkeypatch.setattr(isolation, "SECONDS", 0.3)
    with pytest.raises(InputError, match="could not be read within"):
        isolation.isolated(time.sleep)(60)


def test_a_file_that_needs_too_much_memory_is_refused(used, monkeypatch):
    monkeypatch.setattr(isolation, "_physical_memory", lambda: 2**28)
    with pytest.raises(InputError, match="needs more memory"):
        isolation.isolated(np.ones)(10**8)


def test_cancelling_a_job_ends_its_reading_at_once(used):
    posted, errors = [], []
    worker = Worker(posted.append)
    job = worker.submit(lambda _progress: isolation.isolated(time.sleep)(60), print, errors.append)
    time.sleep(0.3)
    started = time.monotonic()
    job.cancel()
    while worker.is_busy:
        time.sleep(0.01)
    assert time.monotonic() - started < 5
    for call in posted:
        call()
    assert isinstance(errors[0], Cancelled)
    worker.stop()


def test_a_computer_without_python_for_helpers_reads_in_its_own_process(files, used, monkeypatch, caplog):
    isolation._helpers._idle.clear()
    monkeypatch.setattr("sys.executable", "/opt/Slicer/bin/SlicerApp-real")
    monkeypatch.setenv("PATH", "/nowhere")
    assert load(files / "image.nii.gz").array.shape == (8, 256, 256)
    assert "without a helper process" in caplog.text


def test_slicers_own_python_is_found(tmp_path, monkeypatch):
    from oncotrack.background.helper_process import python

    program = tmp_path / "PythonSlicer"
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", "/opt/Slicer/bin/SlicerApp-real")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert python() == str(program)

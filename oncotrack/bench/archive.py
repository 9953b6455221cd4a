"""Time of computing an archive on Dask workers next to plain loops of commands, of indexing it, and cost of many patients."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.uid import UID

from oncotrack.archive.entries import write_index
from oncotrack.archive.index import index_archive
from oncotrack.archive.selection import Rules
from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import OncoTrackError
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.phantom import make_patient
from oncotrack.phantom.dicom_series import write_series

PARTS = ("run", "index", "many")
RIVALS = ("loop", "xargs")
_SIZE = (128, 128, 60)  # voxels of 3 x 3 x 5 mm, 300 of the trunk's 500 mm, so that the visits of a patient overlap
_COUNTS = (60, 600, 6000)
_SERIES_FILES = 100
_RULES = Rules(least_slices=8)
_MANY = """
import sys, json, time
from oncotrack.bench.many_patients import many_jobs
if __name__ == "__main__":
    print(json.dumps(many_jobs(int(sys.argv[1]), int(sys.argv[2]))))
"""
_INDEX = """
import sys, json, time, re
from pathlib import Path
from oncotrack.archive.index import index_archive
if __name__ == "__main__":
    started = time.perf_counter()
    found = index_archive(Path(sys.argv[1]), processes=int(sys.argv[2]))
    seconds = time.perf_counter() - started
    status = Path("/proc/self/status")
    peak = int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text()).group(1)) / 1024 if status.exists() else 0.0
    print(json.dumps({"seconds": seconds, "entries": len(found.entries), "mib": peak}))
"""


def bench_archive(
    patients: int = 60,
    files: int = 20000,
    parts: tuple[str, ...] = PARTS,
    workers: int = 2,
    detector: str = "fatblobs",
    rivals: tuple[str, ...] = RIVALS,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Measure runs over a cohort of synthetic patients with two visits, the index, and the cost of many patients.

    Parameters
    ----------
    patients : int
        Patients of the cohort.
    files : int
        Files of the tree that is indexed; each holds one slice of 16 x 16 pixels.
    parts : tuple of str
        Which of `PARTS`.
    workers : int
        Dask workers, and processes of ``xargs``.
    detector : str
        Detector of the runs; following uses the ensemble.
    rivals : tuple of str
        Which of `RIVALS` are timed next to Dask.
    progress : Progress
        Called before each part.

    Returns
    -------
    dict
        ``run``: seconds with ``dask``, in a plain ``loop`` of commands and with ``xargs``, each with one command for a
        patient that does all jobs, so that the loops do not start more processes than necessary, and the number of patients
        that ``failed`` or were ``incomplete`` with Dask; ``index``: seconds and peak
        memory of this program and seconds of a loop of pydicom; ``many``: for 60, 600 and 6,000 jobs of a millisecond the
        peak memory of the process that holds client and scheduler, and the seconds a job beyond that millisecond.
    """
    result: dict[str, Any] = {"patients": patients, "files": files, "workers": workers, "detector": detector}
    with tempfile.TemporaryDirectory(prefix="oncotrack-bench-") as name:
        folder = Path(name)
        if "run" in parts:
            result["run"] = _runs(folder, patients, workers, detector, rivals, progress)
        if "index" in parts:
            result["index"] = _index(folder, files, progress)
    if "many" in parts:
        result["many"] = []
        for count in _COUNTS:
            progress(0.9, f"{count} jobs of a millisecond")
            result["many"].append(_in_process(_MANY, str(count), str(workers)))
    progress(1.0, "Measured")
    return result


def _runs(
    folder: Path, patients: int, workers: int, detector: str, rivals: tuple[str, ...], progress: Progress
) -> dict[str, Any]:
    for number in range(patients):
        progress(0.3 * number / patients, f"Making patient {number + 1} of {patients}")
        made = make_patient(number, visits=2, size=_SIZE)
        for visit, scan in enumerate(made.visits):
            place = folder / "root" / f"P{number:04d}" / f"v{visit}"
            write_series(scan.image, place, patient=f"P{number:04d}", visit=visit)
    found = index_archive(folder / "root", _RULES)
    index = write_index(folder / "index.parquet", list(found.entries), found.root)
    names = sorted({entry.patient for entry in found.entries if entry.is_read})
    program = [sys.executable, "-m", "oncotrack", "archive", "run", str(index), "--detector", detector]
    environment = {**os.environ, "ONCOTRACK_CACHE": str(folder / "registrations")}

    def one(out: Path, name: str) -> list[str]:
        return [*program, "--workers", "0", "--patient", name, "--out", str(out / name)]

    def dask(out: Path) -> None:
        summary = json.loads(
            _call([*program, "--workers", str(workers), "--out", str(out), "--json", "-"], environment)
        )
        result.update({name: summary[name] for name in ("failed", "incomplete")})

    def loop(out: Path) -> None:
        for name in names:
            _call(one(out, name), environment)

    def xargs(out: Path) -> None:
        command = ["xargs", "-P", str(workers), "-I", "{}", *one(out, "{}")]
        _call(command, environment, "\n".join(names))

    result: dict[str, Any] = {}
    ways: list[Callable[[Path], None]] = [dask, *(way for way in (loop, xargs) if way.__name__ in rivals)]
    for number, way in enumerate(ways):
        progress(0.3 + 0.4 * number / len(ways), f"{len(names)} patients: {way.__name__}")
        shutil.rmtree(folder / "registrations", ignore_errors=True)
        started = time.perf_counter()
        way(folder / way.__name__)
        result[way.__name__] = time.perf_counter() - started
    return result


def _call(command: list[str], environment: dict[str, str], lines: str = "") -> str:
    done = subprocess.run(command, env=environment, input=lines, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OncoTrackError(f"A command of the measurement failed: {done.stderr[-500:]}")
    return done.stdout


def _index(folder: Path, files: int, progress: Progress) -> dict[str, Any]:
    progress(0.7, f"Writing {files} files")
    small, large = folder / "tenth", folder / "headers"
    _write_headers(small, files // 10)
    _write_headers(large, files)
    progress(0.8, "Indexing them")
    cores = str(os.cpu_count() or 1)
    few = _in_process(_INDEX, str(small), cores)
    many = _in_process(_INDEX, str(large), cores)
    progress(0.85, "Reading them with pydicom")
    started = time.perf_counter()
    for path in sorted(large.rglob("*.dcm")):
        pydicom.dcmread(path, stop_before_pixels=True)
    return {
        "seconds": many["seconds"],
        "pydicom": time.perf_counter() - started,
        "mib_of_a_tenth": few["mib"],
        "mib": many["mib"],
    }


def _write_headers(folder: Path, files: int) -> None:
    """Write CT series of a hundred slices with small pixels; each file differs in what differs between slices."""
    noise = np.random.default_rng(1).normal(0, 20, (1, 16, 16)).astype(np.float32)
    template = next(write_series(Volume(noise, Geometry((16, 16, 1)), "noise", "CT"), folder / "template").iterdir())
    slice_of = pydicom.dcmread(template)
    shutil.rmtree(folder / "template")
    for number in range(files):
        series, k = divmod(number, _SERIES_FILES)
        place = folder / f"{series:05d}"
        place.mkdir(exist_ok=True)
        slice_of.PatientID = slice_of.PatientName = f"P{series // 2:05d}"
        slice_of.StudyInstanceUID = slice_of.SeriesInstanceUID = f"2.25.1.{series}"
        slice_of.SOPInstanceUID = slice_of.file_meta.MediaStorageSOPInstanceUID = UID(f"2.25.1.{series}.{k}")
        slice_of.InstanceNumber, slice_of.ImagePositionPatient = k + 1, [0, 0, k]
        slice_of.save_as(place / f"{k:04d}.dcm")


def _in_process(script: str, *arguments: str) -> dict[str, Any]:
    """Run a script in a process of its own, so that nothing before it counts, and return what it printed."""
    with tempfile.TemporaryDirectory(prefix="oncotrack-bench-") as name:
        path = Path(name) / "measure.py"
        path.write_text(script)
        done = subprocess.run([sys.executable, str(path), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OncoTrackError(f"The measurement stopped: {done.stderr[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])

"""Time and memory of opening a DICOM series and of listing a study folder, next to SimpleITK and a loop of pydicom."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.uid import UID

from oncotrack.background.helper_process import Helper
from oncotrack.background.isolation import PRELOADED
from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import OncoTrackError
from oncotrack.images.dicom import load_study
from oncotrack.images.files import load
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.phantom.dicom_series import write_series

_SLICES, _SIDE = 275, 512
_FILES, _SERIES, _SMALL = 5000, 20, 32
_REPEATS = 5
_MEMORY = """
import json, re, sys
from pathlib import Path
import oncotrack.images.dicom
from oncotrack.images.files import load

def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1))

if not Path("/proc/self/status").exists():
    print("{}")
    sys.exit()
before = peak()
volume = load(sys.argv[1])
used = peak() - before
print(json.dumps({"memory_mib": used / 2**20, "memory_per_volume": used / (4 * volume.array.size)}))
"""


def bench_read(slices: int = _SLICES, files: int = _FILES, progress: Progress = silent) -> dict[str, Any]:
    """Measure the opening of a CT of 512 x 512 pixels and the listing of a study folder.

    Parameters
    ----------
    slices : int
        Slices of the CT.
    files : int
        Files of the study folder.
    progress : Progress
        Called before each part.

    Returns
    -------
    dict
        ``open_seconds`` (with one pass over the voxels), ``helper_seconds`` (the same through a helper process, as the
        command line and the viewers read), ``helper_first_seconds`` (the first scan of a helper process) and ``simpleitk_seconds`` (the series reader of SimpleITK), ``memory_mib`` (the peak above the imports; Linux
        only), ``memory_per_volume`` (relative to the volume as float32), ``list_seconds`` and ``pydicom_seconds`` (a loop that
        reads every header); the best of five runs in turn; ``slices`` and ``files``.
    """
    with tempfile.TemporaryDirectory(prefix="oncotrack-bench-") as name:
        folder = Path(name)
        progress(0.0, "Writing a CT")
        _write(folder / "ct", slices, 1, _SIDE)
        progress(0.2, "Opening it")
        ct = folder / "ct" / "000"
        result: dict[str, Any] = {"slices": slices, "files": files}
        helper = Helper(PRELOADED)
        helper.call(Path.exists, ct)  # it has started

        def through_helper(path: Path) -> float:
            return _passed(helper.call(load, path, streams=True))

        _passed(load(ct))  # the files are in the system's cache
        result |= _seconds(ct, repeats=1, helper_first_seconds=through_helper)
        result |= _seconds(
            ct,
            open_seconds=lambda path: _passed(load(path)),
            helper_seconds=through_helper,
            simpleitk_seconds=_with_simpleitk,
        )
        helper.close()
        result |= _memory(ct)
        progress(0.4, "Writing a study")
        _write(folder / "study", files // _SERIES, _SERIES, _SMALL)
        progress(0.7, "Listing it")
        result |= _seconds(folder / "study", list_seconds=load_study, pydicom_seconds=_with_pydicom)
    progress(1.0, "Measured")
    return result


def _seconds(folder: Path, repeats: int = _REPEATS, **readers: Callable[[Path], object]) -> dict[str, float]:
    """Return the best of several runs of each reader, in turn."""
    best = dict.fromkeys(readers, float("inf"))
    for _ in range(repeats):
        for name, reader in readers.items():
            started = time.perf_counter()
            reader(folder)
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def _passed(volume: Volume) -> float:
    """Use every voxel once, because memory is entered when it is first used."""
    return float(volume.array.max())


def _with_simpleitk(folder: Path) -> np.ndarray:
    reader = sitk.ImageSeriesReader()
    (uid,) = reader.GetGDCMSeriesIDs(str(folder))
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder), uid))
    reader.MetaDataDictionaryArrayUpdateOn()
    return sitk.GetArrayFromImage(reader.Execute())


def _with_pydicom(folder: Path) -> list[object]:
    return [pydicom.dcmread(file, stop_before_pixels=True) for file in sorted(folder.rglob("*.dcm"))]


def _memory(folder: Path) -> dict[str, float]:
    """Measure the peak memory in a process of its own, so that nothing before it counts."""
    done = subprocess.run([sys.executable, "-c", _MEMORY, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OncoTrackError(f"The measurement stopped: {done.stderr[-300:]}")
    return json.loads(done.stdout)


def _write(folder: Path, slices: int, series: int, side: int) -> None:
    """Write CT series in a folder each, with noise as their pixels."""
    noise = np.random.default_rng(1).normal(0, 20, (1, side, side)).astype(np.float32)
    template = write_series(Volume(noise, Geometry((side, side, 1)), "noise", "CT"), folder)
    slice_of = pydicom.dcmread(next(template.iterdir()))
    pixels = np.frombuffer(slice_of.PixelData, np.uint16)
    next(template.iterdir()).unlink()
    for number in range(series):
        (folder / f"{number:03d}").mkdir(parents=True)
        for k in range(slices):
            slice_of.SeriesInstanceUID = f"2.25.1.{number}"
            slice_of.SOPInstanceUID = slice_of.file_meta.MediaStorageSOPInstanceUID = UID(f"2.25.1.{number}.{k}")
            slice_of.InstanceNumber, slice_of.ImagePositionPatient = k + 1, [0, 0, k]
            slice_of.PixelData = np.roll(pixels, k).tobytes()
            slice_of.save_as(folder / f"{number:03d}" / f"{k:04d}.dcm")

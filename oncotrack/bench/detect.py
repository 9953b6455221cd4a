"""Time needed to detect nodes, compared with stacking the boxes of single slices and with a 3D U-Net."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import Any

import torch

from oncotrack.background.jobs import Progress, silent
from oncotrack.detection.ct_slices import LNSlices
from oncotrack.detection.detector import NodeDetector, detector
from oncotrack.detection.lntracker.config import CONFIGS
from oncotrack.detection.lntracker.detector import LNTrackerDetector
from oncotrack.detection.lntracker.flops import cost
from oncotrack.evaluation.unet import UNetDetector
from oncotrack.images.files import load
from oncotrack.images.volume import Volume
from oncotrack.phantom import make_patient

_SEED = 1


def bench_detect(
    image: Path | None,
    device: str = "auto",
    progress: Progress = silent,
    *,
    unet: Path | None = None,
    series: str | None = None,
    resample: bool = False,
) -> dict[str, Any]:
    """Time LN-Tracker on one scan.

    Parameters
    ----------
    image : path, optional
        A CT; by default a synthetic one of 448x352x100 voxels, 0.85x0.85x3 mm (150 working slices).
    device : str
        "auto", "cpu", "cuda" or "mps".
    progress : Progress
        Called with the progress of the current method.
    unet : path, optional
        Weights of the U-Net baseline, to be timed, too.
    series : str, optional
        Which DICOM series, see `oncotrack.load`.
    resample : bool
        See `oncotrack.load`.

    Returns
    -------
    dict
        ``slices`` read; for ``tracking``, ``stacking``, ``measured`` (tracking, then region, probability, mask and axes of
        every node) and ``unet`` the ``seconds`` per scan, ``seconds_per_slice`` and ``nodes``; ``peak_mib`` of the process
        after LN-Tracker; ``device``; and for both configs ``parameters`` and
        ``gflops`` of a 512x512 slice.
    """
    baseline = UNetDetector(unet, device) if unet is not None else None
    if image is None:
        volume = make_patient(_SEED, 1, size=(448, 352, 100), spacing=(0.85, 0.85, 3.0)).visits[0].image
    else:
        volume = load(image, series, modality=None if series else "CT", resample=resample)
    result: dict[str, Any] = {"scan": volume.name, "slices": len(LNSlices(volume)), "threads": torch.get_num_threads()}
    for name in ("tracking", "stacking"):
        network = LNTrackerDetector(device, stacking=name == "stacking")
        result[name] = _time_detector(network, volume, result["slices"], progress)
        result["device"] = str(network.device)
    result["measured"] = _time_detector(detector("lntracker", device), volume, result["slices"], progress)
    result["peak_mib"] = peak_mib()
    if baseline is not None:
        result["unet"] = _time_detector(baseline, volume, result["slices"], progress)
    for name, config in CONFIGS.items():
        result[name] = cost(config)
    return result


def _time_detector(timed: NodeDetector, volume: Volume, slices: int, progress: Progress) -> dict[str, Any]:
    started = time.perf_counter()
    found = timed.detect(volume, progress)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "seconds_per_slice": seconds / slices, "nodes": len(found)}


def peak_mib() -> float | None:
    """Return the peak memory of this process in MiB; None on Windows, which does not report it."""
    try:
        import resource
    except ImportError:
        return None
    # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def restart_peak() -> None:
    """Let `peak_mib` count from here; without effect where the system cannot (only Linux can)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")

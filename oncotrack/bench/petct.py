"""Time and memory of the PET/CT detector, next to MONAI's sliding window with the same networks one after the other."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from oncotrack.background.jobs import Progress, silent
from oncotrack.bench.detect import peak_mib, restart_peak
from oncotrack.detection.petct.detector import PETCTDetector
from oncotrack.detection.petct.study import WorkingStudy, network_input, working_study
from oncotrack.errors import MissingPackageError
from oncotrack.images.volume import Volume
from oncotrack.phantom import make_patient

SIZE = (512, 512, 200)
_SPACING, _SEED = (0.78, 0.78, 2.5), 1
OVERLAP = 0.25


def bench_petct(
    device: str = "auto", weights: Path | None = None, size: tuple[int, int, int] = SIZE, progress: Progress = silent
) -> dict[str, Any]:
    """Time the detector on a synthetic PET/CT of 512 x 512 x 200 voxels.

    Parameters
    ----------
    device : str
        "auto", "cpu", "cuda" or "mps".
    weights : path, optional
        Folder of the weights; the bundled ones if missing.
    size : (3,) int
        Voxels of the CT along x, y, z; the voxels of smaller ones are larger.
    progress : Progress
        Called with the progress of the current step.

    Returns
    -------
    dict
        ``seconds`` of the whole detector and ``nodes``, ``peak_mib`` of the process in it (on Linux; elsewhere
        also while the scan is made); seconds of its
        ``segmentation`` and of ``monai``, the same networks on the whole grid with MONAI's sliding window at an overlap of
        0.25, and the ``ratio`` of the two; ``threads``, ``device``.
    """
    detector = PETCTDetector(device, weights=weights)
    ct, pet, tumour = _study(size)
    restart_peak()
    started = time.perf_counter()
    found = detector.detect(ct, pet, tumour, progress)
    seconds = time.perf_counter() - started
    result: dict[str, Any] = {"scan": list(size), "seconds": seconds, "nodes": len(found), "peak_mib": peak_mib()}
    study = working_study(ct, pet, tumour, detector.first.config)
    started = time.perf_counter()
    detector.first.network.segment(study, progress)
    result["segmentation"] = time.perf_counter() - started
    progress(0.0, "MONAI's sliding window")
    started = time.perf_counter()
    monai_segment(detector, study)
    result["monai"] = time.perf_counter() - started
    result["ratio"] = result["segmentation"] / result["monai"]
    return result | {"threads": torch.get_num_threads(), "device": str(detector.device)}


def monai_segment(detector: PETCTDetector, study: WorkingStudy) -> dict[str, torch.Tensor]:
    """Return the probabilities of each network on the whole grid, by MONAI's sliding window at an overlap of 0.25.

    Raises
    ------
    MissingPackageError
        MONAI is not installed.
    """
    try:
        from monai.inferers.utils import sliding_window_inference
    except ImportError as error:
        raise MissingPackageError('The comparison needs the package monai: pip install "oncotrack[train]".') from error
    config, network = detector.first.config, detector.first.network
    x = network_input(study, config)[None]
    found: dict[str, torch.Tensor] = {}
    with torch.inference_mode():
        for name in network.nets:
            stream, region = name.split()

            def predict(part: torch.Tensor, stream: str = stream, region: str = region) -> torch.Tensor:
                return network.probability(stream, region, part)

            done = sliding_window_inference(
                x, config.window, 1, predict, overlap=OVERLAP, sw_device=detector.device, device="cpu"
            )
            assert isinstance(done, torch.Tensor)
            found[name] = done
    return found


def _study(size: tuple[int, int, int]) -> tuple[Volume, Volume, Volume]:
    """Return CT, PET and the mask of the primary tumour, or of the largest lesion where the grid does not show it."""
    spacing = [voxel * full / n for voxel, full, n in zip(_SPACING, SIZE, size, strict=True)]
    visit = make_patient(_SEED, 1, size=size, spacing=spacing, modalities=("CT", "PT")).visits[0]
    instances, masks = visit.truth.instances, visit.truth.masks
    largest = max(instances, key=lambda i: (i.primary, i.volume_mm3)).mask_number
    tumour = Volume((masks.array == largest).astype(np.uint8), masks.geometry, "tumour")
    return visit.images["CT"], visit.images["PT"], tumour

"""Inference of the first stage: sub-volumes along the body, centred on the lungs (OSLN, sec. 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from oncotrack.background.jobs import Progress, silent
from oncotrack.detection.petct.config import StageOneConfig
from oncotrack.detection.petct.distance import is_proximal
from oncotrack.detection.petct.fusion import late_fusion
from oncotrack.detection.petct.study import WorkingStudy, network_input
from oncotrack.networks.threads import map_in_threads

Predict = Callable[[str, str, torch.Tensor], torch.Tensor]
"""From stream, region and (1, 3, D, H, W) input to (1, 1, D, H, W) probabilities."""
_AIR, _LEAST_LUNG_ML = 0.02, 150.0
"""Scaled HU below which a voxel is air (-190 HU in the paper's window), and the least volume of a lung."""


@dataclass(frozen=True)
class Window:
    """A sub-volume: first voxel (z, y, x), its size, and the weight of each of its slices in the average."""

    start: tuple[int, int, int]
    size: tuple[int, int, int]
    weights: np.ndarray


def centre_of_lungs(study: WorkingStudy) -> tuple[float, float]:
    """Return row and column of the centre of the lungs, or of the body where the scan shows none.

    Lungs are air inside the body: connected voxels of the lowest density that do not reach the sides of the grid.

    Parameters
    ----------
    study : WorkingStudy
        The study.

    Returns
    -------
    row, column : float
        In voxels of the grid.
    """
    step = max(1, round(4.0 / study.geometry.spacing[0]))
    coarse = study.ct[::2, ::step, ::step]
    voxel_ml = study.geometry.voxel_mm3 * 2 * step * step / 1000
    labels = np.empty(coarse.shape, np.int32)
    ndimage.label(coarse < _AIR, output=labels)
    outside = np.unique(np.concatenate([labels[:, [0, -1]].ravel(), labels[:, :, [0, -1]].ravel()]))
    sizes = np.bincount(labels.ravel()) * voxel_ml
    sizes[outside] = 0
    sizes[0] = 0
    lungs = np.isin(labels, np.flatnonzero(sizes >= _LEAST_LUNG_ML))
    shown = lungs if lungs.any() else coarse > 0
    _, rows, columns = (np.flatnonzero(shown.any(tuple({0, 1, 2} - {axis}))) for axis in range(3))
    return float(rows[[0, -1]].mean() * step), float(columns[[0, -1]].mean() * step)


def windows(shape: Sequence[int], centre: tuple[float, float], config: StageOneConfig) -> list[Window]:
    """Return the sub-volumes along the body.

    In the slice all have the same position: centred, but moved inward where they would leave the grid. Where they overlap,
    the weights rise and fall linearly.

    Parameters
    ----------
    shape : (3,) int
        D, H, W of the grid.
    centre : (float, float)
        Row and column.
    config : StageOneConfig
        Size and overlap.

    Returns
    -------
    list of Window
        From the feet up.
    """
    multiple = 2 ** (len(config.channels) - 1)
    size = [min(wanted, -(-n // multiple) * multiple) for wanted, n in zip(config.window, shape, strict=True)]
    y, x = (
        int(np.clip(round(c - s / 2), 0, max(n - s, 0))) for c, s, n in zip(centre, size[1:], shape[1:], strict=True)
    )
    depth, length = size[0], shape[0]
    step = max(1, round(depth * (1 - config.overlap)))
    count = 1 + max(0, -(-(length - depth) // step))
    starts = np.unique(np.rint(np.linspace(0, max(length - depth, 0), count)).astype(int))
    ramp = max(1, depth - step)
    weights = np.minimum(np.minimum(np.arange(1, depth + 1), np.arange(depth, 0, -1)) / ramp, 1.0).astype(np.float32)
    return [Window((int(z), y, x), (size[0], size[1], size[2]), weights) for z in starts]


def segment(
    study: WorkingStudy,
    config: StageOneConfig,
    settings: Mapping[str, Sequence[str]],
    predict: Predict,
    device: torch.device,
    progress: Progress = silent,
) -> dict[str, np.ndarray]:
    """Compute the fused probability of every voxel (equation 2) for one or several choices of streams.

    A network runs on a sub-volume only if equation 2 reads its prediction there: the proximal networks where the sub-volume
    contains proximal voxels, the distal ones where it contains distal voxels.

    Parameters
    ----------
    study : WorkingStudy
        The study.
    config : StageOneConfig
        Of the networks.
    settings : mapping of str to sequence of str
        The streams that are fused, by name; each network runs once, whatever number of settings reads it.
    predict : callable
        Runs one of them.
    device : torch.device
        Of the networks.
    progress : callable
        Receives the completed fraction (0 to 1) and a message.

    Returns
    -------
    dict of str to (D, H, W) float32 ndarray
        By the name of the setting; 0 outside the sub-volumes.
    """
    shape = np.array(study.ct.shape)
    parts = windows(study.ct.shape, centre_of_lungs(study), config)
    total = {name: np.zeros(study.ct.shape, np.float32) for name in settings}
    weight = np.zeros(len(study), np.float32)
    done = 0

    def _run(window: Window) -> tuple[Window, dict[str, np.ndarray]]:
        nonlocal done
        start = np.array(window.start)
        part = study.part(start, np.minimum(start + window.size, shape))
        fused = _predict_part(part, window.size, config, settings, predict, device)
        done += 1
        progress(done / len(parts), f"Segmenting nodes, part {done} of {len(parts)}")
        return window, fused

    for window, fused in map_in_threads(_run, parts, device):
        z, y, x = window.start
        for name, values in fused.items():
            depth, height, width = values.shape
            total[name][z : z + depth, y : y + height, x : x + width] += values * window.weights[:depth, None, None]
        depth = min(window.size[0], len(study) - z)
        weight[z : z + depth] += window.weights[:depth]
    return {name: values / np.maximum(weight, 1e-6)[:, None, None] for name, values in total.items()}


def _predict_part(
    part: WorkingStudy,
    size: tuple[int, int, int],
    config: StageOneConfig,
    settings: Mapping[str, Sequence[str]],
    predict: Predict,
    device: torch.device,
) -> dict[str, np.ndarray]:
    """Return the fused probabilities of one sub-volume; it is padded to `size` where it reaches the end of the grid."""
    depth, height, width = part.ct.shape
    x = network_input(part, config)[None]
    x = torch.nn.functional.pad(x, (0, size[2] - width, 0, size[1] - height, 0, size[0] - depth), "constant", 0.0)
    x = x.to(device)
    near = is_proximal(part.distance, config.border_mm)
    needed = {"proximal": bool(near.any()), "distal": not near.all(), "all": True}
    nothing = np.zeros(part.ct.shape, np.float32)
    predictions = {
        (stream, region): predict(stream, region, x)[0, 0, :depth, :height, :width].float().cpu().numpy()
        if needed[region]
        else nothing
        for region in config.categories
        for stream in {stream for streams in settings.values() for stream in streams}
    }
    return {
        name: late_fusion(
            {region: [predictions[stream, region] for stream in streams] for region in config.categories},
            part.distance,
            config.border_mm,
        )
        for name, streams in settings.items()
    }

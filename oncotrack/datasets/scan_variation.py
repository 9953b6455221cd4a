"""Variations of real CTs with inserted nodes, so that few backgrounds are not learned by heart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter

from oncotrack.datasets.case import Case
from oncotrack.datasets.node_chains import THICKNESS_MM, thick_slices
from oncotrack.datasets.node_scans import BESIDE_VESSELS, inserted_scan
from oncotrack.images.volume import Volume

_VARIED = 0.7  # share of the scans that each variation changes
_SMOOTHEST_PIXELS, _SHARPEST = 0.8, 0.6
_MOST_NOISE_HU, _GRAIN_PIXELS = 18.0, 0.6


def varied_scan(volume: Volume, seed: int) -> Case:
    """Insert nodes into the deep fat of a real CT of thicker slices, another kernel or more noise; see `inserted_scan`.

    Kernel and noise change the nodes and their surroundings alike.
    """
    rng = np.random.default_rng([seed, 12])
    if rng.random() < _VARIED:
        volume = thick_slices(volume, float(rng.choice(THICKNESS_MM)))
    case = inserted_scan(volume, seed, is_nodal=True, beside_vessels=BESIDE_VESSELS)
    images = {key: _rendered(image, rng) for key, image in case.images.items()}
    return replace(case, images=images)


def _rendered(volume: Volume, rng: np.random.Generator) -> Volume:
    """Return a CT with a smoother or sharper kernel and more noise, at random."""
    array = volume.array.astype(np.float32)
    if rng.random() < _VARIED:
        strength = rng.uniform(-_SHARPEST, _SMOOTHEST_PIXELS)
        across = strength if strength > 0 else _SMOOTHEST_PIXELS
        smooth = gaussian_filter(array, (0, across, across))
        array = smooth if strength > 0 else array - strength * (array - smooth)
    if rng.random() < _VARIED:
        grain = gaussian_filter(rng.standard_normal(array.shape, np.float32), (0, _GRAIN_PIXELS, _GRAIN_PIXELS))
        array += grain * (rng.uniform(0, _MOST_NOISE_HU) / grain.std())
    return replace(volume, array=np.round(array).astype(np.int16))

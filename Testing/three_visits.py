"""A synthetic patient with two lesions at three visits."""

from __future__ import annotations

import numpy as np

from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

STEP = np.array([4.0, -3.0, 6.0])
LESIONS = ((30.0, 10.0, 6.0), (-25.0, -10.0, -14.0))


def scan(visit: int) -> Volume:
    """Return a synthetic trunk (HU) with two lesions, displaced by 7.8 mm from visit to visit."""
    geometry = Geometry((56, 56, 32), (3.0, 3.0, 4.0), (-82.5, -82.5, -62.0))
    k, j, i = np.meshgrid(*(np.arange(n) for n in geometry.shape), indexing="ij")
    place = geometry.to_ras(np.stack([i, j, k], -1)) - visit * STEP
    array = np.where(np.hypot(place[..., 0] / 62, place[..., 1] / 52) < 1, 40.0, -1000.0)
    array[np.hypot(place[..., 0], place[..., 1] + 30) < 10] = 500.0
    array += 60 * np.sin(place / 9).prod(-1) * (array > 0)
    for at in LESIONS:
        array += 150 * np.exp(-((place - at) ** 2).sum(-1) / 72)
    array += np.random.default_rng(visit).normal(0, 8, array.shape)
    return Volume(np.round(array).astype(np.int16), geometry, f"visit {visit + 1}", "CT")


def place(number: int, visit: int) -> np.ndarray:
    """Return the position of a lesion at a visit, RAS mm."""
    return LESIONS[number] + visit * STEP

"""A small CT-like torso that needs no data: for the demo and for tests, not for training or for claims."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from oncotrack.geometry import Geometry
from oncotrack.volume import Volume


def synthetic_ct(
    rng: np.random.Generator, size: tuple[int, int, int] = (170, 130, 90), spacing: float = 2.0
) -> tuple[Volume, list[tuple[np.ndarray, float]]]:
    """A torso with lungs, vessels, spine, ribs, organs and six round lesions.

    Returns
    -------
    volume : Volume
        HU, RAS-aligned.
    lesions : list of (centre, radius)
        RAS mm and mm.
    """
    extent = np.array(size) * spacing
    geometry = Geometry(size, (spacing,) * 3, tuple(-extent / 2))
    k, j, i = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in geometry.shape), indexing="ij")
    x, y, z = (n * spacing + o for n, o in zip((i, j, k), geometry.origin, strict=True))

    def ellipsoid(centre, radii) -> np.ndarray:
        return sum(((p - c) / r) ** 2 for p, c, r in zip((x, y, z), centre, radii, strict=True))

    half = extent / 2
    texture = 12 * gaussian_filter(rng.standard_normal(geometry.shape).astype(np.float32), 2) * 8
    hu = np.full(geometry.shape, -1000, np.float32)
    body = ellipsoid((0, 0, 0), (0.92 * half[0], 0.9 * half[1], 4 * half[2]))
    hu[body < 1] = -95
    hu[body < 0.8] = 50
    inside = body < 0.62
    hu[inside] = -60 + texture[inside]
    for side in (-1, 1):
        lung = ellipsoid(
            (side * 0.4 * half[0], 0.05 * half[1], 0.35 * half[2]), (0.3 * half[0], 0.52 * half[1], 0.8 * half[2])
        )
        hu[lung < 1] = -840 + texture[lung < 1]
    liver = ellipsoid((0.33 * half[0], 0.0, -0.75 * half[2]), (0.42 * half[0], 0.5 * half[1], 0.42 * half[2]))
    hu[liver < 1] = 105 + texture[liver < 1]
    spleen = ellipsoid((-0.5 * half[0], -0.2 * half[1], -0.7 * half[2]), (0.2 * half[0], 0.3 * half[1], 0.3 * half[2]))
    hu[spleen < 1] = 120 + texture[spleen < 1]
    heart = ellipsoid(
        (-0.08 * half[0], 0.2 * half[1], -0.05 * half[2]), (0.22 * half[0], 0.3 * half[1], 0.35 * half[2])
    )
    hu[heart < 1] = 150 + texture[heart < 1]
    # spine with discs, aorta, ribs
    spine = ((x - 4 * np.sin(z / 40)) / 17) ** 2 + ((y + 0.5 * half[1]) / 16) ** 2
    hu[spine < 1] = np.where(np.mod(z, 28) < 22, 280, 70)[spine < 1] + texture[spine < 1]
    aorta = ((x + 20) / 11) ** 2 + ((y + 0.28 * half[1] - 4 * np.cos(z / 30)) / 11) ** 2
    hu[aorta < 1] = 170
    shell = (body > 0.64) & (body < 0.74)
    hu[shell & (np.mod(z + 0.25 * np.abs(x) + 0.2 * y, 24) < 8)] = 420
    # branching vessels
    for _ in range(160):
        at = np.array(
            [
                rng.choice([-1, 1]) * rng.uniform(0.15, 0.6) * half[0],
                rng.uniform(-0.4, 0.45) * half[1],
                rng.uniform(-0.95, 0.95) * half[2],
            ]
        )
        radius, tall = rng.uniform(1.5, 4.5), rng.uniform(8, 30)
        lean = rng.normal(0, 0.6, 2)
        tube = ((x - at[0] - lean[0] * (z - at[2])) ** 2 + (y - at[1] - lean[1] * (z - at[2])) ** 2) / radius**2
        here = (tube < 1) & (np.abs(z - at[2]) < tall) & (body < 0.55)
        hu[here] = np.maximum(hu[here], rng.uniform(20, 160))
    lesions = []
    for centre, radius, value in (
        ((0.42, 0.1, 0.3), 8, 40), ((-0.35, -0.1, 0.45), 6, 30), ((0.3, 0.12, -0.6), 11, 55),
        ((-0.02, 0.25, 0.55), 7, 60), ((-0.14, 0.12, -0.7), 9, 45), ((-0.5, 0.1, -0.1), 5, 35),
    ):  # fmt: skip
        place = np.array(centre) * half
        hu[ellipsoid(place, (radius, radius, 0.9 * radius)) < 1] = value
        lesions.append((place, float(radius)))
    hu = gaussian_filter(hu, 0.5) + rng.normal(0, 12, hu.shape)
    return Volume(np.round(hu).astype(np.int16), geometry, "synthetic torso", "CT"), lesions

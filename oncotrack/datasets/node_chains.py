"""Chains of lymph nodes that touch one another, inserted into real CTs of thick slices.

They show what the boxes of single slices do not tell: which box of the next slice belongs to which node.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from oncotrack.findings.finding import point
from oncotrack.images.volume import Volume
from oncotrack.phantom.implants import Implant
from oncotrack.phantom.statistics import node_size

THICKNESS_MM = (2.0, 3.0, 4.0, 5.0)
"""Slices of scans with chains."""
_MORE = (2, 4)
_ATTEMPTS = 20
_APART_MM = 4.0  # the third node of a chain does not lie in the first
_CLOSE = 0.8  # of the distance at which ellipsoids touch: bumps and lean leave gaps


def thick_slices(volume: Volume, thickness_mm: float) -> Volume:
    """Average the slices of a CT to thicker ones; a scan whose slices are as thick is returned as it is."""
    if volume.spacing[2] >= thickness_mm:
        return volume
    thick = volume.resampled(volume.geometry.with_spacing((*volume.spacing[:2], thickness_mm)))
    return replace(volume, array=np.round(thick.array).astype(np.int16), geometry=thick.geometry)


def chain(first: Implant, volume: Volume, rng: np.random.Generator) -> list[Implant]:
    """Return a node with two or three more in the fat around it, fewer where there is no room, each touching the one before.

    Parameters
    ----------
    first : Implant
        A node.
    volume : Volume
        The CT.
    rng : numpy.random.Generator
        Draws number, sizes and directions.
    """
    nodes = [first]
    for _ in range(int(rng.integers(*_MORE))):
        size = node_size(rng, "abdomen")
        node = Implant(first.centre, size.long, size.short, size.tall)
        for direction in rng.normal(size=(_ATTEMPTS, 3)):
            direction /= np.linalg.norm(direction)
            step = _CLOSE * direction * (_radius(nodes[-1], direction) + _radius(node, direction))
            centre = np.asarray(nodes[-1].centre) + step
            if _is_fat(volume, centre) and all(
                np.linalg.norm(centre - np.asarray(n.centre)) > _APART_MM for n in nodes
            ):
                nodes.append(replace(node, centre=point(centre.tolist())))
                break
    return nodes


def _is_fat(volume: Volume, centre: np.ndarray) -> bool:
    """Return whether there is fat around a position, RAS mm, that is not at the border of the image."""
    if not volume.geometry.contains(centre, 12):
        return False
    i, j, k = np.round(volume.geometry.to_ijk(centre)).astype(int)
    return -130 < float(volume.array[k, j - 1 : j + 2, i - 1 : i + 2].mean()) < -30


def _radius(node: Implant, direction: np.ndarray) -> float:
    """Return the distance from the centre of a node, as an ellipsoid, to its border in a direction, mm."""
    across = (node.long_mm + node.short_mm) / 4
    return float(1 / np.linalg.norm(direction / (across, across, node.tall_mm / 2)))

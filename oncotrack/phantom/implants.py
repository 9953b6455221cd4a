"""What is inserted into a real CT, and where: nodes at random places in fat, also beside vessels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter

from oncotrack.errors import InputError
from oncotrack.findings.finding import Kind, point
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.phantom.layers import Block
from oncotrack.phantom.statistics import node_size, small_node_size

_REACH_MM = 18.0
_AIR_BELOW_HU, _FAT_BELOW_HU, _BONE_ABOVE_HU = -160.0, -20.0, 350.0
_THIN_MM = 12.0  # thicker soft tissue is bowel, muscle or a great vessel
_OVERLAP = 0.8  # share of the radius at which the node's centre stays away from soft tissue


@dataclass(frozen=True)
class Implant:
    """A node or lesion to insert into a real CT.

    Parameters
    ----------
    centre : (3,) float
        RAS mm.
    long_mm, short_mm, tall_mm : float
        Axes of the middle axial section and extent along S, mm.
    kind : Kind
        Lymph node or lesion.
    site : str
        Anatomical site for the truth.
    tissue : str
        A key of `tissues.TISSUES`.
    hu : float, optional
        Mean HU; that of `tissue` in the scan's phase when missing.
    shape : int, optional
        Seed of the surface's bumps: implants of the same shape and other sizes are one lesion at several visits.
    """

    centre: tuple[float, float, float]
    long_mm: float
    short_mm: float
    tall_mm: float
    kind: Kind = Kind.LYMPH_NODE
    site: str = "inserted"
    tissue: str = "node"
    hu: float | None = None
    shape: int | None = None


def random_nodes(
    volume: Volume,
    count: int,
    rng: np.random.Generator,
    small_share: float,
    where: Volume | None = None,
    beside_vessels: float = 0.0,
) -> list[Implant]:
    """Draw up to `count` nodes in fat that do not overlap; for the parameters see `insert`."""
    if count <= 0:
        return []
    if where is None:
        grid, step = volume.geometry, np.maximum(np.round(3 / np.asarray(volume.spacing[::-1])), 1).astype(int)
        small = gaussian_filter(volume.array[:: step[0], :: step[1], :: step[2]].astype(np.float32), 1)
        fat = np.argwhere((small > -125) & (small < -60)) * step
    else:
        grid, fat = where.geometry, np.argwhere(where.array > 0)
    if not len(fat):
        raise InputError(f"{volume.name} shows no fat to place nodes in. Give the positions of the implants.")
    implants: list[Implant] = []
    for _ in range(50 * count):
        centre = grid.to_ras(fat[rng.integers(len(fat))][::-1])
        size = small_node_size(rng) if small_share and rng.random() < small_share else node_size(rng, "abdomen")
        if beside_vessels and rng.random() < beside_vessels and volume.geometry.contains(centre, 12):
            centre = beside_vessel(volume, centre, size.short / 2)
        if volume.geometry.contains(centre, 12) and all(
            np.linalg.norm(centre - i.centre) > (i.long_mm + size.long) / 2 for i in implants
        ):
            implants.append(Implant(point(centre.tolist()), size.long, size.short, size.tall))
        if len(implants) == count:
            break
    return implants


def beside_vessel(volume: Volume, centre: np.ndarray, radius_mm: float) -> np.ndarray:
    """Return the nearest position at which a node touches thin soft tissue, mostly a vessel, and lies in fat otherwise.

    Parameters
    ----------
    volume : Volume
        A CT, HU.
    centre : (3,) ndarray
        A position in fat, RAS mm.
    radius_mm : float
        Of the node.

    Returns
    -------
    (3,) ndarray
        RAS mm; `centre` where no such position is within `_REACH_MM`.
    """
    block, offset = around(volume.geometry, centre, np.full(3, _REACH_MM))
    spacing = volume.spacing[::-1]
    hu = gaussian_filter(volume.array[block].astype(np.float32), (0, 1, 1))
    is_soft = (hu > _FAT_BELOW_HU) & (hu < _BONE_ABOVE_HU)
    core = _distance_mm(~is_soft, spacing) > _THIN_MM / 2
    thick = is_soft & (_distance_mm(core, spacing) < _THIN_MM)
    to_thin, to_soft = _distance_mm(is_soft & ~thick, spacing), _distance_mm(hu > _FAT_BELOW_HU, spacing)
    touches = (to_thin <= radius_mm) & (to_soft >= _OVERLAP * radius_mm) & (hu > _AIR_BELOW_HU)
    if not touches.any():
        return centre
    moves = offset[touches]
    return np.asarray(centre) + moves[np.argmin((moves**2).sum(1))]


def _distance_mm(mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    return np.asarray(distance_transform_edt(~mask, sampling=spacing)) if mask.any() else np.full(mask.shape, np.inf)


def around(geometry: Geometry, centre: np.ndarray, half_mm: np.ndarray) -> tuple[Block, np.ndarray]:
    """Return array slices round a centre and the (d, h, w, 3) RAS offsets (mm) of their voxels.

    Parameters
    ----------
    geometry : Geometry
    centre : (3,) ndarray
        RAS mm.
    half_mm : (3,) ndarray
        Half of the block's extent along each axis of the patient.
    """
    middle = geometry.to_ijk(centre)
    half = np.abs(geometry.ras_to_ijk[:3, :3]) @ (np.asarray(half_mm) + 2)
    low = np.maximum(np.floor(middle - half), 0).astype(int)
    high = np.minimum(np.ceil(middle + half) + 1, geometry.size).astype(int)
    k, j, i = np.meshgrid(*[np.arange(a, b) for a, b in zip(low[::-1], high[::-1], strict=True)], indexing="ij")
    offset = geometry.to_ras(np.stack([i, j, k], -1)) - np.asarray(centre)
    return (slice(low[2], high[2]), slice(low[1], high[1]), slice(low[0], high[0])), offset

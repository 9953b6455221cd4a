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
from oncotrack.phantom.statistics import NodeSize, node_size, small_node_size

_REACH_MM = 18.0
_MARGIN_MM = 12.0  # from the image's edge
_AIR_BELOW_HU, _FAT_BELOW_HU, _BONE_ABOVE_HU = -160.0, -20.0, 350.0
_THIN_MM = 12.0  # thicker soft tissue is bowel, muscle or a great vessel
_OVERLAP = 0.8  # share of the radius at which the node's centre stays away from what is not fat
_FAT_SHARE = 0.8  # of the place of a node
_COARSE_MM = 3.0  # voxels of the coarse grid
_ANGLES = np.linspace(0, np.pi, 8, endpoint=False)


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
    angle : float, optional
        Of the long axis from the patient's right, radians; random when missing.
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
    angle: float | None = None


def random_nodes(
    volume: Volume,
    count: int,
    rng: np.random.Generator,
    small_share: float,
    where: Volume | None = None,
    beside_vessels: float = 0.0,
) -> list[Implant]:
    """Draw up to `count` nodes in fat that have room there and do not overlap; for the parameters see `insert`.

    Where enlarged nodes find no room, small ones are drawn after half of the tries.
    """
    if count <= 0:
        return []
    fat, to_border_mm = _fat(volume, where)
    implants: list[Implant] = []
    for attempt in range(50 * count):
        is_small = rng.random() < small_share or attempt > 25 * count
        size = small_node_size(rng) if is_small else node_size(rng, "abdomen")
        roomy = fat[to_border_mm > _OVERLAP * size.short / 2 - _COARSE_MM]
        if not len(roomy):
            continue
        start, touches = roomy[rng.integers(len(roomy))], bool(rng.random() < beside_vessels)
        node = place(volume, start, size, where, beside_vessel=touches)
        if node is not None and all(
            np.linalg.norm(np.subtract(node.centre, other.centre)) > (other.long_mm + node.long_mm) / 2
            for other in implants
        ):
            implants.append(node)
        if len(implants) == count:
            break
    return implants


def _fat(volume: Volume, where: Volume | None) -> tuple[np.ndarray, np.ndarray]:
    """Return places in fat, (N, 3) RAS mm, and how far each is from what is not fat, (N,) mm, on a coarse grid."""
    step = np.maximum(np.round(_COARSE_MM / np.asarray(volume.spacing[::-1])), 1).astype(int)
    small = gaussian_filter(volume.array[:: step[0], :: step[1], :: step[2]].astype(np.float32), 1)
    is_fat = (small > -125) & (small < -60)
    index = np.argwhere(is_fat)
    places = volume.geometry.to_ras((index * step)[:, ::-1])
    if where is not None:
        is_allowed = _is_set(where, places)
        is_fat[tuple(index[~is_allowed].T)] = False
        index, places = index[is_allowed], places[is_allowed]
    if not len(places):
        raise InputError(f"{volume.name} shows no fat to place nodes in. Give the positions of the implants.")
    spacing = tuple(edge * int(n) for edge, n in zip(volume.spacing[::-1], step, strict=True))
    return places, _distance_mm(~is_fat, spacing)[tuple(index.T)]


def _is_set(mask: Volume, ras: np.ndarray) -> np.ndarray:
    """Return whether the nearest voxel of a mask is set, (...) bool, for positions (..., 3), RAS mm."""
    index = np.round(mask.geometry.to_ijk(ras)).astype(int)[..., ::-1]
    is_inside = np.all((index >= 0) & (index < mask.array.shape), axis=-1)
    return is_inside & (mask.array[tuple(np.moveaxis(np.where(is_inside[..., None], index, 0), -1, 0))] > 0)


def place(
    volume: Volume, centre: np.ndarray, size: NodeSize, where: Volume | None = None, *, beside_vessel: bool = False
) -> Implant | None:
    """Return a node of this size at the nearest position at which it has room in fat.

    The centre keeps `_OVERLAP` of the node's half short axis from everything that is not fat, and `_FAT_SHARE` of the
    ellipsoid that the node fills is fat: a node displaces what lies beside it only a little. Its long axis is turned to
    where there is most fat.

    Parameters
    ----------
    volume : Volume
        A CT, HU.
    centre : (3,) ndarray
        A position in fat, RAS mm.
    size : NodeSize
        Of the node, mm.
    where : Volume, optional
        1 where nodes may lie, on any grid; fat anywhere when missing.
    beside_vessel : bool
        It touches thin soft tissue, mostly a vessel, where such a position exists.

    Returns
    -------
    Implant or None
        None where no such position is within `_REACH_MM`.
    """
    block, offset = around(volume.geometry, centre, np.full(3, _REACH_MM + max(size.long, size.tall) / 2))
    spacing = volume.spacing[::-1]
    hu = gaussian_filter(volume.array[block].astype(np.float32), (0, 1, 1))
    is_fat = (hu > _AIR_BELOW_HU) & (hu < _FAT_BELOW_HU)
    if where is not None:
        is_fat &= _is_set(where, offset + centre)
    has_room = is_fat & (_distance_mm(~is_fat, spacing) >= _OVERLAP * size.short / 2)
    has_room &= np.linalg.norm(offset, axis=-1) <= _REACH_MM
    touches = has_room & (_distance_mm(_thin_soft_tissue(hu, spacing), spacing) <= size.short / 2)
    candidates = touches if beside_vessel and touches.any() else has_room
    if not candidates.any():
        return None
    moves = offset[candidates]
    move = moves[np.argmin((moves**2).sum(1))]
    shares = [float(is_fat[_ellipsoid(offset - move, size, angle)].mean()) for angle in _ANGLES]
    at = point((np.asarray(centre) + move).tolist())
    if max(shares) < _FAT_SHARE or not volume.geometry.contains(at, _MARGIN_MM):
        return None
    return Implant(at, size.long, size.short, size.tall, angle=float(_ANGLES[np.argmax(shares)]))


def _ellipsoid(offset: np.ndarray, size: NodeSize, angle: float) -> np.ndarray:
    """Return which offsets, (..., 3) RAS mm, from a node's centre lie inside it, its long axis turned by `angle`."""
    along = offset[..., 0] * np.cos(angle) + offset[..., 1] * np.sin(angle)
    across = offset[..., 1] * np.cos(angle) - offset[..., 0] * np.sin(angle)
    return (along / size.long) ** 2 + (across / size.short) ** 2 + (offset[..., 2] / size.tall) ** 2 < 0.25


def _thin_soft_tissue(hu: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return where vessels, walls and thin muscles lie: soft tissue that is not part of a thick organ."""
    is_soft = (hu > _FAT_BELOW_HU) & (hu < _BONE_ABOVE_HU)
    core = _distance_mm(~is_soft, spacing) > _THIN_MM / 2
    return is_soft & ~(_distance_mm(core, spacing) < _THIN_MM)


def _distance_mm(mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """Return the distance of every voxel to the mask, mm."""
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

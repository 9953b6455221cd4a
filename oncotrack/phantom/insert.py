"""Ground truth from real scans: nodes and lesions inserted into a real CT, and a real CT warped by a known motion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

from oncotrack.errors import InputError
from oncotrack.findings.finding import Kind, point
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.recist import measure_masks
from oncotrack.networks.threads import one_thread_per_operation
from oncotrack.phantom.implants import Implant, around, random_nodes
from oncotrack.phantom.layers import Lump
from oncotrack.phantom.lumps import centre_lump, make_lump
from oncotrack.phantom.motion import Flow, Identity, PointMap, body_velocity, limit_speed
from oncotrack.phantom.tissues import INSTANCE, Phase, hu_values
from oncotrack.phantom.truth import Instance, Truth, VisitTruth

WARP_LATTICE_MM = 10.0
_PARTS = (np.arange(5) - 2) / 5  # of the slice thickness, in which the border of a node is averaged
_BLUR_MM = 0.6  # standard deviation of a soft kernel
_HOMOGENEITY = 0.15  # quantile of the patch that noise is taken from among patches of soft tissue


def insert(
    volume: Volume,
    implants: Sequence[Implant] | int,
    seed: int = 0,
    *,
    phase: str = "portal",
    small: float = 0.0,
    where: Volume | None = None,
    beside_vessels: float = 0.0,
) -> tuple[Volume, Truth]:
    """Insert nodes or lesions into a real CT, with soft borders and the scan's own noise.

    The border of the new tissue is averaged over the slice thickness and blurred by a soft kernel; it has a smooth texture; its noise is the residual of
    a homogeneous soft-tissue patch of the scan, so that strength and spectrum match.

    Parameters
    ----------
    volume : Volume
        A CT, HU.
    implants : sequence of Implant, or int
        What to insert; or a number of nodes that are placed in fat at random.
    seed : int
        Seed of positions, shapes and noise.
    phase : str
        Contrast phase of the scan, a value of `Phase`.
    small : float
        Share of random nodes that are small (3-10 mm) instead of enlarged.
    where : Volume, optional
        1 where random nodes may lie in fat, on any grid; anywhere when missing.
    beside_vessels : float
        Share of random nodes that are moved to the nearest thin soft tissue, mostly a vessel, and touch it.

    Returns
    -------
    Volume
        The CT with the implants; all other voxels are unchanged.
    Truth
        Its truth, one visit.

    Raises
    ------
    InputError
        A centre outside the image, or no fat to place nodes in.
    """
    rng = np.random.default_rng(seed)
    if isinstance(implants, int):
        implants = random_nodes(volume, implants, rng, small, where, beside_vessels)
    array = volume.array.copy()
    masks = np.zeros(volume.array.shape, np.int16)
    values = hu_values(Phase(phase))
    residual = _noise_source(volume, rng) if len(implants) else np.zeros((1, 1, 1), np.float32)
    details = []
    for n, implant in enumerate(implants):
        if not volume.geometry.contains(implant.centre):
            raise InputError(
                f"The position {tuple(round(float(c)) for c in implant.centre)} (R A S, mm) lies outside {volume.name}. "
                "Choose a centre inside the image."
            )
        number = INSTANCE + n
        shaping = rng if implant.shape is None else np.random.default_rng(implant.shape)
        lump = make_lump(
            shaping,
            implant.centre,
            implant.long_mm,
            implant.short_mm,
            implant.tall_mm,
            implant.tissue,
            number,
            angle=implant.angle,
        )
        lump = centre_lump(lump)
        block, offset = around(volume.geometry, lump.centre, lump.half_extent + volume.spacing[2] / 2)
        alpha = _alpha(lump, offset, volume)
        mean, grain = values[implant.tissue]
        mean = mean if implant.hu is None else implant.hu
        texture = gaussian_filter(rng.normal(size=alpha.shape), 2.0)
        texture *= grain / max(float(texture.std()), 1e-9)
        new = mean + texture + _patch(residual, alpha.shape, rng)
        old = array[block].astype(np.float64)
        mixed = old * (1 - alpha) + new * alpha
        array[block] = np.where(alpha > 0, np.round(mixed) if array.dtype.kind in "iu" else mixed, old).astype(
            array.dtype
        )
        masks[block][alpha > 0.5] = number
        details.append(implant)
    out = Volume(array, volume.geometry, volume.name, volume.modality, dict(volume.metadata))
    mask_volume = Volume(masks, volume.geometry, f"{volume.name} nodes and lesions")
    organs = Volume(np.zeros_like(masks), volume.geometry, f"{volume.name} organs")
    instances = [
        Instance(
            number,
            number,
            details[number - INSTANCE].kind,
            site=details[number - INSTANCE].site,
            region=details[number - INSTANCE].site,
            fate="baseline",
            **vars(measure),
        )
        for number, measure in measure_masks(mask_volume).items()
    ]
    return out, Truth((VisitTruth(mask_volume, organs, tuple(instances), Identity()),))


@one_thread_per_operation()
def warp(
    volume: Volume, seed: int = 0, *, most_mm: float = 25.0, motion: PointMap | None = None, masks: Volume | None = None
) -> tuple[Volume, Truth]:
    """Make a follow-up of a real scan by a known smooth motion.

    It differs from `bench.warped.warped_copy`, whose figures are published, in its random stream and interpolation: here
    a diffeomorphic flow of breathing, posture and weight with trilinear sampling on the scan's own grid; there
    Gaussian-smoothed noise, another kernel, contrast, noise and voxels.

    Parameters
    ----------
    volume : Volume
        The scan.
    seed : int
        Seed of a random motion.
    most_mm : float
        Largest displacement of a random motion.
    motion : PointMap, optional
        From the scan to its follow-up; random (breathing, posture, weight) when missing.
    masks : Volume, optional
        Instance numbers on the scan's grid, warped with it (nearest voxel).

    Returns
    -------
    Volume
        The follow-up on the scan's own grid.
    Truth
        Visit 0 is the scan, visit 1 the follow-up.
    """
    rng = np.random.default_rng(seed)
    if motion is None:
        low, high = volume.geometry.bounds
        lattice = warp_lattice(volume.geometry)
        velocity = body_velocity(
            rng,
            lattice,
            ((low + high) / 2).tolist(),
            breath_mm=float(rng.normal() * 8),
            posture_mm=6.0,
            weight=float(rng.normal() * 0.03),
            wobble_mm=2.5,
        )
        motion = Flow.from_velocity(lattice, limit_speed(velocity, most_mm))
    source = pull_coordinates(volume.geometry, motion)
    image = torch.as_tensor(volume.array.astype(np.float32))[None, None]
    fill = float(volume.array.min())
    moved = F.grid_sample(image - fill, source, mode="bilinear", padding_mode="zeros", align_corners=True)[0, 0] + fill
    array = moved.numpy()
    array = (
        np.round(array).astype(volume.array.dtype)
        if volume.array.dtype.kind in "iu"
        else array.astype(volume.array.dtype)
    )
    before = masks or Volume(np.zeros(volume.array.shape, np.int16), volume.geometry, "no instances")
    after = F.grid_sample(
        torch.as_tensor(before.array.astype(np.float32))[None, None], source, mode="nearest", align_corners=True
    )
    after = Volume(after[0, 0].numpy().astype(np.int16), volume.geometry, before.name)
    empty = Volume(np.zeros(volume.array.shape, np.int16), volume.geometry, "organs")
    visits = []
    for mask, mapping, fate in ((before, Identity(), "baseline"), (after, motion, "stable")):
        instances = [
            Instance(number, number, Kind.LESION, site="unknown", region="unknown", fate=fate, **vars(measure))
            for number, measure in measure_masks(mask).items()
        ]
        visits.append(VisitTruth(mask, empty, tuple(instances), mapping))
    return Volume(array, volume.geometry, f"{volume.name} warped", volume.modality, dict(volume.metadata)), Truth(
        tuple(visits)
    )


def warp_lattice(geometry: Geometry) -> Geometry:
    """Return a RAS-aligned lattice that reaches 30 mm beyond an image, for the velocity of its motion."""
    low, high = geometry.bounds
    columns, rows, slices = (int(n) + 1 for n in np.ceil((high - low + 60) / WARP_LATTICE_MM))
    return Geometry(
        (columns, rows, slices), (WARP_LATTICE_MM, WARP_LATTICE_MM, WARP_LATTICE_MM), point((low - 30).tolist())
    )


def pull_coordinates(geometry: Geometry, motion: PointMap) -> torch.Tensor:
    """Return the sampling grid, (1, D, H, W, 3) in [-1, 1]: the scan's position of each voxel of the follow-up."""
    axes = [torch.arange(n, dtype=torch.float32) for n in geometry.shape]
    out = torch.empty(1, *geometry.shape, 3)
    forth = torch.as_tensor(geometry.ijk_to_ras, dtype=torch.float32)
    back = torch.as_tensor(geometry.ras_to_ijk, dtype=torch.float32)
    scale = torch.tensor([2 / max(n - 1, 1) for n in geometry.size])
    j, i = torch.meshgrid(axes[1], axes[2], indexing="ij")
    for k in range(geometry.shape[0]):
        ijk = torch.stack([i, j, torch.full_like(i, float(k))]).reshape(3, -1)
        ras = motion.inverse(forth[:3, :3] @ ijk + forth[:3, 3:])
        out[0, k] = ((back[:3, :3] @ ras + back[:3, 3:]).T * scale - 1).reshape(*i.shape, 3)
    return out


def _alpha(lump: Lump, offset: np.ndarray, volume: Volume) -> np.ndarray:
    """Return the lump's share of each voxel, (d, h, w): averaged over the slice thickness, blurred as by the kernel."""
    edge = float(np.mean(volume.spacing[:2]))
    through = np.asarray(volume.geometry.direction)[:, 2] * volume.spacing[2]
    shares = [
        np.clip(0.5 - (lump.level(torch.as_tensor(offset + part * through)).numpy() - 1) * lump.radius / edge, 0, 1)
        for part in _PARTS
    ]
    return gaussian_filter(np.mean(shares, axis=0), (0, _BLUR_MM / edge, _BLUR_MM / edge))


def _noise_source(volume: Volume, rng: np.random.Generator) -> np.ndarray:
    """Return the scan's own noise: the (d, h, w) residual of a homogeneous soft-tissue patch, not of the least noisy one."""
    array = volume.array.astype(np.float32)
    wide = np.minimum((5, 24, 24), array.shape)
    soft = np.argwhere((array[::2, ::8, ::8] > 10) & (array[::2, ::8, ::8] < 170)) * (2, 8, 8)
    found: list[tuple[float, tuple[slice, ...]]] = []
    for start in soft[rng.permutation(len(soft))[:400]]:
        start = np.minimum(start, np.array(array.shape) - wide)
        at = tuple(slice(int(a), int(a + n)) for a, n in zip(start, wide, strict=True))
        if 10 < float(np.median(array[at])) < 200:
            found.append((float(array[at].std()), at))
    if not found:
        return rng.normal(size=wide).astype(np.float32) * 10
    found.sort(key=lambda each: each[0])
    patch = array[found[int(_HOMOGENEITY * len(found))][1]]
    return patch - gaussian_filter(patch, (0, 6, 6))


def _patch(source: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return noise of any shape: the source patch, mirrored and tiled from a random start."""
    start = rng.integers(0, source.shape)
    pads = [(0, max(int(s + n - m), 0)) for s, n, m in zip(start, shape, source.shape, strict=True)]
    tiled = np.pad(source, pads, mode="symmetric")
    return tiled[tuple(slice(int(s), int(s + n)) for s, n in zip(start, shape, strict=True))]

"""Two scans made of one real CT: lesions inserted, warped by a known motion, and rescanned by two other scanners.

The motion is stronger than that of synthetic patients: after affine registration it leaves the error seen between real
visits (DLS: 8 mm in the median, 24 mm in one of twenty). `bench.warped` makes follow-ups of real CTs too, for its own
published figures: of Gaussian-smoothed noise instead of `phantom.motion`, without lesions, from another random stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from oncotrack.datasets.body import body_mask
from oncotrack.datasets.lesion_visits import (
    LEAST_RADIUS_MM,
    LesionVisits,
    VisitLesion,
    anatomical_landmarks,
    assign_groups,
    box_size,
    phantom_visits,
)
from oncotrack.datasets.node_scans import TEST
from oncotrack.datasets.real_cts import read_cts
from oncotrack.errors import InputError
from oncotrack.findings.finding import Kind, point
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.networks.threads import one_thread_per_operation
from oncotrack.phantom import insert, warp
from oncotrack.phantom.implants import Implant
from oncotrack.phantom.insert import warp_lattice
from oncotrack.phantom.motion import Flow, body_velocity, limit_speed, map_points
from oncotrack.phantom.tissues import INSTANCE
from oncotrack.phantom.truth import Instance

LESIONS = 20
_WORK_MM = (1.2, 1.2, 2.0)
_MOST_MM = 40.0
_PLACING_MM = 3.0
_FATES = {"same": 0.34, "grows": 0.25, "shrinks": 0.23, "vanishes": 0.09, "appears": 0.09}
_TWIN_SHARE = 0.3


@dataclass(frozen=True)
class Host:
    """A host tissue: its HU in the smoothed scan, the lesion's tissue, its contrast to the host (HU), and its share."""

    hu: tuple[float, float]
    tissue: str
    offset: tuple[float, float] | None
    share: float


HOSTS = (
    Host((-125, -60), "node", None, 0.4),
    Host((-950, -700), "lung tumour", None, 0.25),
    Host((25, 160), "liver metastasis", (-55, -25), 0.25),
    Host((25, 160), "soft tissue metastasis", (25, 70), 0.1),
)


@dataclass(frozen=True, eq=False)
class Insertions:
    """Two scans made of one real CT, and the truth of the lesions that were inserted into them.

    Attributes
    ----------
    name, patient : str
        Of the pair, and of the CT with its seed.
    scans : two Volumes
        As the two scanners gave them, the second one moved.
    masks : two Volumes of int16
        The inserted lesions before motion and rescanning, 0 elsewhere.
    instances : two mappings of int to Instance
        The lesions on these masks, by a number that is the same at both visits.
    motion : Flow
        From the first visit to the second.
    has_other_contrast : bool
        Whether the contrast differs.
    """

    name: str
    patient: str
    scans: tuple[Volume, Volume]
    masks: tuple[Volume, Volume]
    instances: tuple[dict[int, Instance], dict[int, Instance]]
    motion: Flow
    has_other_contrast: bool


def warped_visits(volume: Volume, seed: int) -> LesionVisits:
    """Make a pair of a real CT with about 20 lesions that stay, grow, shrink, vanish or appear.

    Parameters
    ----------
    volume : Volume
        A CT, HU.
    seed : int
        Seed of lesions, motion and scanners.

    Raises
    ------
    InputError
        The scan shows no tissue that can hold a lesion.
    """
    rng = np.random.default_rng([seed, 12])
    made = insertions(volume, seed, rng)
    images, instances = made.scans, made.instances
    lesions = []
    for n in sorted(instances[0].keys() | instances[1].keys()):
        first, second = (visit.get(n) for visit in instances)
        before, after = (first or instances[1][n]).centre, (second or instances[0][n]).centre
        radii = first and first.long_axis.length_mm / 2, second and second.long_axis.length_mm / 2
        centres = point(before), point(map_points(made.motion, after).tolist())
        lesion = VisitLesion(centres, radii, box_mm=second and box_size(second.box))
        is_inside = all(i.geometry.contains(p, 4.0) for i, p in zip(images, lesion.positions, strict=True))
        if is_inside and (lesion.radii_mm[0] or LEAST_RADIUS_MM) >= LEAST_RADIUS_MM:
            lesions.append(lesion)
    return LesionVisits(
        made.name, made.patient, *images, assign_groups(lesions, made.has_other_contrast),
        anatomical_landmarks(*images, partial(map_points, made.motion), rng),
    )  # fmt: skip


def insertions(volume: Volume, seed: int, rng: np.random.Generator) -> Insertions:
    """Insert about 20 lesions into a real CT at two visits, and move and rescan it.

    Parameters
    ----------
    volume : Volume
        A CT, HU.
    seed : int
        For the names.
    rng : numpy.random.Generator
        Source of lesions, motion and scanners.

    Raises
    ------
    InputError
        The scan shows no tissue that can hold a lesion.
    """
    spacing = np.maximum(volume.spacing, np.minimum(_WORK_MM, np.max(volume.spacing)))
    work = _round_hu(volume.resampled(volume.geometry.with_spacing(spacing)))
    implants, fates = _implants(work, rng)
    sizes = [_sizes(fate, rng) for fate in fates]
    motion = _motion(work.geometry, rng)
    scans, masks, instances = [], [], []
    for visit in (0, 1):
        present = {n: size for n, pair in enumerate(sizes) if (size := pair[visit]) is not None}
        numbers = list(present)
        scan, truth = insert(work, [_scale(implants[n], s) for n, s in present.items()], int(rng.integers(2**31)))
        scans.append(scan)
        masks.append(truth.visits[0].masks)
        instances.append({numbers[i.number - INSTANCE]: i for i in truth.visits[0].instances})
    moved, _ = warp(scans[1], motion=motion)
    contrast = bool(rng.random() < 0.5)
    gain = float(rng.choice([-0.3, 0.5])) if contrast else 0.0
    images = (_rescan(scans[0], 0.0, rng, f"{volume.name} {seed}"),
              _rescan(moved, gain, rng, f"{volume.name} {seed}, warped"))  # fmt: skip
    return Insertions(
        f"{volume.name} warped {seed}", f"{volume.name} {seed}", images, (masks[0], masks[1]),
        (instances[0], instances[1]), motion, contrast,
    )  # fmt: skip


@one_thread_per_operation()
def _motion(geometry: Geometry, rng: np.random.Generator) -> Flow:
    """Draw a strong motion of breathing, posture and weight over an image."""
    low, high = geometry.bounds
    lattice = warp_lattice(geometry)
    velocity = body_velocity(
        rng, lattice, ((low + high) / 2).tolist(), breath_mm=float(rng.normal() * 10), posture_mm=8.0,
        weight=float(rng.normal() * 0.04), wobble_mm=float(rng.uniform(2.0, 7.0)),
    )  # fmt: skip
    return Flow.from_velocity(lattice, limit_speed(velocity, _MOST_MM))


def _implants(volume: Volume, rng: np.random.Generator) -> tuple[list[Implant], list[str]]:
    """Draw lesions in fat, lung and soft tissue, a third of them with a twin close by; and the fate of each."""
    coarse = volume.resampled(volume.geometry.ras_aligned(_PLACING_MM))
    small, body = gaussian_filter(coarse.array, 0.7), body_mask(coarse)
    candidates = [np.argwhere(body & (small > host.hu[0]) & (small < host.hu[1])) for host in HOSTS]
    shares = np.array([host.share * bool(len(found)) for host, found in zip(HOSTS, candidates, strict=True)])
    if not shares.any():
        raise InputError(f"{volume.name} shows no fat, lung or soft tissue that can hold a lesion. Choose a CT.")
    implants: list[Implant] = []
    for _ in range(60 * LESIONS):
        which = int(rng.choice(len(HOSTS), p=shares / shares.sum()))
        position = coarse.geometry.to_ras(candidates[which][rng.integers(len(candidates[which]))][::-1])
        radius = float(np.exp(rng.uniform(np.log(4.0), np.log(18.0))))
        implant = _implant(HOSTS[which], volume, position, radius, rng)
        _add_if_clear(implants, implant, volume)
        if implants and implants[-1] is implant and rng.random() < _TWIN_SHARE:
            direction = rng.normal(size=3)
            gap = 2.2 * radius + rng.uniform(3, 10)
            twin_centre = np.asarray(implant.centre) + direction / np.linalg.norm(direction) * gap
            twin = replace(implant, centre=point(twin_centre.tolist()), shape=int(rng.integers(2**31)))
            if volume.geometry.contains(twin_centre, 12.0) and _is_host(volume, twin_centre, HOSTS[which]):
                _add_if_clear(implants, twin, volume)
        if len(implants) >= LESIONS:
            break
    fates = [str(f) for f in rng.choice(list(_FATES), size=len(implants), p=list(_FATES.values()))]
    return implants, fates


def _implant(host: Host, volume: Volume, position: np.ndarray, radius: float, rng: np.random.Generator) -> Implant:
    """Draw a lesion of a radius (mm) at a position (RAS mm); its HU are relative to the tissue there."""
    around = position + rng.uniform(-4, 4, (64, 3))
    hu = None if host.offset is None else float(np.median(volume.sample(around))) + float(rng.uniform(*host.offset))
    short = 2 * radius * float(rng.uniform(0.65, 0.95))
    tall = 2 * radius * float(rng.uniform(0.7, 1.2))
    return Implant(
        point(position.tolist()),
        2 * radius,
        short,
        tall,
        Kind.LESION,
        "inserted",
        host.tissue,
        hu,
        shape=int(rng.integers(2**31)),
    )


def _is_host(volume: Volume, position: np.ndarray, host: Host) -> bool:
    """Return whether the HU at a position are about those of the host tissue."""
    low, high = host.hu
    return low - 60 < float(volume.sample(position)[0]) < high + 60


def _add_if_clear(implants: list[Implant], implant: Implant, volume: Volume) -> None:
    """Add an implant if it is clear of the others, even when they grow, and of the image's border."""
    clear = all(
        np.linalg.norm(np.subtract(implant.centre, other.centre)) > 0.55 * (implant.long_mm + other.long_mm)
        for other in implants
    )
    if clear and volume.geometry.contains(implant.centre, 8.0):
        implants.append(implant)


def _sizes(fate: str, rng: np.random.Generator) -> tuple[float | None, float | None]:
    """Draw the relative sizes at both visits; None where the lesion is not present."""
    change = {"same": rng.uniform(0.95, 1.06), "grows": rng.uniform(1.25, 1.7), "shrinks": rng.uniform(0.45, 0.75)}
    return (None if fate == "appears" else 1.0, None if fate == "vanishes" else change.get(fate, 1.0))


def _scale(implant: Implant, size: float) -> Implant:
    """Return the implant with its lengths multiplied by `size`."""
    return replace(implant, long_mm=implant.long_mm * size, short_mm=implant.short_mm * size,
                   tall_mm=implant.tall_mm * size)  # fmt: skip


def _rescan(volume: Volume, gain: float, rng: np.random.Generator, name: str) -> Volume:
    """Simulate another scanner: kernel, contrast above 60 HU changed by `gain`, voxels and noise."""
    array = gaussian_filter(volume.array.astype(np.float32), [0, *(float(rng.uniform(0.3, 0.9)),) * 2])
    array = np.where(array > 60, array + gain * (np.minimum(array, 300) - 60), array)
    wide = np.maximum(volume.spacing, [*(float(rng.uniform(0.7, 1.8)),) * 2, float(rng.choice([2, 2.5, 3, 4, 5]))])
    scan = replace(volume, array=array).resampled(volume.geometry.with_spacing(wide))
    noise = gaussian_filter(rng.normal(size=scan.array.shape), (0, 0.6, 0.6))
    array = scan.array + noise * float(rng.uniform(6, 22)) / float(noise.std())
    return replace(scan, array=np.round(array).astype(np.int16), name=name, modality="CT")


def _round_hu(volume: Volume) -> Volume:
    """Return the volume in whole HU."""
    return replace(volume, array=np.round(volume.array).astype(np.int16), modality="CT")


def held_out(count: int, warp: Sequence[Path] = (), first: int = TEST) -> Iterator[LesionVisits]:
    """Yield `count` held-out pairs, from seed `first` on: synthetic, or made of the CTs `warp` in turn."""
    volumes = read_cts(warp)
    for seed in range(first, first + count):
        if volumes:
            yield warped_visits(volumes[seed % len(volumes)], seed)
        else:
            yield from phantom_visits(seed)

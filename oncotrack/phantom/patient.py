"""The entry point: a synthetic cancer patient at several visits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from oncotrack.errors import InputError
from oncotrack.findings.finding import TimePoint, point
from oncotrack.findings.finding_list import FindingList
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.recist import measure_masks
from oncotrack.networks.threads import one_thread_per_operation
from oncotrack.phantom.anatomy import Anatomy
from oncotrack.phantom.canvas import Canvas
from oncotrack.phantom.course import Deposit
from oncotrack.phantom.disease import pushes, random_disease
from oncotrack.phantom.draw import paint_image
from oncotrack.phantom.layers import Lump
from oncotrack.phantom.modalities import Modality, mr_image, pet_image
from oncotrack.phantom.motion import Chain, Flow, PointMap, Push, body_velocity, limit_speed
from oncotrack.phantom.scanner import Scanner
from oncotrack.phantom.tissues import AIR, INSTANCE, Phase, hu_values
from oncotrack.phantom.truth import Instance, Truth, VisitTruth

LATTICE = Geometry((53, 42, 81), (10.0, 10.0, 10.0), (-260.0, -190.0, -420.0))
MOST_MOTION_MM = 25.0
_LPS = ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0))
REACH = {"trunk": (-305.0, 195.0), "whole-body": (-640.0, 310.0)}
"""Lowest and highest S (mm, template) of a region: L4 to C2; mid-thigh to the middle of the brain."""


@dataclass(frozen=True, eq=False)
class Visit:
    """One visit: images by modality, phase and scanner, and the ground truth (on the first modality's grid)."""

    images: dict[str, Volume]
    truth: VisitTruth
    phase: Phase
    scanner: Scanner
    date: str

    @property
    def image(self) -> Volume:
        """The first modality's image."""
        return next(iter(self.images.values()))


@dataclass(frozen=True, eq=False)
class Patient:
    """A synthetic patient: the visits and the course of every node and lesion."""

    seed: int
    visits: tuple[Visit, ...]
    deposits: tuple[Deposit, ...]

    @cached_property
    def truth(self) -> Truth:
        """Ground truth over all visits."""
        return Truth(tuple(visit.truth for visit in self.visits))

    @property
    def time_points(self) -> list[TimePoint]:
        """The scans, named t0, t1, ..."""
        return [
            TimePoint(
                f"t{n}",
                "baseline" if n == 0 else f"follow-up {n}",
                date=visit.date,
                fingerprint=visit.image.fingerprint,
            )
            for n, visit in enumerate(self.visits)
        ]

    @property
    def findings(self) -> FindingList:
        """All nodes and lesions as findings."""
        return self.truth.findings(self.time_points)


def make_patient(
    seed: int,
    visits: int = 2,
    *,
    size: Sequence[int] = (256, 256, 128),
    spacing: Sequence[float] | None = None,
    region: str = "trunk",
    modalities: Sequence[str] = ("CT",),
    phase: str | None = None,
    scanner: Scanner | None = None,
    device: str = "cpu",
    motion_mm: float = MOST_MOTION_MM,
    nodes: bool = True,
    lesions: bool = True,
) -> Patient:
    """Make a synthetic patient; the same arguments give the same patient, bit for bit on one device and torch version.

    Parameters
    ----------
    seed : int
        Seed of everything that is random.
    visits : int
        Number of scans over time.
    size : (3,) int
        Voxels along i (left), j (back), k (up).
    spacing : (3,) float, optional
        Millimetres. When missing, the grid covers most of the trunk (with at least 0.5 mm in plane and 0.8 to 5 mm
        between slices), or all of the whole body, arms included.
    region : {"trunk", "whole-body"}
        Neck to upper abdomen, or brain to mid-thigh, as PET/CT is acquired. The patient is the same; a grid of any
        size and spacing shows what it covers, from the vertex to the knees.
    modalities : sequence of {"CT", "PT", "MR"}
        Images of each visit: HU, FDG SUV, T2-like signal.
    phase : str, optional
        Contrast phase of all visits, a value of `Phase`; random for each when missing.
    scanner : Scanner, optional
        CT protocol of all visits; random for each when missing.
    device : str
        torch device to draw on.
    motion_mm : float
        Largest displacement between visits.
    nodes, lesions : bool
        Whether to draw any.

    Raises
    ------
    InputError
        An unknown modality, region or phase, or a size that holds no image.
    """
    unknown = [m for m in modalities if m not in ("CT", "PT", "MR")]
    if unknown or not modalities:
        raise InputError(f"The phantom cannot draw {unknown or 'nothing'}. Choose from CT, PT and MR.")
    if phase is not None and phase not in {p.value for p in Phase}:
        raise InputError(f'"{phase}" is not a contrast phase. Choose from {", ".join(p.value for p in Phase)}.')
    if region not in REACH:
        raise InputError(f'"{region}" is not a region of the phantom. Choose from {", ".join(REACH)}.')
    if visits < 1 or min(size) < 4:
        raise InputError("A phantom needs at least one visit and four voxels along each axis.")
    with one_thread_per_operation():
        return _make_checked(
            seed, visits, size, spacing, region, modalities, phase, scanner, device, motion_mm, nodes, lesions
        )


def _make_checked(
    seed: int,
    visits: int,
    size: Sequence[int],
    spacing: Sequence[float] | None,
    region: str,
    modalities: Sequence[str],
    phase: str | None,
    scanner: Scanner | None,
    device: str,
    motion_mm: float,
    nodes: bool,
    lesions: bool,
) -> Patient:
    """Make a patient from checked arguments; those of `make_patient`."""
    rng = np.random.default_rng(seed)
    anatomy = Anatomy.random(rng)
    deposits = tuple(random_disease(rng, anatomy, visits, nodes, lesions))
    shape = body_velocity(rng, LATTICE, (0, 5, 0), weight=float(rng.normal() * 0.035), wobble_mm=3.0, posture_mm=4.0)
    body = Flow.from_velocity(LATTICE, shape)
    all_visits = []
    for n in range(visits):
        visit_rng = np.random.default_rng([seed, n])
        motion = _visit_motion(visit_rng, motion_mm) if n else None
        geometry = _grid(visit_rng, size, spacing, region)
        mapping = _mapping(deposits, n, body, motion, device)
        chosen = Phase(phase) if phase else Phase(visit_rng.choice([p.value for p in Phase], p=[0.25, 0.1, 0.55, 0.1]))
        protocol = scanner or Scanner.random(visit_rng, geometry.spacing[2])
        all_visits.append(
            _visit(visit_rng, anatomy, deposits, n, geometry, mapping, chosen, protocol, modalities, device)
        )
    return Patient(seed, tuple(all_visits), deposits)


def _visit_motion(rng: np.random.Generator, most_mm: float) -> Flow:
    """Draw the motion of a later visit: breathing, posture, weight."""
    velocity = body_velocity(
        rng,
        LATTICE,
        (0, 5, 0),
        breath_mm=float(rng.normal() * 9),
        posture_mm=float(rng.uniform(3, 10)),
        weight=float(rng.normal() * 0.03),
        wobble_mm=float(rng.uniform(1.0, 2.5)),
    )
    return Flow.from_velocity(LATTICE, limit_speed(velocity, most_mm))


def _mapping(deposits: Sequence[Deposit], visit: int, body: Flow, motion: Flow | None, device: str) -> PointMap:
    """Return the map from the template to a visit: growing lumps, the patient's body, the visit's motion."""
    centres, radii = pushes(deposits, visit)
    maps: list[PointMap] = [Push(centres, radii)] if len(radii) else []
    maps += [each.to(device) for each in (body, motion) if each is not None]
    return Chain(tuple(maps))


def _grid(rng: np.random.Generator, size: Sequence[int], spacing: Sequence[float] | None, region: str) -> Geometry:
    """Place a grid of LPS axes on the region, moved a little at random."""
    width, depth, height = (int(n) for n in size)
    lowest, highest = REACH[region]
    reach = highest - lowest
    if spacing is None and region == "whole-body":
        spacing = (500.0 / width, 500.0 / depth, reach / height)
    elif spacing is None:
        across = max(float(rng.uniform(345, 410)) / width, 0.5)
        along = float(np.clip(rng.uniform(0.8, 0.98) * reach / height, 0.8, 5.0))
        spacing = (across, across * width / depth if width != depth else across, along)
    voxel = np.asarray(spacing, float)
    extent = np.array((width, depth, height)) * voxel
    free = max(reach - extent[2], 0.0)
    bottom = lowest + free * rng.uniform(0, 1) if extent[2] < reach else (lowest + highest - extent[2]) / 2
    centre = np.array([rng.normal() * 5, 2 + rng.normal() * 5, bottom + extent[2] / 2])
    origin = centre - np.array(_LPS) @ (voxel * (np.array((width, depth, height)) - 1) / 2)
    return Geometry((width, depth, height), point(voxel.tolist()), point(origin.tolist()), _LPS)


def _visit(
    rng: np.random.Generator,
    anatomy: Anatomy,
    deposits: Sequence[Deposit],
    n: int,
    geometry: Geometry,
    mapping: PointMap,
    phase: Phase,
    scanner: Scanner,
    modalities: Sequence[str],
    device: str,
) -> Visit:
    """Draw the images of visit `n` and its truth."""
    generator = torch.Generator(device=device).manual_seed(int(rng.integers(2**62)))
    date = f"2026{1 + (3 * n) % 12:02d}15" if n < 4 else f"{2026 + n // 4}{1 + (3 * n) % 12:02d}15"
    images: dict[str, Volume] = {}
    truth: VisitTruth | None = None
    for modality in modalities:
        grid = Modality.grid(modality, geometry)
        canvas = Canvas(grid, mapping, device)
        painting = list(anatomy.steps(canvas, *_lumps(deposits, n)))
        mottle = anatomy.mottle(canvas.template_points)
        if modality == "CT":
            drawn, labels = paint_image(canvas, painting, hu_values(phase), AIR, mottle, speckle=generator)
            drawn = scanner.image(drawn, grid, generator)
            array = drawn.cpu().numpy().astype(np.int16)
        else:
            drawing = (canvas, painting, mottle, generator, rng)
            array, labels = pet_image(*drawing, anatomy.urine_suv) if modality == "PT" else mr_image(*drawing)
        name = f"phantom t{n} {modality}"
        images[modality] = Volume(array, grid, name, modality, {"date": date})
        if truth is None:
            found = labels.cpu().numpy()
            masks = Volume(np.where(found >= INSTANCE, found, 0).astype(np.int16), grid, f"{name} nodes and lesions")
            organs = Volume(np.where(found >= INSTANCE, 0, found).astype(np.int16), grid, f"{name} organs")
            truth = VisitTruth(masks, organs, tuple(_instances(deposits, n, masks)), mapping)
    if truth is None:
        raise InputError("A visit needs at least one modality. Choose from CT, PT and MR.")
    return Visit(images, truth, phase, scanner, date)


def _lumps(deposits: Sequence[Deposit], visit: int) -> tuple[tuple[Lump, ...], tuple[Lump, ...]]:
    """Return the lumps of a visit below (`deep`) and above vessels and bones."""
    deep, top = (
        tuple(lump for d in deposits if d.deep is below and (lump := d.lumps[visit]) is not None)
        for below in (True, False)
    )
    return deep, top


def _instances(deposits: Sequence[Deposit], visit: int, masks: Volume) -> Iterator[Instance]:
    """Yield the deposits that a visit shows, measured on their masks; merged ones with the mask they are part of."""
    measured = measure_masks(masks)
    for deposit in deposits:
        shown = deposit.number
        if deposit.merged_into is not None and deposit.lumps[visit] is None and visit > 0:
            shown = deposit.merged_into if any(lump is not None for lump in deposit.lumps[:visit]) else shown
        found = measured.get(shown)
        if found is None or (deposit.lumps[visit] is None and shown == deposit.number):
            continue
        fate = deposit.fates[visit - 1] if visit else "baseline"
        yield Instance(
            deposit.number,
            shown,
            deposit.kind,
            site=deposit.site,
            region=deposit.region,
            fate=fate,
            hot=deposit.hot,
            primary=deposit.primary,
            small=deposit.small,
            parent=deposit.parent,
            **vars(found),
        )

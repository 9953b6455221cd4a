"""The entry point: a synthetic cancer patient over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from oncotrack.errors import InputError
from oncotrack.findings.finding import TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.recist import measure_masks
from oncotrack.networks.threads import one_thread_an_operation
from oncotrack.phantom.anatomy import Anatomy
from oncotrack.phantom.canvas import Canvas
from oncotrack.phantom.course import Deposit
from oncotrack.phantom.disease import pushes, random_disease
from oncotrack.phantom.draw import paint_image
from oncotrack.phantom.modalities import Modality, mr_image, pet_image
from oncotrack.phantom.motion import Chain, Flow, PointMap, Push, body_velocity, limited
from oncotrack.phantom.scanner import Scanner
from oncotrack.phantom.tissues import AIR, INSTANCE, Phase, hu_values
from oncotrack.phantom.truth import Instance, Truth, VisitTruth

LATTICE = Geometry((53, 42, 81), (10.0, 10.0, 10.0), (-260.0, -190.0, -420.0))
MOST_MOTION_MM = 25.0
REACH = {"trunk": (-305.0, 195.0), "whole-body": (-640.0, 310.0)}
"""Lowest and highest S (mm, template) of a region: L4 to C2; mid-thigh to the middle of the brain."""


@dataclass(frozen=True, eq=False)
class Visit:
    """One visit's images by modality, how they were taken, and their truth (on the first modality's grid)."""

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
    """A synthetic patient: the visits and what is true of them."""

    seed: int
    visits: tuple[Visit, ...]
    deposits: tuple[Deposit, ...]

    @cached_property
    def truth(self) -> Truth:
        """Truth over all visits."""
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
    """A synthetic patient. The same arguments give the same patient (bit for bit on one device and torch version).

    Parameters
    ----------
    seed : int
    visits : number of scans over time.
    size : (3,) voxels along i (left), j (back), k (up).
    spacing : (3,) mm; when missing, the grid covers the region: of the trunk most, at least 0.5 mm in plane and 0.8 to
        5 mm between slices; of the whole body all, arms included.
    region : "trunk" (neck to upper abdomen) or "whole-body" (brain to mid-thigh, as PET/CT is taken). The patient
        is the same; a grid of any size and spacing shows what it covers, from the vertex to the knees.
    modalities : "CT", "PT" (FDG, SUV), "MR" (T2-like).
    phase : contrast phase of all visits; random for each when missing.
    scanner : CT protocol of all visits; random for each when missing.
    motion_mm : largest displacement between visits.

    Raises
    ------
    InputError
        An unknown modality, region or phase, or a size that holds no image.
    """
    unknown = [m for m in modalities if m not in ("CT", "PT", "MR")]
    if unknown or not modalities:
        raise InputError(f"The phantom cannot draw {unknown or 'nothing'}; choose from CT, PT, MR.")
    if phase is not None and phase not in {p.value for p in Phase}:
        raise InputError(f'"{phase}" is not a contrast phase; choose from {", ".join(p.value for p in Phase)}.')
    if region not in REACH:
        raise InputError(f'"{region}" is not a region of the phantom; choose from {", ".join(REACH)}.')
    if visits < 1 or min(size) < 4:
        raise InputError("A phantom needs at least one visit and four voxels along each axis.")
    with one_thread_an_operation():
        return _made(seed, visits, size, spacing, region, modalities, phase, scanner, device, motion_mm, nodes, lesions)


def _made(
    seed, visits, size, spacing, region, modalities, phase, scanner, device, motion_mm, nodes, lesions
) -> Patient:
    rng = np.random.default_rng(seed)
    anatomy = Anatomy.random(rng)
    deposits = tuple(random_disease(rng, anatomy, visits, nodes, lesions))
    shape = body_velocity(rng, LATTICE, (0, 5, 0), weight=float(rng.normal() * 0.035), wobble_mm=3.0, posture_mm=4.0)
    body = Flow.from_velocity(LATTICE, shape)
    made = []
    for n in range(visits):
        visit_rng = np.random.default_rng([seed, n])
        motion = _visit_motion(visit_rng, motion_mm) if n else None
        geometry = _grid(visit_rng, size, spacing, region)
        mapping = _mapping(deposits, n, body, motion, device)
        chosen = Phase(phase) if phase else Phase(visit_rng.choice([p.value for p in Phase], p=[0.25, 0.1, 0.55, 0.1]))
        protocol = scanner or Scanner.random(visit_rng, geometry.spacing[2])
        made.append(_visit(visit_rng, anatomy, deposits, n, geometry, mapping, chosen, protocol, modalities, device))
    return Patient(seed, tuple(made), deposits)


def drawing_job(seed: int, *, size: Sequence[int], device: str) -> Callable[[], torch.Tensor]:
    """A function that draws the same CT visit anew at each call (for timing): motion, painting, scanner."""
    rng = np.random.default_rng(seed)
    anatomy = Anatomy.random(rng)
    deposits = tuple(random_disease(rng, anatomy, 1))
    body = Flow.from_velocity(LATTICE, body_velocity(rng, LATTICE, (0, 5, 0), wobble_mm=3.0))
    mapping = _mapping(deposits, 0, body, None, device)
    geometry = _grid(rng, size, None, "trunk")
    scanner = Scanner.random(rng, geometry.spacing[2])
    generator = torch.Generator(device=device).manual_seed(seed)

    @one_thread_an_operation()
    def draw() -> torch.Tensor:
        canvas = Canvas(geometry, mapping, device)
        painting = anatomy.steps(canvas, *_lumps(deposits, 0))
        image, _ = paint_image(
            canvas, painting, hu_values(Phase.PORTAL), AIR, anatomy.mottle(canvas.place), speckle=generator
        )
        return scanner.image(image, geometry, generator)

    return draw


def _visit_motion(rng: np.random.Generator, most_mm: float) -> Flow:
    velocity = body_velocity(
        rng,
        LATTICE,
        (0, 5, 0),
        breath_mm=float(rng.normal() * 9),
        posture_mm=float(rng.uniform(3, 10)),
        weight=float(rng.normal() * 0.03),
        wobble_mm=float(rng.uniform(1.0, 2.5)),
    )
    return Flow.from_velocity(LATTICE, limited(velocity, most_mm))


def _mapping(deposits: Sequence[Deposit], visit: int, body: Flow, motion: Flow | None, device: str) -> PointMap:
    centres, radii = pushes(deposits, visit)
    maps: list[PointMap] = [Push(centres, radii)] if len(radii) else []
    maps += [each.to(device) for each in (body, motion) if each is not None]
    return Chain(tuple(maps))


def _grid(rng: np.random.Generator, size: Sequence[int], spacing: Sequence[float] | None, region: str) -> Geometry:
    size = np.asarray(size, int)
    lowest, highest = REACH[region]
    reach = highest - lowest
    if spacing is None and region == "whole-body":
        spacing = (500.0 / size[0], 500.0 / size[1], reach / size[2])
    elif spacing is None:
        across = max(float(rng.uniform(345, 410)) / size[0], 0.5)
        along = float(np.clip(rng.uniform(0.8, 0.98) * reach / size[2], 0.8, 5.0))
        spacing = (across, across * size[0] / size[1] if size[0] != size[1] else across, along)
    spacing = np.asarray(spacing, float)
    extent = size * spacing
    free = max(reach - extent[2], 0.0)
    bottom = lowest + free * rng.uniform(0, 1) if extent[2] < reach else (lowest + highest - extent[2]) / 2
    centre = np.array([rng.normal() * 5, 2 + rng.normal() * 5, bottom + extent[2] / 2])
    direction = np.diag([-1.0, -1.0, 1.0])
    origin = centre - direction @ (spacing * (size - 1) / 2)
    return Geometry(tuple(size), tuple(spacing), tuple(origin), direction)


def _visit(rng, anatomy, deposits, n, geometry, mapping, phase, scanner, modalities, device) -> Visit:
    generator = torch.Generator(device=device).manual_seed(int(rng.integers(2**62)))
    date = f"2026{1 + (3 * n) % 12:02d}15" if n < 4 else f"{2026 + n // 4}{1 + (3 * n) % 12:02d}15"
    images: dict[str, Volume] = {}
    masks = organs = None
    for modality in modalities:
        grid = Modality.grid(modality, geometry)
        canvas = Canvas(grid, mapping, device)
        painting = list(anatomy.steps(canvas, *_lumps(deposits, n)))
        mottle = anatomy.mottle(canvas.place)
        if modality == "CT":
            drawn, labels = paint_image(canvas, painting, hu_values(phase), AIR, mottle, speckle=generator)
            drawn = scanner.image(drawn, grid, generator)
            array = drawn.cpu().numpy().astype(np.int16)
        else:
            drawing = (canvas, painting, mottle, generator, rng)
            urine = anatomy.ends.pelvis.urine_suv
            array, labels = pet_image(*drawing, urine) if modality == "PT" else mr_image(*drawing)
        name = f"phantom t{n} {modality}"
        images[modality] = Volume(array, grid, name, modality, {"date": date})
        if masks is None:
            found = labels.cpu().numpy()
            masks = Volume(np.where(found >= INSTANCE, found, 0).astype(np.int16), grid, f"{name} nodes and lesions")
            organs = Volume(np.where(found >= INSTANCE, 0, found).astype(np.int16), grid, f"{name} organs")
    truth = VisitTruth(masks, organs, tuple(_instances(deposits, n, masks)), mapping)
    return Visit(images, truth, phase, scanner, date)


def _lumps(deposits: Sequence[Deposit], visit: int) -> tuple[tuple, tuple]:
    deep = tuple(d.lumps[visit] for d in deposits if d.deep and d.lumps[visit] is not None)
    top = tuple(d.lumps[visit] for d in deposits if not d.deep and d.lumps[visit] is not None)
    return deep, top


def _instances(deposits: Sequence[Deposit], visit: int, masks: Volume):
    measured = measure_masks(masks)
    for deposit in deposits:
        merged = deposit.merged_into is not None and deposit.lumps[visit] is None and visit > 0
        shown = (
            deposit.merged_into
            if merged and any(lump is not None for lump in deposit.lumps[:visit])
            else deposit.number
        )
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

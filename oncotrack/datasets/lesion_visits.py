"""Two scans of one patient with known lesions in both: synthetic, made from real CTs, or annotated (DLS).

Held-out sets differ from training data by their seeds alone, as in `oncotrack.datasets.node_scans`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_gradient_magnitude

from oncotrack.datasets import dls
from oncotrack.datasets.body import body_mask
from oncotrack.findings.finding import Box, Point, point
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.phantom import make_patient
from oncotrack.phantom.patient import Patient
from oncotrack.phantom.truth import Instance

GROWN, SHRUNK, VANISHED, CONTRAST, TWINS, MOVED = "grown", "shrunk", "vanished", "contrast", "twins", "only moved"
GROUPS = (GROWN, SHRUNK, VANISHED, CONTRAST, TWINS, MOVED)
LEAST_RADIUS_MM = 3.5
"""Smaller lesions are not part of the ground truth: 95 % of DLS's are larger."""
SIZE_CHANGE = 1.2
"""Least ratio of radii of a lesion that has grown or shrunk (RECIST's 20 %)."""
TWIN_GAP_MM = 15.0
"""Largest distance between the borders of twin lesions."""
_MARGIN_MM = 4.0
_THICKNESS_MM = (2.0, 2.5, 3.0, 4.0, 5.0)


@dataclass(frozen=True)
class VisitLesion:
    """One lesion at two visits. RAS mm.

    Parameters
    ----------
    positions : two points
        Its centres; at a visit without it, the position of the tissue around it.
    radii_mm : two floats or None
        Half its long axis; None at a visit without it.
    groups : tuple of str
        Those of `GROUPS` that apply.
    box_mm : (3,) float, optional
        Size of its box in the follow-up along R, A, S.
    """

    positions: tuple[Point, Point]
    radii_mm: tuple[float | None, float | None]
    groups: tuple[str, ...] = ()
    box_mm: Point | None = None

    def reversed(self) -> VisitLesion:
        """Return the lesion with the visits exchanged, without groups: these belong to one direction."""
        (before, after), (first, second) = self.positions, self.radii_mm
        return VisitLesion((after, before), (second, first))


@dataclass(frozen=True, eq=False)
class LesionVisits:
    """Two scans of one patient and the lesions visible in at least one of them.

    Parameters
    ----------
    name : str
        Name of the pair.
    patient : str
        Identifies the patient when results are resampled.
    baseline, followup : Volume
        The two scans.
    lesions : tuple of VisitLesion
        Those only in the follow-up serve for reading the pair backwards.
    landmarks : tuple of VisitLesion
        Anatomical positions known in both scans, for training where the motion is known.
    """

    name: str
    patient: str
    baseline: Volume
    followup: Volume
    lesions: tuple[VisitLesion, ...]
    landmarks: tuple[VisitLesion, ...] = ()

    @property
    def baseline_lesions(self) -> tuple[VisitLesion, ...]:
        """The lesions that the baseline shows."""
        return tuple(lesion for lesion in self.lesions if lesion.radii_mm[0] is not None)


def phantom_visits(seed: int, visits: int = 2) -> list[LesionVisits]:
    """Make all pairs of `visits` scans of one synthetic patient: 24 to 38 cm of the trunk.

    Every visit has its own motion, contrast phase, scanner and voxels: 1.2-2.3 mm in plane, 2-5 mm between slices.
    """
    rng = np.random.default_rng([seed, 11])
    across = float(rng.uniform(1.2, 1.8))
    thickness = float(rng.choice(_THICKNESS_MM))
    size = (round(rng.uniform(340, 400) / across), round(rng.uniform(260, 300) / across),
            round(rng.uniform(240, 380) / thickness))  # fmt: skip
    patient = make_patient(seed, visits, size=size, spacing=(across, across, thickness))
    images = [_rescan(visit.image, rng, across, thickness) for visit in patient.visits]
    pairs = []
    for first, second in combinations(range(visits), 2):
        found = _lesions(patient, (first, second), (images[first].geometry, images[second].geometry))
        changed = patient.visits[first].phase is not patient.visits[second].phase
        both = images[first], images[second]
        carry = partial(patient.truth.correspond, source=first, target=second)
        landmarks = anatomical_landmarks(*both, carry, rng)
        name = f"phantom {seed}, visits {first} and {second}"
        pairs.append(LesionVisits(name, f"phantom {seed}", *both, assign_groups(found, contrast=changed), landmarks))
    return pairs


def dls_visits(annotation: Path, images: Path, split: str | None = None) -> Iterator[LesionVisits]:
    """Yield the pairs of the Deep Longitudinal Study, one lesion each; see `oncotrack.datasets.dls.cases`."""
    for case in dls.cases(annotation, images, split):
        (finding,) = case.truth.findings
        before, after = (finding.observations[key] for key in ("baseline", "follow-up"))
        lesion = VisitLesion(
            (point(before.centre), point(after.centre)),
            (before.radius_mm, after.radius_mm),
            box_mm=None if after.box is None else box_size(after.box),
        )
        yield LesionVisits(
            case.name,
            case.name.split("_")[0],
            case.images["baseline"],
            case.images["follow-up"],
            assign_groups([lesion]),
        )


def anatomical_landmarks(
    baseline: Volume,
    followup: Volume,
    carry: Callable[[np.ndarray], np.ndarray],
    rng: np.random.Generator,
    count: int = 24,
) -> tuple[VisitLesion, ...]:
    """Draw landmarks where the baseline has structure, each with a radius of 4 to 15 mm.

    Parameters
    ----------
    baseline, followup : Volume
        CTs, HU.
    carry : callable
        Maps (N, 3) RAS points from the baseline to the follow-up.
    rng : numpy.random.Generator
    count : int
        Largest number of landmarks.
    """
    coarse = baseline.resampled(baseline.geometry.ras_aligned(4.0))
    edges = gaussian_gradient_magnitude(np.clip(coarse.array, -1000, 300), 1.0)
    edges = np.clip(edges, 0, 150) * body_mask(coarse) + 1e-9
    chosen = rng.choice(edges.size, size=4 * count, p=(edges / edges.sum()).ravel())
    candidates = coarse.geometry.to_ras(
        np.stack(np.unravel_index(chosen, edges.shape)[::-1], -1) + rng.uniform(-0.5, 0.5, (4 * count, 3))
    )
    mapped = carry(candidates)
    inside = baseline.geometry.contains(candidates, _MARGIN_MM) & followup.geometry.contains(mapped, _MARGIN_MM)
    radii = np.exp(rng.uniform(np.log(4.0), np.log(15.0), 4 * count))
    pairs = [
        (point(a.tolist()), point(b.tolist()), float(r))
        for a, b, r in zip(candidates[inside], mapped[inside], radii[inside], strict=True)
    ]
    return tuple(VisitLesion((a, b), (r, r)) for a, b, r in pairs[:count])


def box_size(box: Box) -> Point:
    """Return width, depth and height of a box along R, A, S, mm."""
    return point(np.subtract(box.high, box.low).tolist())


def assign_groups(lesions: Sequence[VisitLesion], contrast: bool = False) -> tuple[VisitLesion, ...]:
    """Return the lesions with their groups.

    Parameters
    ----------
    lesions : sequence of VisitLesion
        All lesions of a pair, among which twins are looked for.
    contrast : bool
        Whether the visits differ in contrast or its phase.
    """
    result = []
    for n, lesion in enumerate(lesions):
        before, after = lesion.radii_mm
        if before is None:
            result.append(lesion)
            continue
        groups = []
        if after is None:
            groups.append(VANISHED)
        elif after >= SIZE_CHANGE * before:
            groups.append(GROWN)
        elif before >= SIZE_CHANGE * after:
            groups.append(SHRUNK)
        if contrast:
            groups.append(CONTRAST)
        if any(_are_near(lesion, other) for m, other in enumerate(lesions) if m != n):
            groups.append(TWINS)
        result.append(replace(lesion, groups=tuple(groups) or (MOVED,)))
    return tuple(result)


def _are_near(lesion: VisitLesion, other: VisitLesion) -> bool:
    """Return whether another lesion of at least half the size lies close to this one at one of the visits."""
    for visit in (0, 1):
        other_radius, radius = other.radii_mm[visit], lesion.radii_mm[visit] or lesion.radii_mm[0]
        if other_radius is not None and radius is not None and other_radius >= radius / 2:
            gap = (
                float(np.linalg.norm(np.subtract(lesion.positions[visit], other.positions[visit])))
                - other_radius
                - radius
            )
            if gap <= TWIN_GAP_MM:
                return True
    return False


def _lesions(patient: Patient, visits: tuple[int, int], grids: tuple[Geometry, Geometry]) -> list[VisitLesion]:
    """Return the lesions whose position lies inside both scans, without merged and split ones, which have no single match."""
    truths = [patient.visits[visit].truth for visit in visits]
    found = []
    for deposit in patient.deposits:
        if {"merges", "splits"} & set(deposit.fates[slice(*visits)]) or deposit.parent or deposit.merged_into:
            continue
        pair: list[Instance | None] = [truth.instance(deposit.number) for truth in truths]
        if pair == [None, None]:
            continue
        positions = _positions(patient, pair, visits)
        before, after = (i and i.long_axis.length_mm / 2 for i in pair)
        inside = all(grid.contains(position, _MARGIN_MM) for grid, position in zip(grids, positions, strict=True))
        if inside and max(before or 0.0, after or 0.0) >= LEAST_RADIUS_MM:
            found.append(VisitLesion(positions, (before, after), box_mm=pair[1] and box_size(pair[1].box)))
    return [lesion for lesion in found if (lesion.radii_mm[0] or LEAST_RADIUS_MM) >= LEAST_RADIUS_MM]


def _positions(patient: Patient, pair: Sequence[Instance | None], visits: tuple[int, int]) -> tuple[Point, Point]:
    """Return the centres of a lesion; at a visit without it, the position of its tissue."""
    before, after = pair
    if before is None:
        assert after is not None, "a lesion is visible at one visit at least"
        return point(patient.truth.correspond(after.centre, visits[1], visits[0]).tolist()), point(after.centre)
    if after is None:
        return point(before.centre), point(patient.truth.correspond(before.centre, *visits).tolist())
    return point(before.centre), point(after.centre)


def _rescan(image: Volume, rng: np.random.Generator, across: float, thickness: float) -> Volume:
    """Return the scan, half of the time on larger voxels."""
    if rng.random() < 0.5:
        return image
    wide = across * float(rng.uniform(1.0, 1.3))
    thick = float(rng.choice([t for t in _THICKNESS_MM if t >= thickness]))
    rescanned = image.resampled(image.geometry.with_spacing((wide, wide, thick)))
    return replace(rescanned, array=np.round(rescanned.array).astype(np.int16), modality="CT")

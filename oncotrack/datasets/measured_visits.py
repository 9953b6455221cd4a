"""Two visits with the true mask of every lesion at both, to evaluate measurements at the follow-up.

The scans are of synthetic patients, or made of real CTs with inserted lesions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from oncotrack.datasets.real_cts import read_cts
from oncotrack.datasets.warped_visits import Insertions, insertions
from oncotrack.findings.finding import Kind, Observation, Point
from oncotrack.findings.packed_mask import PackedMask
from oncotrack.images.volume import Volume
from oncotrack.phantom import make_patient, warp
from oncotrack.phantom.course import Deposit
from oncotrack.phantom.patient import Patient
from oncotrack.phantom.truth import Instance, VisitTruth, observation
from oncotrack.response.course import Reading, Seen
from oncotrack.response.criteria import MOST_PER_ORGAN, MOST_TARGETS, TARGET_MM, TARGET_NODE_MM

LEAST_LONG_MM, LEAST_NODE_MM = 10.0, 10.0
"""Smallest lesions used: long axis, and short axis of a lymph node, at baseline."""
_LEAST_LATER_MM = 5.0
_MARGIN_MM = 8.0


@dataclass(frozen=True, eq=False)
class MeasuredLesion:
    """One lesion at two visits.

    Attributes
    ----------
    name : str
        Of the lesion.
    before : Observation
        At baseline, with its mask and diameters.
    after : Instance
        The truth at the follow-up.
    mask : Volume of uint8
        Its true mask at the follow-up, cropped.
    """

    name: str
    before: Observation
    after: Instance
    mask: Volume

    @property
    def is_node(self) -> bool:
        """Whether it is a lymph node."""
        return self.after.kind is Kind.LYMPH_NODE


@dataclass(frozen=True, eq=False)
class MeasuredVisits:
    """Two scans and the lesions that both show."""

    name: str
    baseline: Volume
    followup: Volume
    lesions: tuple[MeasuredLesion, ...]


@dataclass(frozen=True, eq=False)
class TargetTruth:
    """A target lesion through several visits.

    Attributes
    ----------
    name, organ : str
        Of the lesion.
    is_node : bool
        Whether it is a lymph node.
    before : Observation
        At baseline, with its mask and diameters.
    readings : tuple of Reading
        The truth at every visit.
    positions : tuple of point or None
        Its centre at every visit, RAS mm; None where it is gone.
    """

    name: str
    organ: str
    is_node: bool
    before: Observation
    readings: tuple[Reading, ...]
    positions: tuple[Point | None, ...]


@dataclass(frozen=True, eq=False)
class MeasuredCourse:
    """The scans of several visits and the target lesions chosen at the first."""

    name: str
    scans: tuple[Volume, ...]
    targets: tuple[TargetTruth, ...]


def measured_courses(
    first: int, count: int, visits: int = 5
) -> Iterator[tuple[str, Callable[[], MeasuredCourse | None]]]:
    """Yield names and makers of synthetic patients with several visits; None where there is no target lesion.

    They have at most five target lesions, two in an organ, the largest first.

    Parameters
    ----------
    first, count : int
        First seed, and number of patients.
    visits : int
        Scans of each.
    """

    def make(seed: int) -> MeasuredCourse | None:
        patient = _patient(seed, visits)
        targets = tuple(_targets(patient))
        scans = tuple(visit.image for visit in patient.visits)
        return MeasuredCourse(f"phantom {seed}", scans, targets) if targets else None

    for seed in range(first, first + count):
        yield f"phantom {seed}", partial(make, seed)


def _patient(seed: int, visits: int) -> Patient:
    rng = np.random.default_rng([seed, 29])
    across, thickness = float(rng.uniform(0.9, 1.4)), float(rng.choice([2.0, 2.5, 3.0, 5.0]))
    size = (round(360 / across), round(280 / across), round(rng.uniform(240, 320) / thickness))
    return make_patient(seed, visits, size=size, spacing=(across, across, thickness))


def _targets(patient: Patient) -> Iterator[TargetTruth]:
    per_organ: Counter[str] = Counter()
    candidates = []
    for deposit in patient.deposits:
        seen = [visit.truth.instance(deposit.number) for visit in patient.visits]
        old = seen[0]
        if old is None or not _has_one_match(deposit) or not _is_target(old) or not _is_inside(patient, seen):
            continue
        candidates.append((-old.long_axis.length_mm, deposit.number, seen))
    for _size, number, seen in sorted(candidates, key=lambda each: each[:2]):
        old = seen[0]
        assert old is not None
        organ = "lymph nodes" if old.kind is Kind.LYMPH_NODE else old.site
        if sum(per_organ.values()) >= MOST_TARGETS or per_organ[organ] >= MOST_PER_ORGAN:
            continue
        per_organ[organ] += 1
        before = replace(observation(old), mask=PackedMask.of(_mask(patient.visits[0].truth.masks, old)))
        yield TargetTruth(
            f"{old.site} {number}", old.site, old.kind is Kind.LYMPH_NODE, before,
            tuple(map(_reading, seen)), tuple(each and each.centre for each in seen),
        )  # fmt: skip


def _is_target(instance: Instance) -> bool:
    if instance.kind is Kind.LYMPH_NODE:
        return instance.short_axis.length_mm >= TARGET_NODE_MM
    return instance.long_axis.length_mm >= TARGET_MM


def _is_inside(patient: Patient, seen: Sequence[Instance | None]) -> bool:
    """Return whether a lesion lies inside every scan that shows it."""
    return all(
        each is None or bool(visit.image.geometry.contains(each.centre, _MARGIN_MM))
        for visit, each in zip(patient.visits, seen, strict=True)
    )


def _reading(instance: Instance | None) -> Reading:
    if instance is None:
        return Reading(seen=Seen.ABSENT)
    return Reading(
        long_mm=instance.long_axis.length_mm,
        short_mm=instance.short_axis.length_mm,
        volume_mm3=instance.volume_mm3,
    )


def _has_one_match(deposit: Deposit) -> bool:
    return not ({"merges", "splits"} & set(deposit.fates) or deposit.parent or deposit.merged_into)


def measured_phantoms(first: int, count: int) -> Iterator[tuple[str, Callable[[], MeasuredVisits | None]]]:
    """Yield names and makers of synthetic patients whose lesions grew, shrank or stayed; None where both visits show none.

    Motion, contrast phase and scanner differ.

    Parameters
    ----------
    first, count : int
        First seed, and number of patients.
    """

    def make(seed: int) -> MeasuredVisits | None:
        patient = _patient(seed, 2)
        lesions = tuple(_lesions(patient))
        baseline, followup = (visit.image for visit in patient.visits)
        return MeasuredVisits(f"phantom {seed}", baseline, followup, lesions) if lesions else None

    for seed in range(first, first + count):
        yield f"phantom {seed}", partial(make, seed)


def measured_insertions(
    scans: Sequence[Path], first: int, count: int
) -> Iterator[tuple[str, Callable[[], MeasuredVisits | None]]]:
    """Yield names and makers of pairs made of real CTs with inserted lesions that grew, shrank or stayed.

    See `warped_visits.insertions`; None where both visits show no lesion.

    Parameters
    ----------
    scans : sequence of path
        The CTs, used in turn.
    first, count : int
        First seed, and number of pairs.
    """
    volumes = read_cts(scans)

    def make(seed: int, volume: Volume) -> MeasuredVisits | None:
        made = insertions(volume, seed, np.random.default_rng([seed, 12]))
        _image, truth = warp(made.masks[1], motion=made.motion, masks=made.masks[1])
        lesions = tuple(_inserted(made, truth.visits[1]))
        return MeasuredVisits(made.name, *made.scans, lesions) if lesions else None

    for seed in range(first, first + count):
        volume = volumes[seed % len(volumes)]
        yield f"{volume.name} {seed}", partial(make, seed, volume)


def _inserted(made: Insertions, moved: VisitTruth) -> Iterator[MeasuredLesion]:
    for number, old in made.instances[0].items():
        if (still := made.instances[1].get(number)) is None or (new := moved.instance(still.number)) is None:
            continue
        if _is_used(old, new) and _are_inside(made.scans, (old, new)):
            seen = replace(observation(old), mask=PackedMask.of(_mask(made.masks[0], old)))
            yield MeasuredLesion(f"{old.site} {number}", seen, new, _mask(moved.masks, new))


def _are_inside(scans: Sequence[Volume], instances: Sequence[Instance]) -> bool:
    """Return whether a lesion lies inside every scan."""
    return all(
        bool(scan.geometry.contains(each.centre, _MARGIN_MM)) for scan, each in zip(scans, instances, strict=True)
    )


def _lesions(patient: Patient) -> Iterator[MeasuredLesion]:
    before, after = (visit.truth for visit in patient.visits)
    scans = [visit.image for visit in patient.visits]
    for deposit in patient.deposits:
        if not _has_one_match(deposit):
            continue
        old, new = before.instance(deposit.number), after.instance(deposit.number)
        if old is not None and new is not None and _is_used(old, new) and _are_inside(scans, (old, new)):
            seen = replace(observation(old), mask=PackedMask.of(_mask(before.masks, old)))
            yield MeasuredLesion(f"{deposit.site} {deposit.number}", seen, new, _mask(after.masks, new))


def _is_used(old: Instance, new: Instance) -> bool:
    if old.kind is Kind.LYMPH_NODE:
        enough = old.short_axis.length_mm >= LEAST_NODE_MM
    else:
        enough = old.long_axis.length_mm >= LEAST_LONG_MM
    return enough and new.long_axis.length_mm >= _LEAST_LATER_MM


def _mask(masks: Volume, instance: Instance) -> Volume:
    """Return the mask of one lesion, cropped to it."""
    kji = np.argwhere(masks.array == instance.mask_number)[:, ::-1]
    part = masks.cropped(kji.min(0) - 1, kji.max(0) + 2)
    return replace(part, array=(part.array == instance.mask_number).astype(np.uint8))

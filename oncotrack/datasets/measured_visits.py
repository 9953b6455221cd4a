"""Synthetic patients at two visits with the true mask of every lesion at both, to evaluate measurements at the follow-up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from oncotrack.findings.finding import Kind, Observation
from oncotrack.findings.packed_mask import PackedMask
from oncotrack.images.volume import Volume
from oncotrack.phantom import make_patient
from oncotrack.phantom.patient import Patient
from oncotrack.phantom.truth import Instance, VisitTruth, observation

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


def measured_phantoms(first: int, count: int) -> Iterator[MeasuredVisits]:
    """Yield synthetic patients whose lesions grew, shrank or stayed; motion, contrast phase and scanner differ.

    Parameters
    ----------
    first, count : int
        First seed, and number of patients.
    """
    for seed in range(first, first + count):
        rng = np.random.default_rng([seed, 29])
        across, thickness = float(rng.uniform(0.9, 1.4)), float(rng.choice([2.0, 2.5, 3.0, 5.0]))
        size = (round(360 / across), round(280 / across), round(rng.uniform(240, 320) / thickness))
        patient = make_patient(seed, 2, size=size, spacing=(across, across, thickness))
        lesions = tuple(_lesions(patient))
        if lesions:
            images = (visit.image for visit in patient.visits)
            yield MeasuredVisits(f"phantom {seed}", *images, lesions)


def _lesions(patient: Patient) -> Iterator[MeasuredLesion]:
    before, after = (visit.truth for visit in patient.visits)
    grids = [visit.image.geometry for visit in patient.visits]
    for deposit in patient.deposits:
        if {"merges", "splits"} & set(deposit.fates) or deposit.parent or deposit.merged_into:
            continue
        old, new = before.instance(deposit.number), after.instance(deposit.number)
        if old is None or new is None or not _is_used(old, new):
            continue
        inside = (g.contains(i.centre, _MARGIN_MM) for g, i in zip(grids, (old, new), strict=True))
        if all(inside):
            seen = replace(observation(old), mask=PackedMask.of(_mask(before, old)))
            yield MeasuredLesion(f"{deposit.site} {deposit.number}", seen, new, _mask(after, new))


def _is_used(old: Instance, new: Instance) -> bool:
    if old.kind is Kind.LYMPH_NODE:
        enough = old.short_axis.length_mm >= LEAST_NODE_MM
    else:
        enough = old.long_axis.length_mm >= LEAST_LONG_MM
    return enough and new.long_axis.length_mm >= _LEAST_LATER_MM


def _mask(truth: VisitTruth, instance: Instance) -> Volume:
    """Return the mask of one lesion, cropped to it."""
    masks = truth.masks
    kji = np.argwhere(masks.array == instance.mask_number)[:, ::-1]
    part = masks.cropped(kji.min(0) - 1, kji.max(0) + 2)
    return replace(part, array=(part.array == instance.mask_number).astype(np.uint8))

"""Sizes of phantom nodes, measured on their voxel masks as the real ones were."""

from __future__ import annotations

import numpy as np

from oncotrack.phantom.anatomy import Anatomy
from oncotrack.phantom.disease import random_disease
from oncotrack.phantom.patient import make_patient
from oncotrack.phantom.statistics import NODES
from oncotrack.phantom.truth import Instance

MEASURES = (
    "axial_long_axis_mm",
    "axial_short_axis_mm",
    "axial_aspect",
    "extent_x_mm",
    "extent_y_mm",
    "extent_z_mm",
    "volume_mm3",
)


def measured_nodes(patients: int, seed: int) -> dict[str, dict[str, np.ndarray]]:
    """By region: every measure of `NODES` over the enlarged nodes of `patients` drawn patients, and nodes a patient."""
    found: dict[str, dict[str, list[float]]] = {
        region: {m: [] for m in (*MEASURES, "nodes_per_patient")} for region in NODES
    }
    for n in range(patients):
        patient = make_patient(seed + n, visits=1, size=(256, 208, 260), spacing=(1.5, 1.5, 1.9), lesions=False)
        instances = [i for i in patient.visits[0].truth.instances if not i.small and i.region in NODES]
        for region in NODES:
            here = [i for i in instances if i.region == region]
            if here:
                found[region]["nodes_per_patient"].append(len(here))
            for i in here:
                for measure, value in zip(MEASURES, _sizes(i), strict=True):
                    found[region][measure].append(value)
    return {region: {m: np.array(v) for m, v in table.items() if v} for region, table in found.items()}


def drawn_counts(patients: int, seed: int) -> dict[str, list[int]]:
    """Enlarged nodes a patient by region, without drawing them."""
    counts: dict[str, list[int]] = {region: [] for region in NODES}
    for n in range(patients):
        rng = np.random.default_rng(seed + n)
        deposits = random_disease(rng, Anatomy.random(rng), 1, lesions=False)
        for region in NODES:
            number = sum(not d.small and d.region == region for d in deposits)
            if number:
                counts[region].append(number)
    return counts


def _sizes(i: Instance) -> tuple[float, ...]:
    long, short = i.long_axis.length_mm, i.short_axis.length_mm
    extent = np.subtract(i.box.high, i.box.low)
    return (long, short, long / max(short, 1e-3), *extent, i.volume_mm3)

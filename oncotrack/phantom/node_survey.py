"""Sizes of phantom nodes, measured on voxel masks as the real nodes were."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from oncotrack.background.jobs import Progress
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.recist import Measurement, measure_masks
from oncotrack.networks.threads import one_thread_per_operation
from oncotrack.phantom.anatomy import Anatomy
from oncotrack.phantom.disease import random_disease
from oncotrack.phantom.layers import Lump
from oncotrack.phantom.statistics import NODES

MEASURES = (
    "axial_long_axis_mm",
    "axial_short_axis_mm",
    "axial_aspect",
    "extent_x_mm",
    "extent_y_mm",
    "extent_z_mm",
    "volume_mm3",
)
DISEASES = 64
"""Patients whose nodes are drawn in each surveyed body."""
SURVEY_SPACING = (0.8, 0.8, 1.5)
"""Voxels (mm) on which lone nodes are measured; those of the real scans are 0.7-0.9 mm in plane and 1-2 mm thick."""

Sizes = dict[str, dict[str, np.ndarray]]


def measured_nodes(bodies: int, seed: int, progress: Progress | None = None) -> Sizes:
    """Measure enlarged nodes, each drawn alone; also their number per patient.

    Parameters
    ----------
    bodies : int
        Anatomies; the nodes of `DISEASES` patients are drawn in each.
    seed : int
        Seed of all bodies.
    progress : Progress, optional
        Called after each body.

    Returns
    -------
    dict of str to dict of str to (N,) ndarray
        By region, every measure of `NODES`.
    """
    return _collect(_lone_nodes(bodies, seed, progress))


def lone_measure(lump: Lump) -> Measurement | None:
    """Measure the voxels of one lump that nothing covers, as a reader would; return None if it has no voxel."""
    reach = lump.half_extent + 2 * np.asarray(SURVEY_SPACING)
    size = np.ceil(2 * reach / SURVEY_SPACING).astype(int)
    geometry = Geometry(tuple(size), SURVEY_SPACING, tuple(lump.centre - reach))
    k, j, i = np.indices(geometry.shape)
    offset = geometry.to_ras(np.stack([i, j, k], -1)) - lump.centre
    inside = lump.level(torch.as_tensor(offset, dtype=torch.float32)).numpy() < 1
    return measure_masks(Volume(inside.astype(np.int16), geometry)).get(1)


def _lone_nodes(bodies: int, seed: int, progress: Progress | None) -> Iterator[list[tuple[str, Measurement]]]:
    """Yield region and measure of the enlarged nodes of each patient."""
    with one_thread_per_operation():
        for n in range(bodies):
            rng = np.random.default_rng([seed, n])
            anatomy = Anatomy.random(rng)
            for _ in range(DISEASES):
                deposits = random_disease(rng, anatomy, 1, lesions=False)
                enlarged = [d for d in deposits if not d.small and d.region in NODES]
                lumps = [(d.region, d.lumps[0]) for d in enlarged]
                measures = [(region, lone_measure(lump)) for region, lump in lumps if lump is not None]
                yield [(region, measure) for region, measure in measures if measure is not None]
            if progress is not None:
                progress((n + 1) / bodies, "Measuring nodes")


def _collect(patients: Iterator[list[tuple[str, Measurement]]]) -> Sizes:
    """Gather the patients' nodes into one table per region."""
    found: dict[str, dict[str, list[float]]] = {
        region: {m: [] for m in (*MEASURES, "nodes_per_patient")} for region in NODES
    }
    for nodes in patients:
        for region, table in found.items():
            here = [measure for where, measure in nodes if where == region]
            if here:
                table["nodes_per_patient"].append(len(here))
            for measured in here:
                for name, value in zip(MEASURES, _sizes(measured), strict=True):
                    table[name].append(value)
    return {region: {m: np.array(v) for m, v in table.items() if v} for region, table in found.items()}


def _sizes(i: Measurement) -> tuple[float, ...]:
    """Return the values of `MEASURES`."""
    long, short = i.long_axis.length_mm, i.short_axis.length_mm
    extent = np.subtract(i.box.high, i.box.low)
    return (long, short, long / max(short, 1e-3), *extent, i.volume_mm3)

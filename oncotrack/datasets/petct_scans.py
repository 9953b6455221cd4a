"""Synthetic PET/CT studies with a primary tumour and its oncology-significant lymph nodes.

The truth follows the rule by which physicians decide (OSLN, sec. 1): near the tumour a node is significant even if it is
small; far from it only if it is enlarged or shows uptake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

import numpy as np
from scipy.spatial import KDTree

from oncotrack.datasets.case import Case, label_case
from oncotrack.datasets.node_scans import LEAST_SHORT_MM, TEST
from oncotrack.detection.petct.distance import BORDER_MM, boundary
from oncotrack.findings.finding import Kind
from oncotrack.images.volume import Volume
from oncotrack.phantom import Instance, VisitTruth, make_patient
from oncotrack.phantom.decoys import add_decoys

PROXIMAL_SHORT_MM, DISTAL_SHORT_MM = 5.0, 10.0
"""Short axis from which a node without uptake is significant, near the tumour and far from it."""
_REACH_MM = (400.0, 270.0, 505.0)
_ANOTHER_PATIENT = 20_000_000


@dataclass(frozen=True, eq=False)
class PETCTScan:
    """A synthetic study.

    Attributes
    ----------
    case : Case
        Images "ct" and "pet" (SUV); the truth are the significant nodes, "ct" in `masks` their label map.
    tumour : Volume
        Mask of the primary tumour on the CT's grid.
    truth : VisitTruth
        Everything that is known about the phantom.
    """

    case: Case
    tumour: Volume
    truth: VisitTruth


def petct_scan(seed: int, *, size: tuple[int, int, int] | None = None, decoys: bool = True) -> PETCTScan:
    """Make a synthetic PET/CT of the trunk, from the neck to the upper abdomen, 1.5-1.9 mm in plane and 2.5-3 mm thick.

    A patient whose primary tumour the grid does not show is replaced by another one.

    Parameters
    ----------
    seed : int
        Of the patient.
    size : (3,) int, optional
        Voxels along x, y, z; the whole trunk if missing.
    decoys : bool
        Whether to add focal uptake that is neither node nor lesion.
    """
    rng = np.random.default_rng([seed, 12])
    across, thickness = float(rng.uniform(1.5, 1.9)), float(rng.choice([2.5, 3.0]))
    voxel = (across, across, thickness)
    if size is None:
        wide, deep, high = (round(reach / edge) for reach, edge in zip(_REACH_MM, voxel, strict=True))
        size = (wide, deep, high)
    else:
        voxel = tuple(reach / n for reach, n in zip(_REACH_MM, size, strict=True))
    for patient in count(seed, _ANOTHER_PATIENT):
        visit = make_patient(patient, 1, size=size, spacing=voxel, modalities=("CT", "PT")).visits[0]
        primary = [i.mask_number for i in visit.truth.instances if i.primary]
        if primary:
            break
    tumour = replace(visit.truth.masks, array=np.isin(visit.truth.masks.array, primary).astype(np.uint8), name="tumour")
    pet = visit.images["PT"]
    if decoys:
        pet, _foci = add_decoys(pet, visit.truth, rng)
    labels, names = _significant(visit.truth, tumour)
    images = {"ct": visit.images["CT"], "pet": pet}
    case = label_case(f"phantom PET/CT {seed}", images, labels, "ct", "phantom truth", Kind.LYMPH_NODE, names)
    return PETCTScan(case, tumour, visit.truth)


def held_out_petct(number: int, first: int = TEST) -> Iterator[tuple[str, Callable[[], PETCTScan]]]:
    """Yield the names of `number` held-out studies, from seed `first` on, and what makes them."""
    for seed in range(first, first + number):
        yield f"phantom-{seed}", partial(petct_scan, seed)


def is_significant(instance: Instance, distance_mm: float) -> bool:
    """Return whether a lymph node is oncology-significant, given its distance from the tumour's border."""
    if instance.kind is not Kind.LYMPH_NODE or instance.short_axis.length_mm < LEAST_SHORT_MM:
        return False
    least = PROXIMAL_SHORT_MM if distance_mm <= BORDER_MM else DISTAL_SHORT_MM
    return instance.hot or instance.short_axis.length_mm >= least


def distances(truth: VisitTruth, tumour: Volume) -> dict[int, float]:
    """Return the distance of each instance's centre from the tumour's boundary voxels, mm, by its number."""
    edge = np.argwhere(boundary(tumour.array != 0))
    tree = KDTree(tumour.geometry.to_ras(edge[:, ::-1]))
    return {i.number: float(tree.query(i.centre)[0]) for i in truth.instances}


def _significant(truth: VisitTruth, tumour: Volume) -> tuple[Volume, dict[int, tuple[str, Kind, str]]]:
    """Return the label map of the significant nodes and their names."""
    far = distances(truth, tumour)
    labels = np.zeros(truth.masks.array.shape, np.int16)
    names: dict[int, tuple[str, Kind, str]] = {}
    wanted = [i for i in truth.instances if is_significant(i, far[i.number])]
    for n, instance in enumerate(wanted, 1):
        labels[truth.masks.array == instance.mask_number] = n
        names[n] = (f"LN {n}", Kind.LYMPH_NODE, instance.site)
    return replace(truth.masks, array=labels), names

"""CT and MR scans with known lymph nodes: synthetic scans, and real CTs with inserted nodes.

Held-out sets differ from training data by their seeds alone: seeds from `HELD_OUT` on are never trained on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from oncotrack.datasets.case import Case, label_case
from oncotrack.datasets.node_chains import THICKNESS_MM, chain, thick_slices
from oncotrack.datasets.real_cts import read_cts
from oncotrack.detection.anatomy.tissues import Tissues
from oncotrack.detection.ct_slices import LNSlices
from oncotrack.findings.finding import Kind
from oncotrack.images.volume import Volume
from oncotrack.phantom import insert, make_patient
from oncotrack.phantom.implants import random_nodes
from oncotrack.phantom.truth import VisitTruth

HELD_OUT = 1_000_000
"""Seeds from here on are for validation (`HELD_OUT`) and test (`TEST`)."""
TEST = 2_000_000
BESIDE_VESSELS = 0.6
"""Share of the nodes inserted for training that touch a vessel; those of the held-out sets lie anywhere in the fat."""
LEAST_SHORT_MM = 3.0
"""Nodes with a smaller short axis are drawn but are not part of the ground truth."""
LEAST_SHORT_MM_IN_MR = 5.0
"""The same for MR, whose slices are 6 mm thick and more."""
_SLAB_MM = (80.0, 120.0)
_MR_SLAB_MM = (150.0, 190.0)
_NODE_HU, _NODE_SD_HU, _BLOOD_HU = 42.0, 10.0, 55.0  # without contrast medium
_ENHANCEMENT = 0.45  # of nodes, as a share of that of the blood
_THICKNESS_MM = (1.0, 1.25, 2.0, 2.5, 3.0, 4.0, 5.0)


def phantom_scan(seed: int, device: str = "cpu") -> Case:
    """Make a synthetic CT of 8 to 12 cm of the trunk or neck, 0.65-0.95 mm in plane and 1-5 mm thick, with its nodes."""
    rng = np.random.default_rng([seed, 7])
    across = float(rng.uniform(0.65, 0.95))
    thickness = float(rng.choice(_THICKNESS_MM))
    size = (round(rng.uniform(330, 400) / across), round(rng.uniform(250, 300) / across),
            round(rng.uniform(*_SLAB_MM) / thickness))  # fmt: skip
    visit = make_patient(seed, 1, size=size, spacing=(across, across, thickness), device=device).visits[0]
    return _case(f"phantom {seed}", visit.image, visit.truth, "phantom truth")


def inserted_scan(
    volume: Volume, seed: int, count: int | None = None, *, is_nodal: bool = False, beside_vessels: float = 0.0
) -> Case:
    """Insert 8 to 24 nodes (or `count`), half of them small, into the fat of a real CT; its own nodes are not labelled.

    With `is_nodal` they lie only in the deep fat, where lymph nodes lie, and the more the blood of the scan is enhanced
    the brighter they are; otherwise in any fat, subcutaneous fat too, and as in the portal venous phase. The share
    `beside_vessels` of them is moved to the nearest vessel.
    """
    rng = np.random.default_rng([seed, 8])
    count = int(rng.integers(8, 25)) if count is None else count
    if is_nodal:
        where, mean = _deep(volume)
        nodes = random_nodes(volume, count, rng, 0.5, where, beside_vessels)
        image, truth = insert(volume, [replace(node, hu=float(rng.normal(mean, _NODE_SD_HU))) for node in nodes], seed)
    else:
        image, truth = insert(volume, count, seed, small=0.5, beside_vessels=beside_vessels)
    return replace(_case(f"{volume.name} with nodes {seed}", image, truth.visits[0], "inserted"), is_complete=False)


def chain_scan(volume: Volume, seed: int, count: int = 10) -> Case:
    """Insert chains of three or four nodes that touch one another into the deep fat of a real CT, of slices of 2 to 5 mm."""
    rng = np.random.default_rng([seed, 10])
    volume = thick_slices(volume, float(rng.choice(THICKNESS_MM)))
    where, mean = _deep(volume)
    firsts = random_nodes(volume, count, rng, 0.0, where)
    nodes = [replace(node, hu=mean) for first in firsts for node in chain(first, volume, rng)]
    image, truth = insert(volume, nodes, seed)
    return replace(_case(f"{volume.name} with chains {seed}", image, truth.visits[0], "inserted"), is_complete=False)


def mr_phantom_scan(seed: int, device: str = "cpu") -> Case:
    """Make a synthetic T2-like MR of 15 to 19 cm of the trunk, 0.8-0.95 mm in plane and 6-8 mm thick, with its nodes."""
    rng = np.random.default_rng([seed, 9])
    across, thickness = float(rng.uniform(0.8, 0.95)), float(rng.uniform(6.0, 8.0))
    size = (round(rng.uniform(340, 400) / across), round(rng.uniform(250, 300) / across),
            round(rng.uniform(*_MR_SLAB_MM) / thickness))  # fmt: skip
    patient = make_patient(seed, 1, size=size, spacing=(across, across, thickness), modalities=("MR",), device=device)
    visit = patient.visits[0]
    return _case(f"phantom MR {seed}", visit.image, visit.truth, "phantom truth", LEAST_SHORT_MM_IN_MR)


def held_out(
    count: int, insert: Sequence[Path] = (), first: int = TEST, *, is_nodal: bool = False, chains: bool = False
) -> Iterator[Case]:
    """Yield `count` held-out scans, from seed `first` on: synthetic, or the CTs `insert` in turn with inserted nodes.

    With `chains` the inserted nodes touch one another, see `chain_scan`.
    """
    volumes = read_cts(insert)
    for seed in range(first, first + count):
        if not volumes:
            yield phantom_scan(seed)
        elif chains:
            yield chain_scan(volumes[seed % len(volumes)], seed)
        else:
            yield inserted_scan(volumes[seed % len(volumes)], seed, is_nodal=is_nodal)


def held_out_mr(count: int, first: int = TEST) -> Iterator[Case]:
    """Yield `count` held-out synthetic MR, from seed `first` on."""
    for seed in range(first, first + count):
        yield mr_phantom_scan(seed)


def _deep(volume: Volume) -> tuple[Volume, float]:
    """Return as 1 what the body wall of a CT encloses, where lymph nodes lie, and the mean attenuation of nodes there, HU."""
    tissues = Tissues.of(LNSlices(replace(volume, modality="CT")))
    mean = _NODE_HU + _ENHANCEMENT * max(tissues.blood_hu - _BLOOD_HU, 0.0)
    return Volume(tissues.deep.astype(np.uint8), tissues.grid, "inside the body wall"), mean


def _case(name: str, image: Volume, truth: VisitTruth, source: str, least_mm: float = LEAST_SHORT_MM) -> Case:
    """Return a visit as a case; its truth are the nodes with a short axis of at least `least_mm`."""
    labels = np.zeros(image.array.shape, np.int16)
    names = {}
    targets = [i for i in truth.instances if i.kind is Kind.LYMPH_NODE and i.short_axis.length_mm >= least_mm]
    for n, instance in enumerate(targets, 1):
        labels[truth.masks.array == instance.mask_number] = n
        names[n] = (f"LN {n}", Kind.LYMPH_NODE, instance.site)
    image = replace(image, modality=image.modality or "CT")
    key = image.modality.lower()
    return label_case(name, {key: image}, replace(image, array=labels), key, source, Kind.LYMPH_NODE, names)

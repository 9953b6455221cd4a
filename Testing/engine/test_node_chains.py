"""Scans with chains of nodes that touch one another."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from oncotrack.datasets.node_chains import chain, thick_slices
from oncotrack.datasets.node_scans import chain_scan
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.phantom.implants import Implant
from oncotrack.phantom.insert import insert


def test_the_nodes_of_a_chain_touch_and_lie_in_fat():
    array = np.full((40, 60, 60), -90, np.int16)
    array[:, :, 40:] = 50
    volume = Volume(array, Geometry((60, 60, 40), (1.0, 1.0, 2.0)), "fat beside muscle", "CT")
    first = Implant((15.0, 30.0, 40.0), 9.0, 7.0, 8.0)
    chains = [chain(first, volume, np.random.default_rng(seed)) for seed in range(8)]
    assert {len(nodes) for nodes in chains} == {3, 4}
    nodes = max(chains, key=len)
    assert all(node.centre[0] < 40 for node in nodes), "none lies in muscle"
    _, truth = insert(volume, nodes, 1)
    masks = truth.visits[0].masks.array
    for number in np.unique(masks)[2:]:
        distance = ndimage.distance_transform_edt(masks != number, sampling=(2.0, 1.0, 1.0))
        assert distance[masks == number - 1].min() <= 2.0, "mm, one voxel"


def test_slices_are_averaged_to_thicker_ones_only():
    array = np.tile(np.arange(20, dtype=np.int16)[:, None, None], (1, 6, 6))
    thin = Volume(array, Geometry((6, 6, 20), (1.0, 1.0, 1.0)), "thin", "CT")
    thick = thick_slices(thin, 4.0)
    assert thick.array.shape[0] == 5 and thick.array.dtype == np.int16
    assert np.all(np.abs(np.diff(thick.array[1:-1, 3, 3]) - 4) <= 1)
    assert thick_slices(thick, 2.0) is thick


def test_a_scan_with_chains_lists_each_of_its_nodes(body):
    case = chain_scan(body, 3, count=2)
    (image,) = case.images.values()
    assert len(case.truth.findings) > 2 and not np.array_equal(image.array, body.array)

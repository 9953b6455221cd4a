"""The packed mask of a finding: small, complete, and unchanged by JSON."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from oncotrack.errors import InputError
from oncotrack.findings.finding import Observation, TimePoint
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.packed_mask import PackedMask
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume


@pytest.fixture
def mask() -> Volume:
    """Return a ragged blob on an oblique grid."""
    turn = ((0.8, -0.6, 0.0), (0.6, 0.8, 0.0), (0.0, 0.0, 1.0))
    geometry = Geometry((40, 30, 20), (0.7, 0.7, 5.0), (1.0, 2.0, 3.0), turn)
    array = np.zeros(geometry.shape, np.uint8)
    array[5:9, 6:20, 7:11] = np.random.default_rng(0).integers(0, 2, (4, 14, 4))
    array[5, 6, 7] = array[8, 19, 10] = 3
    return Volume(array, geometry)


def places(volume: Volume) -> np.ndarray:
    return volume.geometry.to_ras(np.argwhere(volume.array)[:, ::-1])


def test_it_is_cropped_and_covers_the_same_voxels(mask):
    packed = PackedMask.of(mask)
    assert packed.geometry.size == (4, 14, 4)
    assert np.allclose(places(packed.volume()), places(mask))
    assert set(np.unique(packed.volume().array)) == {0, 1}


def test_it_is_written_to_json_with_its_finding(mask):
    findings = FindingList([TimePoint("t0", "scan")])
    findings.add("t0", Observation(centre=(0, 0, 0), mask=PackedMask.of(mask)))
    read = FindingList.from_json(findings.to_json())
    assert read.findings == findings.findings
    assert len(findings.to_json()) < 3000


def test_moving_a_finding_drops_the_mask_of_the_old_position(mask):
    findings = FindingList([TimePoint("t0", "scan")])
    finding = findings.add("t0", Observation(centre=(0, 0, 0), mask=PackedMask.of(mask)))
    findings.move(finding.uid, "t0", (1, 0, 0))
    assert findings[finding.uid].at("t0").mask is None
    findings.undo()
    assert findings[finding.uid].at("t0").mask == PackedMask.of(mask)


def test_an_empty_mask_and_damaged_bits_are_refused(mask):
    with pytest.raises(InputError, match="empty"):
        PackedMask.of(replace(mask, array=np.zeros_like(mask.array)))
    packed = PackedMask.of(mask)
    larger = Geometry((10**3,) * 3)
    for damage in ({"bits": "?"}, {"bits": packed.bits[:8]}, {"geometry": larger}):
        with pytest.raises(InputError, match="damaged"):
            replace(packed, **damage)

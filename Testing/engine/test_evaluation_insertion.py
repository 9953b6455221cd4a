"""Whether inserted nodes can be distinguished from real small structures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from oncotrack.detection.ct_node_mask import NodePatch
from oncotrack.errors import InputError
from oncotrack.evaluation import insertion
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

FEATURES = [name for group in insertion.GROUPS.values() for name in group]


def ball(noise_hu: float = 5.0, blur: bool = False, hu: float = 60.0) -> NodePatch:
    """Return a ball of 12 mm in fat."""
    from scipy.ndimage import gaussian_filter

    grid = Geometry((40, 40, 20), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0), np.eye(3))
    k, j, i = np.indices(grid.shape)
    array = np.where((i - 20) ** 2 + (j - 20) ** 2 + (2 * (k - 10)) ** 2 < 36, hu, -100.0)
    array = gaussian_filter(array, (0, 1.2, 1.2)) if blur else array
    array = array + np.random.default_rng(0).normal(scale=noise_hu, size=array.shape)
    return NodePatch.of(Volume(array.astype(np.float32), grid, "ball", "CT"), np.full(3, 14.0), np.full(3, 26.0))


def seen(patch: NodePatch) -> dict[str, float]:
    return dict(zip(FEATURES, insertion.appearance(patch, 50.0, 5.0), strict=True))


def test_the_area_under_the_curve_counts_ties_half():
    scores, is_positive = np.array([0.1, 0.4, 0.4, 0.4, 0.8]), np.array([False, True, False, True, True])
    assert insertion.auc(scores, is_positive) == pytest.approx(roc_auc_score(is_positive, scores))


def test_noise_blur_and_attenuation_show_in_the_features():
    plain = seen(ball())
    assert plain["median"] == pytest.approx(0.6, abs=0.03)
    assert plain["median against blood"] == pytest.approx(0.1, abs=0.03)
    assert seen(ball(noise_hu=15))["noise against the scan's"] - plain["noise against the scan's"] == pytest.approx(
        np.log(3), abs=0.1
    )
    assert seen(ball(blur=True))["outermost voxels"] < plain["outermost voxels"] - 0.1


def test_structures_that_differ_are_distinguished_in_a_ct_that_was_not_learned():
    rng = np.random.default_rng(0)

    def drawn(shift: float) -> tuple[np.ndarray, np.ndarray]:
        real, inserted = rng.normal(size=(2, 40, len(FEATURES)))
        return real, inserted + shift

    different, same = ({name: drawn(shift) for name in "abc"} for shift in (2.0, 0.0))
    assert min(insertion._held_out_auc(different, [0, 1]).values()) > 0.95
    assert np.mean(list(insertion._held_out_auc(same, [0, 1]).values())) == pytest.approx(0.5, abs=0.12)


def test_without_real_structures_in_two_cts_nothing_is_concluded(body):
    empty = replace(body, array=np.where(body.array > -900, -100, -1000).astype(np.int16))  # a body of fat
    with pytest.raises(InputError, match="0 of 1 CTs show that many"):
        insertion.evaluate_insertion([empty], 1)

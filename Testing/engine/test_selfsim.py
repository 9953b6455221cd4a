"""Self-similarity finds lesions that moved, detects vanished ones, and does not depend on how a scan is stored."""

import numpy as np
import pytest
import torch

from oncotrack.errors import InputError
from oncotrack.findings.finding import State
from oncotrack.followup.match_lesions import match_all
from oncotrack.followup.methods import METHODS, tracker
from oncotrack.followup.mind import MARGIN, gaussian_weight, mind_ssc, search, subvoxel
from oncotrack.followup.selfsim import SelfSimilarity
from oncotrack.followup.tracker import ScanPair
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

LPS = np.diag([-1.0, -1.0, 1.0])


def miss(match, truth) -> float:
    return float(np.linalg.norm(np.subtract(match.position, truth)))


@pytest.fixture(scope="module")
def matches(known_pair):
    """Return the match of each lesion, which other ways to reach it are compared with."""
    return [SelfSimilarity().match(known_pair.pair, *lesion) for lesion in known_pair.lesions]


def test_every_lesion_is_found_within_two_millimetres(known_pair, matches):
    for (centre, _), match in zip(known_pair.lesions, matches, strict=True):
        assert match.found, match.reason
        assert miss(match, known_pair.truth(centre)) < 2.0
        assert match.cycle_error_mm < 2.0
        assert len(match.alternatives) <= 3
        assert all(miss(match, other.centre) > 5 for other in match.alternatives)


def test_several_lesions_give_the_same_as_one_by_one(known_pair, matches):
    method, lesions = SelfSimilarity(), known_pair.lesions[:3]
    calls = []
    together = match_all(method, known_pair.pair, lesions, lambda fraction, text: calls.append((fraction, text)))
    assert [match.position for match in together] == [match.position for match in matches[:3]]
    assert [fraction for fraction, _ in calls] == sorted(fraction for fraction, _ in calls)
    assert "Lesion 1 of 3" in [text for _, text in calls]


def test_a_single_lesion_has_cycle_errors_of_its_alternatives(known_pair, matches):
    lesion = next(each for each, match in zip(known_pair.lesions, matches, strict=True) if match.alternatives)
    (alone,) = match_all(SelfSimilarity(), known_pair.pair, [lesion])
    assert alone.alternatives
    assert all(other.cycle_error_mm is not None for other in alone.alternatives)


def with_permuted_axes(volume: Volume) -> Volume:
    """Return the same image with its axes permuted and flipped."""
    array = np.ascontiguousarray(volume.array.transpose(2, 0, 1)[:, ::-1, :])
    g = volume.geometry
    # new i, j, k run along old j, k (backwards), i
    corner = g.to_ras((0, 0, g.size[2] - 1))
    columns = np.asarray(g.direction)
    direction = np.stack([columns[:, 1], -columns[:, 2], columns[:, 0]], 1)
    spacing = (g.spacing[1], g.spacing[2], g.spacing[0])
    return Volume(array, Geometry(array.shape[::-1], spacing, tuple(corner), direction), "permuted", volume.modality)


def rotated(volume: Volume, degrees: float) -> Volume:
    """Return the image resampled to an oblique grid that covers it."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    tilt = np.array([[1, 0, 0], [0, np.cos(0.1), -np.sin(0.1)], [0, np.sin(0.1), np.cos(0.1)]])
    direction = turn @ tilt
    corners = (volume.geometry.corners - volume.geometry.centre) @ direction
    size = np.ceil(np.ptp(corners, axis=0) / 3).astype(int) + 1
    origin = volume.geometry.centre + direction @ corners.min(0)
    return volume.resampled(Geometry(tuple(size), (3.0,) * 3, tuple(origin), direction))


def test_axis_order_and_flips_do_not_matter(known_pair, matches):
    other = ScanPair(with_permuted_axes(known_pair.baseline), with_permuted_axes(known_pair.followup), cache=False)
    for lesion, match in zip(known_pair.lesions[:3], matches, strict=False):
        assert miss(SelfSimilarity().match(other, *lesion), match.position) < 0.5


def test_an_oblique_copy_gives_the_same_match(known_pair, matches):
    other = ScanPair(known_pair.baseline, rotated(known_pair.followup, 20), cache=False)
    distances = [
        miss(match, SelfSimilarity().match(other, *lesion).position)
        for lesion, match in zip(known_pair.lesions[::2], matches[::2], strict=True)
    ]
    assert np.median(distances) < 0.5


def test_a_position_outside_the_followup_is_not_found(known_pair):
    top = known_pair.followup.geometry.size[2]
    lower = known_pair.followup.cropped((0, 0, 0), (*known_pair.followup.geometry.size[:2], top // 2))
    pair = ScanPair(known_pair.baseline, lower, known_pair.pair.registration())
    centre, radius = max(known_pair.lesions, key=lambda lesion: lesion[0][2])
    match = SelfSimilarity().match(pair, centre, radius)
    assert not match.found
    assert "outside the follow-up" in match.reason
    assert match.observation().state is State.NOT_FOUND


def test_erased_tissue_is_not_found(known_pair):
    rng = np.random.default_rng(3)
    erased = known_pair.followup.array.copy()
    centre, radius = known_pair.lesions[0]
    i, j, k = np.round(known_pair.followup.geometry.to_ijk(known_pair.truth(centre))).astype(int)
    block = (slice(max(0, k - 9), k + 10), slice(max(0, j - 22), j + 23), slice(max(0, i - 22), i + 23))
    erased[block] = rng.normal(40, 60, erased[block].shape)
    followup = Volume(erased, known_pair.followup.geometry, "erased", "CT")
    match = SelfSimilarity().match(
        ScanPair(known_pair.baseline, followup, known_pair.pair.registration()), centre, radius
    )
    assert not match.found
    assert "may be gone" in match.reason


@pytest.mark.parametrize("name", METHODS[:3])
def test_a_click_outside_the_baseline_is_refused(known_pair, name):
    with pytest.raises(InputError, match="lies outside phantom"):
        tracker(name).match(known_pair.pair, (5000, 0, 0))
    with pytest.raises(InputError, match="three finite numbers"):
        tracker(name).match(known_pair.pair, (np.nan, 0, 0))


def test_an_unknown_method_is_refused_and_the_known_ones_are_listed():
    with pytest.raises(InputError, match="ensemble, selfsim, affine, bspline"):
        tracker("magic")


@pytest.mark.parametrize("radius", [0.5, 3, 7.7, 11.3, 17.9, 22.4, 60])
def test_lesions_of_any_size_are_matched_at_their_position(known_pair, radius):
    centre = known_pair.lesions[2][0]
    match = SelfSimilarity().match(known_pair.pair, centre, radius)
    assert miss(match, known_pair.truth(centre)) < 3.0


def test_progress_increases_up_to_the_search(known_pair):
    fractions = []
    SelfSimilarity().match(known_pair.pair, known_pair.lesions[0][0], progress=lambda f, _text: fractions.append(f))
    assert fractions == sorted(fractions)
    assert len(fractions) >= 3


def test_descriptors_do_not_depend_on_contrast():
    image = torch.rand(12, 12, 12, generator=torch.Generator().manual_seed(0))
    assert mind_ssc(image).shape == (12, 12 - 2 * MARGIN, 12 - 2 * MARGIN, 12 - 2 * MARGIN)
    assert torch.allclose(mind_ssc(image), mind_ssc(3 - 2 * image), atol=1e-4)


def test_descriptor_of_one_voxel_by_hand():
    image = torch.rand(5, 5, 5, generator=torch.Generator().manual_seed(1)).double()
    steps = [(-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1)]
    distances = []
    for a in range(6):
        for b in range(a + 1, 6):
            if sum((x - y) ** 2 for x, y in zip(steps[a], steps[b], strict=True)) == 2:
                patches = [image[1 + z : 4 + z, 1 + y : 4 + y, 1 + x : 4 + x] for z, y, x in (steps[a], steps[b])]
                distances.append(((patches[0] - patches[1]) ** 2).mean())
    distances = torch.stack(distances) - min(distances)
    assert torch.allclose(mind_ssc(image)[:, 0, 0, 0], torch.exp(-distances / distances.mean()), atol=1e-6)


def test_search_by_fourier_is_the_sum_written_out():
    rng = torch.Generator().manual_seed(2)
    template, searched = torch.rand(3, 3, 3, 3, generator=rng), torch.rand(3, 6, 6, 6, generator=rng)
    weight, scanned = gaussian_weight(1, 1.0), (torch.rand(6, 6, 6, generator=rng) > 0.2).float()
    cost = search(template, weight, searched, scanned)
    for z, y, x in ((0, 0, 0), (1, 2, 3), (3, 3, 3)):
        block = (slice(z, z + 3), slice(y, y + 3), slice(x, x + 3))
        used = weight * scanned[block]
        expected = (used * (template - searched[(slice(None), *block)]) ** 2).sum() / (3 * used.sum())
        assert cost[z, y, x] == pytest.approx(float(expected), abs=1e-5)
    assert torch.isinf(search(template, weight, searched, torch.zeros(6, 6, 6))).all()


def test_a_parabola_gives_its_own_minimum():
    z, y, x = np.indices((5, 5, 5), float)
    cost = (z - 2.3) ** 2 + 2 * (y - 1.9) ** 2 + (x - 2.0) ** 2
    assert np.allclose(subvoxel(cost, (2, 2, 2)), (0.3, -0.1, 0.0))

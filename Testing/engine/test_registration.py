"""Registration finds a known motion, maps both ways, is stored on disk, and refuses what it cannot align."""

from dataclasses import replace

import numpy as np
import pytest

from oncotrack.errors import Cancelled, RegistrationError
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.registration.cache_files import cache_folder
from oncotrack.registration.register import register
from oncotrack.registration.registration import Registration


def moved(volume: Volume, by) -> Volume:
    return replace(volume, geometry=replace(volume.geometry, origin=tuple(np.add(volume.origin, by))))


def mean_error(registration, known):
    points = np.array([centre for centre, _ in known.lesions])
    return np.linalg.norm(registration.to_followup(points) - known.motion.to_followup(points), axis=1).mean()


def test_affine_aligns_the_scans(known_pair):
    by = np.array([30.0, -20.0, 45.0])
    registration = register(known_pair.baseline, moved(known_pair.followup, by), cache=False)
    points = np.array([centre for centre, _ in known_pair.lesions])
    truths = known_pair.motion.to_followup(points) + by
    assert np.linalg.norm(registration.to_followup(points) - truths, axis=1).mean() < 6
    assert registration.similarity > 0.8
    assert registration.overlap > 0.8


def test_another_scanner_frame_and_a_small_field_of_view(known_pair):
    by = np.array([150.0, -90.0, 1200.0])
    size = np.array(known_pair.followup.geometry.size)
    part = moved(known_pair.followup.cropped((0, 0, size[2] // 5), (size[0], size[1], 4 * size[2] // 5)), by)
    points = np.array([centre for centre, _ in known_pair.lesions])
    registration = register(known_pair.baseline, part, cache=False)
    errors = np.linalg.norm(registration.to_followup(points) - by - known_pair.motion.to_followup(points), axis=1)
    assert np.median(errors) < 12


def central_part(volume: Volume, margin: float) -> Volume:
    """Return the volume without this share of its voxels at both ends of every axis."""
    size = np.array(volume.geometry.size)
    return volume.cropped(tuple((size * margin).astype(int)), tuple((size * (1 - margin)).astype(int)))


@pytest.mark.slow
def test_bspline_is_more_accurate_and_its_inverse_is_consistent(known_pair, monkeypatch):
    monkeypatch.setattr("oncotrack.registration.alignment.BSPLINE_ITERATIONS", 12)  # enough for a part of the body
    middle, around = central_part(known_pair.baseline, 0.3), central_part(known_pair.followup, 0.2)
    registration = register(middle, around, bspline=True)
    points = middle.geometry.to_ras(np.random.default_rng(0).uniform(0.3, 0.7, (20, 3)) * middle.geometry.size)
    truths = known_pair.motion.to_followup(points)
    affine = replace(registration, field=None, field_geometry=None)
    near, far = (np.linalg.norm(each.to_followup(points) - truths, axis=1).mean() for each in (registration, affine))
    assert near < 0.5 * far
    assert np.allclose(registration.to_baseline(registration.to_followup(points)), points, atol=0.05)
    again = register(middle, around, bspline=True, progress=refuse)
    assert np.allclose(again.to_followup(points), registration.to_followup(points), atol=1e-3)


def refuse(_fraction, _text):
    raise AssertionError("this should have come from the cache")


def test_the_result_is_stored_by_content_and_computed_again_when_damaged(known_pair):
    first = register(known_pair.baseline, known_pair.followup)
    copy = Volume(known_pair.baseline.array.copy(), known_pair.baseline.geometry, "renamed")
    assert np.allclose(register(copy, known_pair.followup, progress=refuse).affine, first.affine)
    for file in cache_folder().glob("affine*.json"):
        file.write_text("{broken")
    assert np.allclose(register(copy, known_pair.followup).affine, first.affine)


def test_a_point_is_mapped_forward_and_back():
    rng = np.random.default_rng(0)
    affine = np.eye(4)
    affine[:3, :3] += rng.normal(0, 0.05, (3, 3))
    affine[:3, 3] = (5, -3, 12)
    grid = Geometry((9, 9, 9), (20, 20, 20), (-80, -80, -80))
    registration = Registration(affine, field=rng.normal(0, 1, (9, 9, 9, 3)), field_geometry=grid)
    points = rng.uniform(-60, 60, (20, 3))
    assert np.allclose(registration.to_baseline(registration.to_followup(points)), points, atol=0.01)
    assert np.allclose(registration.inverse().to_followup(points), registration.to_baseline(points))
    assert registration.scale == pytest.approx(np.cbrt(np.linalg.det(affine[:3, :3])))
    assert registration.inverse().scale == pytest.approx(1 / registration.scale)


def test_scans_that_do_not_overlap_are_refused(known_pair):
    noise = np.random.default_rng(0).integers(-1000, 400, known_pair.baseline.array.shape).astype(np.int16)
    with pytest.raises(RegistrationError, match="do not overlap or do not show the same body region"):
        register(known_pair.baseline, Volume(noise, known_pair.baseline.geometry, "noise", "CT"), cache=False)


def test_two_modalities_are_refused(known_pair):
    mr = Volume(np.abs(known_pair.baseline.array), known_pair.baseline.geometry, "T2", "MR")
    with pytest.raises(RegistrationError, match="is CT and T2 is MR"):
        register(known_pair.baseline, mr, cache=False)


def test_cancelling_leaves_nothing_behind(known_pair):
    before = set(cache_folder().iterdir())
    other = Volume(known_pair.followup.array + 1, known_pair.followup.geometry, "other", "CT")

    def stop(fraction, _text):
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        register(known_pair.baseline, other, progress=stop)
    assert set(cache_folder().iterdir()) == before

"""The steps of a registration: resampled copies, starting translations, the affine and the B-spline, and their quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from oncotrack.background.jobs import Progress
from oncotrack.errors import RegistrationError
from oncotrack.images.volume import Volume
from oncotrack.registration import elastix
from oncotrack.registration.registration import Registration

AFFINE_SPACING_MM = 4.0
"""Voxel size of the copies on which the affine is computed."""
BSPLINE_SPACING_MM = 2.0
"""Voxel size of the copies on which a deformable registration is computed."""
BSPLINE_ITERATIONS = 500
"""On each of four resolutions."""
MINIMUM_SIMILARITY = 0.6
"""Registrations with a lower similarity are rejected. Measured: two scans of one patient 0.91 to 0.93 (lung CT, abdominal
T2); other body regions of other patients 0.2 to 0.8, median 0.54. It detects gross failure; it cannot distinguish two
patients."""
MINIMUM_OVERLAP = 0.1
_START_SPACING_MM = 8.0
_SCALES = (0.7, 1.4)
_BODY = 0.35  # windowed CT: -500 HU; windowed MR: above the dark background
_SCANNED = -0.5  # windowed copies are -1 outside the image


def windowed_copy(volume: Volume, spacing_mm: float = AFFINE_SPACING_MM) -> Volume:
    """Return a RAS-aligned copy with intensities from 0 (air) to 1, and -1 outside the image.

    Parameters
    ----------
    volume : Volume
        CT or MR, any orientation.
    spacing_mm : float
        Voxel size of the copy.
    """
    low, high = _window(volume)
    span = high - low
    coarse = volume.resampled(volume.geometry.ras_aligned(spacing_mm), fill=low - span)
    scaled = (coarse.array - low) / span
    return replace(coarse, array=np.where(scaled < -0.75, -1.0, np.clip(scaled, 0, 1)).astype(np.float32))


def similarity(fixed: Volume, moving: Volume, affine: np.ndarray) -> tuple[float, float]:
    """Compute how well two scans are aligned.

    Parameters
    ----------
    fixed, moving : Volume
        See `windowed_copy`.
    affine : (4, 4) ndarray
        Fixed RAS to moving RAS.

    Returns
    -------
    correlation : float
        Pearson's, over the voxels that both images cover, -1 to 1.
    overlap : float
        Body voxels in both scans, divided by those of the scan with fewer, 0 to 1.
    """
    warped = moving.resampled(fixed.geometry, affine, fill=-1.0).array
    both = (warped > _SCANNED) & (fixed.array > _SCANNED)
    smaller = min(_body_mm3(fixed), _body_mm3(moving) / abs(np.linalg.det(affine[:3, :3])))
    shared = float((both & (fixed.array > _BODY)).sum()) * fixed.geometry.voxel_mm3
    if both.sum() < 50 or smaller == 0:
        return -1.0, 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = float(np.corrcoef(fixed.array[both], warped[both])[0, 1])
    return (correlation if np.isfinite(correlation) else -1.0), min(1.0, shared / smaller)


def starting_translations(fixed: Volume, moving: Volume) -> list[np.ndarray]:
    """Return translations to start from, (3,) mm from fixed RAS to moving RAS each, best first.

    Candidates are none (same scanner frame), the one between the centres, and the peak of the masked normalised
    cross-correlation, which finds a small field of view inside a large one.

    Parameters
    ----------
    fixed, moving : Volume
        See `windowed_copy`.

    References
    ----------
    Padfield, Masked object registration in the Fourier domain, IEEE TIP 2012.
    """
    from skimage.registration import phase_cross_correlation

    a, b = (v.resampled(v.geometry.ras_aligned(_START_SPACING_MM), fill=-1.0) for v in (fixed, moving))
    shift, *_ = phase_cross_correlation(
        np.maximum(a.array, 0),
        np.maximum(b.array, 0),
        reference_mask=a.array > _SCANNED,
        moving_mask=b.array > _SCANNED,
        overlap_ratio=0.25,
    )
    # voxel n of `moving` corresponds to voxel n + shift of `fixed`
    correlated = np.asarray(b.origin) - np.asarray(a.origin) - np.asarray(shift)[::-1] * _START_SPACING_MM
    candidates = [np.zeros(3), b.geometry.centre - a.geometry.centre, correlated]
    return sorted(candidates, key=lambda translation: _start_quality(a, b, translation), reverse=True)


def best_affine(fixed: Volume, moving: Volume, starts: Sequence[np.ndarray], names: str) -> Registration:
    """Return the affine registration of the first start that leads to a plausible alignment.

    Parameters
    ----------
    fixed, moving : Volume
        See `windowed_copy`.
    starts : sequence of (3,) ndarray
        See `starting_translations`.
    names : str
        Of both scans, for the message.

    Raises
    ------
    RegistrationError
        No start leads to a plausible alignment.
    """
    for start in starts:
        try:
            affine = _affine(fixed, moving, start)
        except RegistrationError:
            continue
        if not _SCALES[0] ** 3 < np.linalg.det(affine[:3, :3]) < _SCALES[1] ** 3:
            continue
        registration = Registration(affine, *similarity(fixed, moving, affine))
        if registration.similarity >= MINIMUM_SIMILARITY and registration.overlap >= MINIMUM_OVERLAP:
            return registration
    raise RegistrationError(
        f"{names} could not be aligned: they do not overlap or do not show the same body region. "
        "Check that both are scans of the same patient and region."
    )


def with_bspline(fixed: Volume, moving: Volume, registration: Registration, progress: Progress) -> Registration:
    """Return an affine registration with the displacement field of a B-spline added.

    Parameters
    ----------
    fixed, moving : Volume
        See `windowed_copy`.
    registration : Registration
        The affine that the B-spline starts from.
    progress : Progress
        Called at the end; may raise `Cancelled`.

    Raises
    ------
    RegistrationError
        elastix failed.
    """
    warped = moving.resampled(fixed.geometry, registration.affine, fill=-1.0)
    parameters = elastix.defaults("bspline", resolutions=4) | {
        "Metric": ["AdvancedMattesMutualInformation", "TransformBendingEnergyPenalty"],
        "Metric1Weight": ["0.05"],
        "FinalGridSpacingInPhysicalUnits": ["16.0"],
        "GridSpacingSchedule": ["8.0", "4.0", "2.0", "1.0"],
        "MaximumNumberOfIterations": [str(BSPLINE_ITERATIONS)],
        "NumberOfSpatialSamples": ["4096"],
        "WriteResultImage": ["false"],
    }
    masks = fixed.array > _SCANNED, warped.array > _SCANNED
    displacement = elastix.bspline_displacement(elastix.run(fixed, warped, parameters, masks), fixed)
    progress(0.95, "B-spline registration")
    field = displacement @ registration.affine[:3, :3].T.astype(np.float32)
    return replace(registration, field=field, field_geometry=fixed.geometry)


def _start_quality(fixed: Volume, moving: Volume, translation: np.ndarray) -> float:
    matrix = np.eye(4)
    matrix[:3, 3] = translation
    correlation, overlap = similarity(fixed, moving, matrix)
    return (1 + correlation) * min(1.0, overlap / 0.5)


def _window(volume: Volume) -> tuple[float, float]:
    if volume.is_ct:
        return -1000.0, 400.0
    low, high = np.percentile(volume.array[:: max(1, volume.array.shape[0] // 32), ::2, ::2], (1, 99))
    return float(low), float(max(high, low + 1e-3))


def _body_mm3(volume: Volume) -> float:
    return float((volume.array > _BODY).sum()) * volume.geometry.voxel_mm3


def _affine(fixed: Volume, moving: Volume, start: np.ndarray) -> np.ndarray:
    parameters = elastix.defaults("affine", resolutions=3) | {
        "Metric": ["AdvancedNormalizedCorrelation"],
        "MaximumNumberOfIterations": ["200"],
        "NumberOfSpatialSamples": ["4096"],
        "WriteResultImage": ["false"],
    }
    masks = fixed.array > _SCANNED, moving.array > _SCANNED
    origin = tuple(np.asarray(moving.origin) - start)
    shifted = replace(moving, geometry=replace(moving.geometry, origin=origin))
    needed = None if all(mask.all() for mask in masks) else masks
    affine = elastix.affine_matrix(elastix.run(fixed, shifted, parameters, needed))
    affine[:3, 3] += start
    return affine

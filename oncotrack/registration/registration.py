"""Two scans of one patient brought into correspondence: affine by elastix, B-spline on request.

Everything runs on RAS-aligned copies of a few millimetres, so that the answer does not depend on how a scan is
stored (axis order, oblique direction), and is kept on disk by the content of both images.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from oncotrack.atomic import replacing, write_text
from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import OncoTrackError, RegistrationError
from oncotrack.images.geometry import Geometry, transform_points
from oncotrack.images.volume import Volume

_log = logging.getLogger(__name__)

SPACING_MM = 4.0
BENDING_SPACING_MM = 2.0
"""Of the copies on which a registration that bends the scan runs."""
_COARSE_MM = 8.0
_CACHE_VERSION = 2
MINIMUM_SIMILARITY = 0.6
"""Refused below. Measured: two scans of one patient 0.91 to 0.93 (lung CT, abdominal T2); other body regions of other
patients 0.2 to 0.8, median 0.54. It catches gross failure; it cannot tell two patients apart."""
MINIMUM_OVERLAP = 0.1
_SCALES = (0.7, 1.4)


@dataclass(frozen=True, eq=False)
class Registration:
    """Maps points between a baseline and a follow-up (RAS mm), both ways.

    A baseline point x lies at ``affine(x) + u(x)`` in the follow-up.

    Parameters
    ----------
    affine : (4, 4) ndarray
        Baseline RAS to follow-up RAS.
    similarity : float
        Correlation of the two scans inside the body after alignment, -1 to 1.
    overlap : float
        Part of the smaller scan's body that both scans show, 0 to 1.
    field : (D, H, W, 3) ndarray, optional
        u on `field_geometry` (baseline space), mm; zero for an affine registration.
    field_geometry : Geometry, optional
    is_inverse : bool
        The registration read backwards (follow-up first).
    """

    affine: np.ndarray
    similarity: float = 1.0
    overlap: float = 1.0
    field: np.ndarray | None = None
    field_geometry: Geometry | None = None
    is_inverse: bool = False

    def to_followup(self, points) -> np.ndarray:
        """Follow-up RAS of (..., 3) baseline RAS points."""
        return self._backward(points) if self.is_inverse else self._forward(points)

    def to_baseline(self, points) -> np.ndarray:
        """Baseline RAS of (..., 3) follow-up RAS points."""
        return self._forward(points) if self.is_inverse else self._backward(points)

    def inverse(self) -> Registration:
        """The same registration with baseline and follow-up exchanged."""
        return replace(self, is_inverse=not self.is_inverse)

    @property
    def matrix(self) -> np.ndarray:
        """(4, 4) affine part in the direction of `to_followup`."""
        return np.linalg.inv(self.affine) if self.is_inverse else self.affine

    @property
    def scale(self) -> float:
        """How much a length grows on the way to the follow-up: the cube root of the affine's determinant."""
        return float(np.cbrt(abs(np.linalg.det(self.matrix[:3, :3]))))

    def _forward(self, points) -> np.ndarray:
        return transform_points(self.affine, points) + self._u(points)

    def _backward(self, points) -> np.ndarray:
        inverse = np.linalg.inv(self.affine)
        points = np.asarray(points, float)
        found = transform_points(inverse, points)
        if self.field is not None:
            for _ in range(30):  # fixed point of x = A^-1 (y - u(x))
                found, last = transform_points(inverse, points - self._u(found)), found
                if np.abs(found - last).max(initial=0.0) < 1e-3:
                    break
        return found

    def _u(self, points) -> np.ndarray | float:
        if self.field is None:
            return 0.0
        from scipy.ndimage import map_coordinates

        points = np.asarray(points, float)
        kji = self.field_geometry.to_ijk(points).reshape(-1, 3)[:, ::-1].T
        parts = [map_coordinates(self.field[..., a], kji, order=1, mode="nearest") for a in range(3)]
        return np.stack(parts, -1).reshape(points.shape)


def register(
    baseline: Volume, followup: Volume, *, bspline: bool = False, progress: Progress = silent, cache: bool = True
) -> Registration:
    """Register a follow-up to its baseline.

    Parameters
    ----------
    baseline, followup : Volume
        Any spacing, orientation and field of view; CT or MR, both of one kind.
    bspline : bool
        Follow the affine by a B-spline of 16 mm control points on copies of 2 mm (some forty times slower).
    progress : Progress
        Told between the stages; may raise `Cancelled`.
    cache : bool
        Look up and store the answer under the content of both images (`cache_folder`).

    Raises
    ------
    RegistrationError
        The scans do not overlap or do not look like the same body region.

    References
    ----------
    Klein et al., elastix, IEEE TMI 2010. DLT equation 1 (affine as anatomy prior).
    """
    path = cache_folder() / f"{_key(baseline, followup, bspline)}.json"
    if cache and (stored := _stored(path)) is not None:
        return stored
    if baseline.is_ct != followup.is_ct:
        kinds = [v.modality or ("CT" if v.is_ct else "not CT") for v in (baseline, followup)]
        raise RegistrationError(
            f"{baseline.name} is {kinds[0]} and {followup.name} is {kinds[1]}. "
            "Follow-up compares scans of one modality; choose two CTs or two MRs."
        )
    progress(0.05, "Preparing both scans")
    fixed, moving = windowed_copy(baseline), windowed_copy(followup)
    progress(0.2, "Rough alignment")
    starts = _starts(fixed, moving)
    progress(0.35, "Affine registration")
    registration = _best_affine(fixed, moving, starts, f"{baseline.name} and {followup.name}")
    if bspline:
        progress(0.5, "B-spline registration")
        fixed, moving = (windowed_copy(scan, BENDING_SPACING_MM) for scan in (baseline, followup))
        registration = _with_bspline(fixed, moving, registration, progress)
    if cache:
        _store(path, registration)
    progress(1.0, "Registered")
    return registration


def similarity(fixed: Volume, moving: Volume, affine: np.ndarray) -> tuple[float, float]:
    """How well two scans lie on each other: correlation inside the body, and the part of the body both show.

    Parameters
    ----------
    fixed, moving : Volume
        Windowed copies (see `register`): 0 is air, 1 is bright.
    affine : (4, 4) ndarray
        Fixed RAS to moving RAS.

    Returns
    -------
    correlation : float
        Pearson's, over the voxels where both images exist and either shows body.
    overlap : float
        Body voxels seen by both, over the body voxels of the scan that has fewer.
    """
    warped = moving.resampled(fixed.geometry, affine, fill=-1.0).array
    both = (warped > -0.5) & (fixed.array > -0.5)
    smaller = min(_body_mm3(fixed), _body_mm3(moving) / abs(np.linalg.det(affine[:3, :3])))
    shared = float((both & (fixed.array > _BODY)).sum()) * float(np.prod(fixed.spacing))
    if both.sum() < 50 or smaller == 0:
        return -1.0, 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = float(np.corrcoef(fixed.array[both], warped[both])[0, 1])
    return (correlation if np.isfinite(correlation) else -1.0), min(1.0, shared / smaller)


_BODY = 0.35  # windowed CT: -500 HU; windowed MR: above the dark background
_BSPLINE_STEPS = 500  # on each of four resolutions


def _window(volume: Volume) -> tuple[float, float]:
    if volume.is_ct:
        return -1000.0, 400.0
    low, high = np.percentile(volume.array[:: max(1, volume.array.shape[0] // 32), ::2, ::2], (1, 99))
    return float(low), float(max(high, low + 1e-3))


def windowed_copy(volume: Volume, spacing_mm: float = SPACING_MM) -> Volume:
    """RAS-aligned copy with intensities from 0 (air) to 1; outside the image -1 marks what was not scanned."""
    low, high = _window(volume)
    span = high - low
    coarse = volume.resampled(volume.geometry.ras_aligned(spacing_mm), fill=low - span)
    scaled = (coarse.array - low) / span
    return replace(coarse, array=np.where(scaled < -0.75, -1.0, np.clip(scaled, 0, 1)).astype(np.float32))


def _body_mm3(volume: Volume) -> float:
    return float((volume.array > _BODY).sum()) * float(np.prod(volume.spacing))


def _starts(fixed: Volume, moving: Volume) -> list[np.ndarray]:
    """Starting translations (mm, fixed RAS to moving RAS), best first.

    Candidates: none (same scanner frame), equal centres, and the peak of the masked normalised cross-correlation
    (Padfield, IEEE TIP 2012), which finds a small field of view inside a large one.
    """
    from skimage.registration import phase_cross_correlation

    a, b = (v.resampled(v.geometry.ras_aligned(_COARSE_MM), fill=-1.0) for v in (fixed, moving))
    shift, *_ = phase_cross_correlation(
        np.maximum(a.array, 0),
        np.maximum(b.array, 0),
        reference_mask=a.array > -0.5,
        moving_mask=b.array > -0.5,
        overlap_ratio=0.25,
    )
    # voxel n of `moving` lies on voxel n + shift of `fixed`
    correlated = np.asarray(b.origin) - np.asarray(a.origin) - np.asarray(shift)[::-1] * _COARSE_MM
    candidates = [np.zeros(3), b.geometry.centre - a.geometry.centre, correlated]

    def worth(translation: np.ndarray) -> float:
        matrix = np.eye(4)
        matrix[:3, 3] = translation
        correlation, overlap = similarity(a, b, matrix)
        return (1 + correlation) * min(1.0, overlap / 0.5)

    return sorted(candidates, key=worth, reverse=True)


def _best_affine(fixed: Volume, moving: Volume, starts: Sequence[np.ndarray], names: str) -> Registration:
    """The affine of the first start that leads to a plausible alignment."""
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
        f"{names} could not be brought into correspondence: they do not overlap or do not show the same body region. "
        "Check that both are scans of the same patient and region."
    )


def _affine(fixed: Volume, moving: Volume, start: np.ndarray) -> np.ndarray:
    from oncotrack.registration import elastix

    parameters = elastix.defaults("affine", resolutions=3) | {
        "Metric": ["AdvancedNormalizedCorrelation"],
        "MaximumNumberOfIterations": ["200"],
        "NumberOfSpatialSamples": ["4096"],
        "WriteResultImage": ["false"],
    }
    masks = fixed.array > -0.5, moving.array > -0.5
    origin = tuple(np.asarray(moving.origin) - start)
    shifted = replace(moving, geometry=replace(moving.geometry, origin=origin))
    needed = None if all(mask.all() for mask in masks) else masks
    affine = elastix.affine_matrix(elastix.run(fixed, shifted, parameters, needed))
    affine[:3, 3] += start
    return affine


def _with_bspline(fixed: Volume, moving: Volume, registration: Registration, progress: Progress) -> Registration:
    from oncotrack.registration import elastix

    warped = moving.resampled(fixed.geometry, registration.affine, fill=-1.0)
    parameters = elastix.defaults("bspline", resolutions=4) | {
        "Metric": ["AdvancedMattesMutualInformation", "TransformBendingEnergyPenalty"],
        "Metric1Weight": ["0.05"],
        "FinalGridSpacingInPhysicalUnits": ["16.0"],
        "GridSpacingSchedule": ["8.0", "4.0", "2.0", "1.0"],
        "MaximumNumberOfIterations": [str(_BSPLINE_STEPS)],
        "NumberOfSpatialSamples": ["4096"],
        "WriteResultImage": ["false"],
    }
    masks = fixed.array > -0.5, warped.array > -0.5
    displacement = elastix.bspline_displacement(elastix.run(fixed, warped, parameters, masks), fixed)
    progress(0.95, "B-spline registration")
    field = displacement @ registration.affine[:3, :3].T.astype(np.float32)
    return replace(registration, field=field, field_geometry=fixed.geometry)


def cache_folder() -> Path:
    """Where registrations are kept: ``ONCOTRACK_CACHE``, else the user's cache folder."""
    if folder := os.environ.get("ONCOTRACK_CACHE"):
        return Path(folder)
    from pooch import os_cache

    return os_cache("oncotrack") / "registrations"


def _key(baseline: Volume, followup: Volume, bspline: bool) -> str:
    kind = "bspline" if bspline else "affine"
    return f"{kind}-{_CACHE_VERSION}-{baseline.fingerprint}-{followup.fingerprint}"


def _stored(path: Path) -> Registration | None:
    try:
        stored = json.loads(path.read_text())
        registration = Registration(np.array(stored["affine"], float), stored["similarity"], stored["overlap"])
        if registration.affine.shape != (4, 4):
            return None
        if "grid" not in stored:
            return registration
        with np.load(path.with_suffix(".npz")) as arrays:
            field = arrays["field"]
        geometry = Geometry.from_matrix(field.shape[2::-1], np.array(stored["grid"], float))
        return replace(registration, field=field, field_geometry=geometry)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent or damaged: register again


def _store(path: Path, registration: Registration) -> None:
    content: dict[str, Any] = {
        "affine": registration.affine.tolist(),
        "similarity": registration.similarity,
        "overlap": registration.overlap,
    }
    try:
        if registration.field is not None:
            content["grid"] = registration.field_geometry.ijk_to_ras.tolist()
            with replacing(path.with_suffix(".npz")) as temporary:
                np.savez_compressed(temporary, field=registration.field)
        write_text(path, json.dumps(content))
    except OncoTrackError:
        _log.warning("The registration could not be kept in %s; it will be computed again next time.", path.parent)

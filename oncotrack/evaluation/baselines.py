"""Baseline lesion trackers for comparison; they are not offered to users."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import MissingPackageError, RegistrationError
from oncotrack.findings.finding import point
from oncotrack.followup.methods import RegistrationTracker
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, OUTSIDE, Match, ScanPair, Tracker
from oncotrack.registration.alignment import BSPLINE_SPACING_MM, windowed_copy
from oncotrack.registration.registration import Registration

_LEAST_VOXELS = 24
"""Fewest voxels along an axis: convexAdam needs four cells of its coarse grid."""


class CentreCopy:
    """Returns the clicked position itself, in scanner coordinates."""

    name = "copy"

    def match(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Match:
        """Return the same RAS position (mm) in the follow-up."""
        position = point(pair.check_click(at))
        inside = bool(pair.followup.geometry.contains(position))
        return Match(inside, position, position, radius_mm, 0.0, None, (), "" if inside else OUTSIDE, self.name)


class ConvexAdam(RegistrationTracker):
    """Registers with elastix (affine), then with the library convexAdam in its default settings.

    It runs on the CPU, on copies of 2 mm, as the B-spline registration does; displacements reach 48 mm.

    References
    ----------
    Siebert et al., ConvexAdam: Self-configuring dual-optimization-based 3D multitask medical image registration,
    IEEE TMI 2024.
    """

    def __init__(self) -> None:
        self.name = "convexadam"
        self._displacements = _library()

    def registration(self, pair: ScanPair, progress: Progress = silent) -> Registration:
        """Return the affine registration with a displacement field.

        Raises
        ------
        RegistrationError
            A scan is too thin for it, or affine registration fails.
        """
        return pair.cached(self.name, lambda: self._add_displacements(pair, pair.registration(progress)))

    def _add_displacements(self, pair: ScanPair, registration: Registration) -> Registration:
        """Add a displacement field to the affine registration."""
        fixed, moving = (windowed_copy(scan, BSPLINE_SPACING_MM) for scan in (pair.baseline, pair.followup))
        if min(fixed.array.shape) < _LEAST_VOXELS:
            raise RegistrationError(
                f"{pair.baseline.name} is too thin for convexAdam, which needs {_LEAST_VOXELS * BSPLINE_SPACING_MM:g} mm. "
                "Use another method."
            )
        warped = moving.resampled(fixed.geometry, registration.affine, fill=-1.0)
        voxels = self._displacements(*(np.maximum(copy.array, 0) for copy in (fixed, warped)))
        shift = np.asarray(voxels)[..., ::-1] * fixed.spacing @ np.asarray(fixed.direction).T
        field = (shift @ registration.affine[:3, :3].T).astype(np.float32)
        return replace(registration, field=field, field_geometry=fixed.geometry)


BASELINES: dict[str, Callable[[], Tracker]] = {"copy": CentreCopy, "convexadam": ConvexAdam}
"""By name, in addition to the trackers of `oncotrack.followup.methods`."""


def _library() -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return convexAdam as a function of two (D, H, W) images of one grid: (D, H, W, 3) displacements, voxels z, y, x."""
    import torch

    try:
        with warnings.catch_warnings():  # importing the library changes the warning filters
            from convexAdam.convex_adam_MIND import (  # pyright: ignore[reportMissingImports]
                convex_adam_pt,
            )
    except ImportError as error:
        raise MissingPackageError(
            'This comparison needs the package convexAdam: pip install "oncotrack[compare]".'
        ) from error

    def displacements(fixed: np.ndarray, moving: np.ndarray) -> np.ndarray:
        with warnings.catch_warnings():  # it does not set align_corners, about which torch warns
            warnings.simplefilter("ignore", UserWarning)
            return convex_adam_pt(fixed, moving, dtype=torch.float32, device=torch.device("cpu"))

    return displacements

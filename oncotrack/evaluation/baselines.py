"""What a lesion tracker must beat and nobody would choose: no trackers of the product, only of its measurements."""

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
"""Fewer along an axis hold fewer than four of convexAdam's cells."""


class CentreCopy:
    """Takes the clicked place over as it is, in the scanner's coordinates."""

    name = "copy"

    def match(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Match:
        """The same RAS place (mm) in the follow-up."""
        place = point(pair.check_click(at))
        inside = bool(pair.followup.geometry.contains(place))
        return Match(inside, place, place, radius_mm, 0.0, None, (), "" if inside else OUTSIDE, self.name)


class ConvexAdam(RegistrationTracker):
    """Takes the place to which elastix affine and then the library convexAdam with its own settings lead.

    It runs on the CPU, on copies of 2 mm, as the B-spline does; its displacements reach 48 mm.

    References
    ----------
    Siebert et al., ConvexAdam: Self-configuring dual-optimization-based 3D multitask medical image registration,
    IEEE TMI 2024.
    """

    def __init__(self) -> None:
        self.name = "convexadam"
        self._displacements = _library()

    def registration(self, pair: ScanPair, progress: Progress = silent) -> Registration:
        """Affine and displacements.

        Raises
        ------
        RegistrationError
            A scan is too thin for it, or affine registration fails.
        """
        return pair.cached(self.name, lambda: self._bent(pair, pair.registration(progress)))

    def _bent(self, pair: ScanPair, registration: Registration) -> Registration:
        fixed, moving = (windowed_copy(scan, BSPLINE_SPACING_MM) for scan in (pair.baseline, pair.followup))
        if min(fixed.array.shape) < _LEAST_VOXELS:
            raise RegistrationError(
                f"{pair.baseline.name} is too thin for convexAdam, which needs {_LEAST_VOXELS * BSPLINE_SPACING_MM:g} mm."
            )
        warped = moving.resampled(fixed.geometry, registration.affine, fill=-1.0)
        voxels = self._displacements(*(np.maximum(copy.array, 0) for copy in (fixed, warped)))
        shift = np.asarray(voxels)[..., ::-1] * fixed.spacing @ np.asarray(fixed.direction).T
        field = (shift @ registration.affine[:3, :3].T).astype(np.float32)
        return replace(registration, field=field, field_geometry=fixed.geometry)


BASELINES: dict[str, Callable[[], Tracker]] = {"copy": CentreCopy, "convexadam": ConvexAdam}
"""By the names that ``oncotrack evaluate follow --method`` takes beside those of the product's trackers."""


def _library() -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Two (D, H, W) images of one grid to (D, H, W, 3) displacements in voxels z, y, x."""
    import torch

    try:
        with warnings.catch_warnings():  # the library silences every warning when it is imported
            from convexAdam.convex_adam_MIND import convex_adam_pt
    except ImportError as error:
        raise MissingPackageError(
            'This comparison needs the package convexAdam: pip install "oncotrack[compare]".'
        ) from error

    def displacements(fixed: np.ndarray, moving: np.ndarray) -> np.ndarray:
        with warnings.catch_warnings():  # it leaves the corners of grids to torch's default
            warnings.simplefilter("ignore", UserWarning)
            return convex_adam_pt(fixed, moving, dtype=torch.float32, device=torch.device("cpu"))

    return displacements

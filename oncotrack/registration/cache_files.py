"""Registrations on disk, identified by the content of both images, so that no pair of scans is registered twice."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from oncotrack.atomic import replacing, write_text
from oncotrack.errors import OncoTrackError
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.registration.registration import Registration

_log = logging.getLogger(__name__)
_VERSION = 2


def cache_folder() -> Path:
    """Return the folder of the stored registrations: ``ONCOTRACK_CACHE``, otherwise the user's cache folder."""
    if folder := os.environ.get("ONCOTRACK_CACHE"):
        return Path(folder)
    from platformdirs import user_cache_path  # pooch brings it, and takes ten times as long to import

    return user_cache_path("oncotrack") / "registrations"


def cache_path(baseline: Volume, followup: Volume, bspline: bool) -> Path:
    """Return the file of the registration of two scans, whether or not it exists.

    Parameters
    ----------
    baseline, followup : Volume
        The scans, identified by their `Volume.fingerprint`.
    bspline : bool
        Whether the affine is followed by a B-spline.
    """
    kind = "bspline" if bspline else "affine"
    return cache_folder() / f"{kind}-{_VERSION}-{baseline.fingerprint}-{followup.fingerprint}.json"


def load(path: Path) -> Registration | None:
    """Read a registration, or return None when the file is missing or damaged.

    Parameters
    ----------
    path : Path
        See `cache_path`.
    """
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
        return None


def save(path: Path, registration: Registration) -> None:
    """Write a registration; log a warning when the folder cannot be written to.

    Parameters
    ----------
    path : Path
        See `cache_path`; the field of a B-spline is written next to it, as .npz.
    registration : Registration
        From baseline to follow-up.
    """
    content: dict[str, Any] = {
        "affine": registration.affine.tolist(),
        "similarity": registration.similarity,
        "overlap": registration.overlap,
    }
    try:
        if registration.field is not None and registration.field_geometry is not None:
            content["grid"] = registration.field_geometry.ijk_to_ras.tolist()
            with replacing(path.with_suffix(".npz")) as temporary:
                np.savez_compressed(temporary, field=registration.field)
        write_text(path, json.dumps(content))
    except OncoTrackError:
        _log.warning("The registration could not be stored in %s; it will be computed again next time.", path.parent)

"""Registration of two scans of one patient: affine by elastix, on request followed by a B-spline."""

from __future__ import annotations

from oncotrack.background.jobs import Progress, silent
from oncotrack.background.work_process import in_work_process
from oncotrack.errors import InputError, RegistrationError
from oncotrack.images import hounsfield
from oncotrack.images.volume import Volume
from oncotrack.registration import alignment, cache_files
from oncotrack.registration.registration import Registration


@in_work_process
def register(
    baseline: Volume, followup: Volume, *, bspline: bool = False, progress: Progress = silent, cache: bool = True
) -> Registration:
    """Register a follow-up to its baseline.

    The registration runs on RAS-aligned copies with voxels of a few millimetres, so that the result does not depend on
    how a scan is stored (order of its axes, oblique orientation).

    Parameters
    ----------
    baseline, followup : Volume
        Any spacing, orientation and field of view; CT or MR, both of one kind.
    bspline : bool
        Follow the affine by a B-spline with control points every 16 mm, on copies with 2 mm voxels (about forty times
        slower).
    progress : Progress
        Called between the stages; may raise `Cancelled`.
    cache : bool
        Look up and store the result in `cache_files.cache_folder`, identified by the content of both images.

    Raises
    ------
    InputError
        A CT whose intensities cannot be Hounsfield units.
    RegistrationError
        The scans are of different modalities, do not overlap, or do not show the same body region.

    References
    ----------
    Klein et al., elastix, IEEE TMI 2010. DLT equation 1 (affine as anatomy prior).
    """
    for scan in (baseline, followup):
        _check_hounsfield_units(scan)
    path = cache_files.cache_path(baseline, followup, bspline)
    if cache and (stored := cache_files.load(path)) is not None:
        return stored
    if baseline.is_ct != followup.is_ct:
        kinds = [scan.modality or ("CT" if scan.is_ct else "not CT") for scan in (baseline, followup)]
        raise RegistrationError(
            f"{baseline.name} is {kinds[0]} and {followup.name} is {kinds[1]}. "
            "Follow-up compares scans of one modality; choose two CTs or two MRs."
        )
    progress(0.05, "Preparing both scans")
    fixed, moving = alignment.windowed_copy(baseline), alignment.windowed_copy(followup)
    progress(0.2, "Rough alignment")
    starts = alignment.starting_translations(fixed, moving)
    progress(0.35, "Affine registration")
    registration = alignment.best_affine(fixed, moving, starts, f"{baseline.name} and {followup.name}")
    if bspline:
        progress(0.5, "B-spline registration")
        fixed, moving = (alignment.windowed_copy(scan, alignment.BSPLINE_SPACING_MM) for scan in (baseline, followup))
        registration = alignment.with_bspline(fixed, moving, registration, progress)
    if cache:
        cache_files.save(path, registration)
    progress(1.0, "Registered")
    return registration


def _check_hounsfield_units(scan: Volume) -> None:
    """Raise InputError for a CT that is none; an image without a modality may also be an MR or a PET."""
    if scan.modality not in ("", "CT"):
        return
    problem = hounsfield.problem(scan.array, scan.spacing, may_be_other=not scan.modality)
    if problem:
        raise InputError(f"{scan.name} {problem}")

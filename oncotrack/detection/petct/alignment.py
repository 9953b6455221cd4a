"""Bringing a PET into the coordinates of a CT that does not share its frame of reference."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import RegistrationError
from oncotrack.images.volume import Volume, to_sitk
from oncotrack.registration.register import register

_COARSE_MM = 8.0
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def align_pet(ct: Volume, pet: Volume, pet_ct: Volume | None = None, progress: Progress = silent) -> tuple[Volume, str]:
    """Return a PET in the coordinates of a CT, and a sentence on what was done.

    Parameters
    ----------
    ct : Volume
        HU.
    pet : Volume
        SUV.
    pet_ct : Volume, optional
        The CT of the PET/CT study, which shares its frame of reference with the PET.
    progress : callable
        Receives the completed fraction (0 to 1) and a message.

    Returns
    -------
    pet : Volume
        The same voxels as before where the frames agree or are unknown, otherwise resampled.
    sentence : str
        For the report.

    Raises
    ------
    RegistrationError
        The scans could not be aligned.
    """
    frames = [scan.metadata.get("frame_of_reference", "") for scan in (ct, pet)]
    if pet_ct is not None:
        registration = register(ct, pet_ct, progress=progress)
        return _moved(pet, ct, registration.affine), (
            f"The PET was aligned by an affine registration of its CT ({pet_ct.name}) with {ct.name}."
        )
    if not all(frames):
        return pet, "The files name no frame of reference; PET and CT are taken as aligned."
    if frames[0] == frames[1]:
        return pet, "PET and CT share a frame of reference."
    progress(0.1, "Aligning PET and CT")
    return _moved(pet, ct, rigid_by_mutual_information(ct, pet)), (
        "PET and CT do not share a frame of reference; the PET itself was aligned by a rigid registration (mutual "
        "information). Check it, or give the CT of the PET/CT."
    )


def rigid_by_mutual_information(fixed: Volume, moving: Volume) -> np.ndarray:
    """Compute the rigid map from one scan to another of a different modality.

    Parameters
    ----------
    fixed, moving : Volume
        Any two scans of one body region.

    Returns
    -------
    (4, 4) ndarray
        RAS of `fixed` to RAS of `moving`.

    Raises
    ------
    RegistrationError
        The registration failed.
    """
    images = []
    for scan in (fixed, moving):
        coarse = scan.resampled(scan.geometry.with_spacing(np.maximum(scan.spacing, _COARSE_MM)))
        images.append(sitk.Cast(to_sitk(coarse), sitk.sitkFloat32))
    start = sitk.CenteredTransformInitializer(
        images[0], images[1], sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.GEOMETRY
    )
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(4.0, 0.05, 80)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(start, inPlace=False)
    try:
        found = method.Execute(*images)
    except RuntimeError as error:
        raise RegistrationError(
            f"{moving.name} could not be aligned with {fixed.name}. Choose scans of the same body region."
        ) from error
    matrix = np.eye(4)
    origin = np.array(found.TransformPoint((0.0, 0.0, 0.0)))
    matrix[:3, :3] = np.stack([np.array(found.TransformPoint(tuple(axis))) - origin for axis in np.eye(3)], 1)
    matrix[:3, 3] = origin
    return _LPS @ matrix @ _LPS


def _moved(pet: Volume, ct: Volume, affine: np.ndarray) -> Volume:
    """Return the PET on the CT's field of view, with voxels of the PET's size."""
    return pet.resampled(ct.geometry.with_spacing(np.maximum(pet.spacing, ct.spacing)), affine, fill=0.0)

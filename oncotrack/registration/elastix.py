"""Calls of itk-elastix.

The classes are imported from their own extension modules: ``import itk`` would first load every wrapped filter of
elastix's dependencies (8 s instead of 1.4 s).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from oncotrack.errors import MissingPackageError, RegistrationError
from oncotrack.images.volume import Volume


def defaults(kind: str, resolutions: int) -> dict[str, list[str]]:
    """Return elastix's default parameter map.

    Parameters
    ----------
    kind : str
        "translation", "rigid", "affine" or "bspline".
    resolutions : int
        Number of resolutions.

    Raises
    ------
    MissingPackageError
        itk-elastix is not installed.
    """
    parameters = _modules()["parameters"].elastixParameterObject_New()
    return {key: list(value) for key, value in dict(parameters.GetDefaultParameterMap(kind, resolutions)).items()}


def run(
    fixed: Volume,
    moving: Volume,
    parameters: Mapping[str, list[str]],
    masks: tuple[np.ndarray, np.ndarray] | None = None,
) -> dict[str, list[str]]:
    """Register RAS-aligned volumes and return elastix's transform parameter map, in the volumes' RAS mm.

    Parameters
    ----------
    fixed, moving : Volume
        On RAS-aligned grids.
    parameters : mapping of str to list of str
        elastix's parameter map; see `defaults`.
    masks : pair of (D, H, W) bool ndarray, optional
        Voxels of `fixed` and of `moving` that count.

    Raises
    ------
    RegistrationError
        elastix failed, most often because too few samples are inside both images.
    MissingPackageError
        itk-elastix is not installed.
    """
    modules = _modules()
    holder = modules["parameters"].elastixParameterObject_New()
    holder.AddParameterMap(modules["parameters"].mapstringvectorstring({k: tuple(v) for k, v in parameters.items()}))
    method = modules["elastix"].itkElastixRegistrationMethodIF3IF3_New()
    images = [_image(v, v.array.astype(np.float32), modules["buffer"].itkPyBufferIF3) for v in (fixed, moving)]
    method.SetFixedImage(images[0])
    method.SetMovingImage(images[1])
    if masks is not None:
        views = [
            _image(v, m.astype(np.uint8), modules["buffer"].itkPyBufferIUC3)
            for v, m in zip((fixed, moving), masks, strict=True)
        ]
        method.SetFixedMask(views[0])
        method.SetMovingMask(views[1])
    method.SetParameterObject(holder)
    method.SetLogToConsole(False)
    try:
        method.UpdateLargestPossibleRegion()
    except RuntimeError as error:
        raise RegistrationError(
            "The two scans could not be registered: they have too little of the body in common. "
            "Check that they show the same patient and body region."
        ) from error
    result = dict(method.GetTransformParameterObject().GetParameterMap(0))
    return {key: list(value) for key, value in result.items()}


def affine_matrix(result: Mapping[str, list[str]]) -> np.ndarray:
    """Return the (4, 4) matrix of an affine transform, fixed to moving points.

    Parameters
    ----------
    result : mapping of str to list of str
        The transform parameter map from `run`.
    """
    values = np.array(result["TransformParameters"], float)
    centre = np.array(result["CenterOfRotationPoint"], float)
    matrix = np.eye(4)
    matrix[:3, :3] = values[:9].reshape(3, 3)
    matrix[:3, 3] = values[9:] + centre - matrix[:3, :3] @ centre
    return matrix


def bspline_displacement(result: Mapping[str, list[str]], volume: Volume) -> np.ndarray:
    """Return the displacement of a B-spline transform, (D, H, W, 3) mm.

    Parameters
    ----------
    result : mapping of str to list of str
        The transform parameter map from `run`.
    volume : Volume
        Its grid is the one of the displacement.
    """
    import SimpleITK as sitk

    transform = sitk.BSplineTransform(3, int(result["BSplineTransformSplineOrder"][0]))
    fixed = [result[key] for key in ("GridSize", "GridOrigin", "GridSpacing", "GridDirection")]
    transform.SetFixedParameters([float(value) for values in fixed for value in values])
    transform.SetParameters([float(value) for value in result["TransformParameters"]])
    field = sitk.TransformToDisplacementField(
        transform,
        sitk.sitkVectorFloat32,
        volume.geometry.size,
        volume.origin,
        volume.spacing,
        np.asarray(volume.direction).ravel().tolist(),
    )
    return sitk.GetArrayFromImage(field)


def _image(volume: Volume, array: np.ndarray, buffer: Any) -> Any:
    image = buffer.GetImageViewFromArray(np.ascontiguousarray(array))
    image.SetSpacing(list(volume.spacing))
    image.SetOrigin(list(volume.origin))
    return image


def _modules() -> dict[str, Any]:
    try:
        import itk.elxParameterObjectPython as parameters
        import itk.itkElastixRegistrationMethodPython as elastix
        import itk.itkImagePython  # noqa: F401  registers the image types
        import itk.itkPyBufferPython as buffer
    except ImportError as error:
        raise MissingPackageError(
            "Registration needs the package itk-elastix, which is not installed. Install it with: pip install itk-elastix"
        ) from error
    return {"parameters": parameters, "elastix": elastix, "buffer": buffer}

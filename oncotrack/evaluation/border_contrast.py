"""Share of a finding's surroundings that contrasts with it: without contrast a node cannot be seen."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from oncotrack.datasets.case import Case
from oncotrack.images.volume import Volume

_SHELL_MM = (1.0, 2.5)
_DIFFERENCE_HU = 50.0


def border_contrast(case: Case) -> np.ndarray:
    """Compute the border contrast of every finding of a case: the share of its surroundings that differ from it.

    The surroundings are the voxels whose centres lie 1 to 2.5 mm from the finding's nearest voxel. A voxel differs if it
    is more than 50 HU from the finding's median.

    Parameters
    ----------
    case : Case
        One CT.

    Returns
    -------
    (N,) ndarray
        0 to 1 in the order of ``case.truth``; NaN where a finding has no mask.
    """
    ((key, image),) = case.images.items()
    shares = np.full(len(case.truth), np.nan)
    if key in case.masks:
        labels = case.masks[key].array
        for number, where in enumerate(ndimage.find_objects(labels.astype(np.int32)), 1):
            if where is not None:
                shares[number - 1] = _contrast(image, labels, number, where)
    return shares


def _contrast(image: Volume, labels: np.ndarray, number: int, where: tuple[slice, ...]) -> float:
    """Compute the border contrast of the finding `number`, whose bounding box in the label map is `where`."""
    spacing = image.geometry.spacing[::-1]
    margin = [int(np.ceil(_SHELL_MM[1] / step)) for step in spacing]
    part = tuple(slice(max(axis.start - m, 0), axis.stop + m) for axis, m in zip(where, margin, strict=True))
    inside, values = labels[part] == number, image.array[part].astype(np.float32)
    distance = np.asarray(ndimage.distance_transform_edt(~inside, sampling=spacing))
    shell = (distance > _SHELL_MM[0]) & (distance <= _SHELL_MM[1])
    return float((np.abs(values[shell] - np.median(values[inside])) > _DIFFERENCE_HU).mean()) if shell.any() else np.nan

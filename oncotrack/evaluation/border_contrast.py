"""How far a node stands out of what lies round it: one that looks like its neighbours can be seen by nobody."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from oncotrack.datasets.case import Case
from oncotrack.images.volume import Volume

_SHELL_MM = (1.0, 2.5)
_APART_HU = 50.0


def border_contrast(case: Case) -> np.ndarray:
    """Of each finding of a case of one CT, the share of its surroundings that differ from it.

    The surroundings are the voxels whose middles lie 1 to 2.5 mm from the finding's nearest voxel; they differ when they
    are more than 50 HU from its median.

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
                shares[number - 1] = _free_border(image, labels, number, where)
    return shares


def _free_border(image: Volume, labels: np.ndarray, number: int, where: tuple[slice, ...]) -> float:
    spacing = image.geometry.spacing[::-1]
    margin = [int(np.ceil(_SHELL_MM[1] / step)) for step in spacing]
    part = tuple(slice(max(axis.start - m, 0), axis.stop + m) for axis, m in zip(where, margin, strict=True))
    inside, values = labels[part] == number, image.array[part].astype(np.float32)
    away = ndimage.distance_transform_edt(~inside, sampling=spacing)
    shell = (away > _SHELL_MM[0]) & (away <= _SHELL_MM[1])
    return float((np.abs(values[shell] - np.median(values[inside])) > _APART_HU).mean()) if shell.any() else np.nan

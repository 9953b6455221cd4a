"""Whether inserted nodes can be distinguished from the real small structures of the same CTs by how they look.

Real structures are those that the detector without training finds (`fatblobs`) in the CT as it is, inserted ones the
inserted nodes that it finds, so that place, roundness and boxes are alike; each real one is paired with the inserted one
of the same CT that is nearest in size. A logistic regression sees what an insertion could give away: attenuation, noise
and texture inside, sharpness of the border. It is tested on CTs that it was not fitted on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.optimize import minimize
from scipy.stats import rankdata

from oncotrack.background.jobs import Progress, silent
from oncotrack.datasets.node_scans import BESIDE_VESSELS, inserted_scan
from oncotrack.detection.anatomy.anatomy import Anatomy
from oncotrack.detection.ct_node_mask import NodePatch
from oncotrack.detection.ct_slices import LNSlices
from oncotrack.detection.fatblobs import FatBlobDetector
from oncotrack.detection.tracks import Track
from oncotrack.errors import InputError
from oncotrack.images.volume import Volume

GROUPS = {
    "attenuation": ("median", "median against blood"),
    "texture": ("noise against the scan's", "spread against the scan's noise", "correlation in plane", "correlation along z"),
    "border": ("outermost voxels", "next to the border", "one further", "two further", "slices beyond the ends"),
}  # fmt: skip
"""Names of the features, by what they describe."""
_SHELLS = (0, 1, 2, 3)  # voxels from the border: the outermost inside, and three outside
_LEAST_VOXELS = 4
_PENALTY = 3.0
_FEWEST = 5


def evaluate_insertion(volumes: Sequence[Volume], scans: int, progress: Progress = silent) -> dict[str, Any]:
    """Cross-validate over CTs how well inserted nodes are distinguished from real structures.

    Parameters
    ----------
    volumes : sequence of Volume
        At least two CTs in HU.
    scans : int
        Scans with inserted nodes made from each CT, from seed 0.
    progress : callable
        Receives the completed fraction (0 to 1) and a message.

    Returns
    -------
    dict
        ``AUC``: mean over the CTs, weighted by their structures, of all features; ``AUC by group`` and ``AUC by feature``:
        the same with fewer features; ``AUC by CT``; ``structures``: of each kind, by CT.

    Raises
    ------
    InputError
        Fewer than two CTs in which at least five real structures were found.
    """
    pairs: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for n, volume in enumerate(volumes):
        progress(n / len(volumes), volume.name)
        pair = _paired(*_structures(volume, scans))
        if len(pair[0]) >= _FEWEST:
            pairs[volume.name] = pair
    if len(pairs) < 2:
        raise InputError(
            f"At least {_FEWEST} real small structures in the deep fat of each of two CTs are needed; "
            f"{len(pairs)} of {len(volumes)} CTs show that many. Give more CTs."
        )
    names = [name for group in GROUPS.values() for name in group]
    columns = {name: [names.index(each) for each in group] for name, group in GROUPS.items()}
    by_ct = _held_out_auc(pairs, list(range(len(names))))
    counts = {name: len(real) for name, (real, _) in pairs.items()}
    return {
        "AUC": _mean(by_ct, counts),
        "AUC by group": {name: _mean(_held_out_auc(pairs, chosen), counts) for name, chosen in columns.items()},
        "AUC by feature": {name: _mean(_held_out_auc(pairs, [n]), counts) for n, name in enumerate(names)},
        "AUC by CT": by_ct,
        "structures": counts,
    }


def auc(scores: np.ndarray, is_positive: np.ndarray) -> float:
    """Return the area under the ROC curve (Mann-Whitney), ties counting half.

    Parameters
    ----------
    scores : (N,) ndarray
        Higher for positives.
    is_positive : (N,) bool ndarray
        Both kinds occur.
    """
    positives = int(is_positive.sum())
    ranks = float(rankdata(scores)[is_positive].sum())
    return (ranks - positives * (positives + 1) / 2) / (positives * (len(scores) - positives))


def appearance(patch: NodePatch, blood_hu: float, noise_hu: float) -> np.ndarray:
    """Return the features of `GROUPS` of a structure.

    Parameters
    ----------
    patch : NodePatch
        The structure, on the scan's own grid; its mask is not empty.
    blood_hu, noise_hu : float
        Of the scan.

    Returns
    -------
    (11,) float ndarray
        Shares of the contrast with the surroundings at the border; logarithms of the noise.
    """
    mask, hu = patch.mask, patch.volume.array.astype(float)
    in_plane = np.ones((1, 3, 3))
    inner = np.asarray(ndimage.binary_erosion(mask, in_plane), bool)
    inner = inner if inner.sum() > 3 else mask
    median = float(np.median(hu[inner]))
    outside = np.stack([_shell(mask, n) for n in _SHELLS])
    fat = float(np.median(hu[outside[-1]])) if outside[-1].any() else -100.0
    contrast = max(median - fat, 20.0)
    shells = [float(np.median(hu[each]) - fat) / contrast if each.any() else 0.0 for each in outside[:-1]]
    beyond = np.asarray(ndimage.binary_dilation(mask, np.ones((3, 1, 1))), bool) & ~mask
    ends = float(np.mean(hu[beyond]) - fat) / contrast if beyond.any() else 0.0
    second = float(np.mean(hu[outside[-1]] < fat + contrast / 4)) if outside[-1].any() else 0.0
    rest = np.where(inner, hu - hu[inner].mean(), 0.0)
    return np.array([
        median / 100,
        (median - blood_hu) / 100,
        np.log(max(_noise(hu, inner), 0.3) / noise_hu),
        np.log(max(float(hu[inner].std()), 0.3) / noise_hu),
        _correlation(rest, inner, 2),
        _correlation(rest, inner, 0),
        *np.clip(shells, -1, 2),
        second,
        np.clip(ends, -1, 2),
    ])  # fmt: skip


def _structures(volume: Volume, scans: int) -> tuple[np.ndarray, np.ndarray]:
    """Return real and inserted structures of a CT, each (N, 1 + features): logarithm of the size, then `appearance`."""
    real, inserted = [], []
    slices = LNSlices(replace(volume, modality="CT"))
    anatomy = Anatomy.of(slices)
    noise = _scan_noise(volume)
    for track in FatBlobDetector().tracks(slices, anatomy):
        real += _described(track, slices, anatomy, noise)
    for seed in range(scans if len(real) >= _FEWEST else 0):
        case = inserted_scan(volume, seed, is_nodal=True, beside_vessels=BESIDE_VESSELS)
        ((key, image),) = case.images.items()
        slices = LNSlices(image)
        for track in FatBlobDetector().tracks(slices, anatomy):
            if _is_inserted(track, slices, case.masks[key]):
                inserted += _described(track, slices, anatomy, noise)
    width = 1 + sum(map(len, GROUPS.values()))
    return np.array(real).reshape(-1, width), np.array(inserted).reshape(-1, width)


def _is_inserted(track: Track, slices: LNSlices, masks: Volume) -> bool:
    """Return whether the middle of a track lies in an inserted node."""
    middle = np.mean([(*(box[:2] + box[2:] - 1) / 2, z) for z, box in track.boxes.items()], axis=0)
    i, j, k = np.round(masks.geometry.to_ijk(slices.geometry.to_ras(middle))).astype(int)
    return bool(masks.array[k, j, i] > 0)


def _described(track: Track, slices: LNSlices, anatomy: Anatomy, noise_hu: float) -> list[np.ndarray]:
    """Return the row of `_structures` for a structure, or none if nothing stands out in its boxes."""
    corners = np.concatenate([
        slices.geometry.to_ras([(x - 0.5, y - 0.5, z + half) for x, y in (box[:2], box[2:])])
        for z, box in track.boxes.items() for half in (-0.5, 0.5)
    ])  # fmt: skip
    patch = NodePatch.of(slices.volume, corners.min(0), corners.max(0))
    if patch.mask.sum() < _LEAST_VOXELS:
        return []
    size = np.log(patch.mask.sum() * float(np.prod(np.abs(slices.volume.spacing)))) / 3
    return [np.append(size, appearance(patch, anatomy.tissues.blood_hu, noise_hu))]


def _paired(real: np.ndarray, inserted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pair each real structure with the inserted one nearest in size, each at most once; return both without the size."""
    free = list(range(len(inserted)))
    rows, partners = [], []
    for n in range(len(real)):
        if not free:
            break
        best = min(free, key=lambda m: abs(real[n, 0] - inserted[m, 0]))
        free.remove(best)
        rows.append(n)
        partners.append(best)
    return real[rows, 1:], inserted[partners, 1:]


def _held_out_auc(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]], columns: list[int]) -> dict[str, float]:
    """Return the AUC in each CT of a regression fitted on the other CTs, from some of the features and their squares."""
    out = {}
    for held in pairs:
        inputs = np.concatenate([part[:, columns] for name, pair in pairs.items() if name != held for part in pair])
        target = np.concatenate(
            [np.full(len(part), n) for name, pair in pairs.items() if name != held for n, part in enumerate(pair)]
        )
        mean, scale = inputs.mean(0), np.maximum(inputs.std(0), 1e-6)
        test = np.concatenate([part[:, columns] for part in pairs[held]])
        weights = _fit(_with_squares((inputs - mean) / scale), target)
        is_inserted = np.arange(len(test)) >= len(pairs[held][0])
        out[held] = auc(_with_squares((test - mean) / scale) @ weights, is_inserted)
    return out


def _with_squares(standard: np.ndarray) -> np.ndarray:
    clipped = np.clip(standard, -3, 3)
    return np.concatenate([clipped, clipped**2], 1)


def _fit(inputs: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the weights of a logistic regression with a small penalty; its bias does not change the AUC."""

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = parameters[:-1], parameters[-1]
        total = inputs @ weights + bias
        error = 1 / (1 + np.exp(-total)) - target
        value = np.logaddexp(0, total).sum() - (target * total).sum() + _PENALTY / 2 * (weights**2).sum()
        return float(value), np.append(inputs.T @ error + _PENALTY * weights, error.sum())

    return minimize(loss, np.zeros(inputs.shape[1] + 1), jac=True, method="L-BFGS-B").x[:-1]


def _mean(by_ct: Mapping[str, float], counts: Mapping[str, int]) -> float:
    return float(np.average(list(by_ct.values()), weights=[counts[name] for name in by_ct]))


def _shell(mask: np.ndarray, n: int) -> np.ndarray:
    """Return the voxels of the mask at its border in the plane (n = 0), or the n-th ring outside."""
    in_plane = np.ones((1, 3, 3))
    if n == 0:
        return mask & ~np.asarray(ndimage.binary_erosion(mask, in_plane), bool)
    grown = np.asarray(ndimage.binary_dilation(mask, in_plane, iterations=n), bool)
    return grown & ~(np.asarray(ndimage.binary_dilation(mask, in_plane, iterations=n - 1), bool) if n > 1 else mask)


def _noise(hu: np.ndarray, where: np.ndarray) -> float:
    """Return the standard deviation of what differs from the four neighbours in the plane."""
    kernel = np.array([[[0, 0.25, 0], [0.25, 0, 0.25], [0, 0.25, 0]]])
    return float((hu - ndimage.convolve(hu, kernel))[where].std())


def _scan_noise(volume: Volume) -> float:
    """Return `_noise` in the soft tissue of a scan, as the median over its slices."""
    array = volume.array[:: max(len(volume.array) // 20, 1)].astype(float)
    soft = np.asarray(ndimage.binary_erosion((array > 0) & (array < 150), np.ones((1, 5, 5))), bool)
    each = [_noise(array[n : n + 1], soft[n : n + 1]) for n in range(len(array)) if soft[n].sum() > 50]
    return float(np.median(each)) if each else 10.0


def _correlation(rest: np.ndarray, where: np.ndarray, axis: int) -> float:
    """Return the correlation of neighbours along an axis, 0 where there are few."""
    before, after = (
        np.take(where, range(where.shape[axis] - 1), axis),
        np.take(where, range(1, where.shape[axis]), axis),
    )
    both = before & after
    if both.sum() < 6:
        return 0.0
    a = np.take(rest, range(rest.shape[axis] - 1), axis)[both]
    b = np.take(rest, range(1, rest.shape[axis]), axis)[both]
    return float((a * b).mean() / max(float(np.sqrt((a * a).mean() * (b * b).mean())), 1e-6))

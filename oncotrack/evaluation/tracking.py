"""Metrics of lesion tracking: distances, the three definitions of CPM, robustness, growth and response.

Three definitions of the centre point matching accuracy are in use and do not compare:

- DLT (J. Cai et al., CVPR 2021, sec. 5.2, and its released evaluator): distance below the radius; distance at most
  min(radius, 10 mm).
- TLT (W. Tang et al., MICCAI 2022, its released code): the "radius" is the full diagonal of the lesion's 3D box,
  counted in voxels and held against millimetres.
- UAE (X. Bai et al., 2024, its released code): the centre lies inside the lesion's 3D box; distance at most 10 mm
  whatever the radius.
"""

from __future__ import annotations

import numpy as np

LIMIT_MM = 10.0


def offsets_mm(predicted, target, spacing) -> np.ndarray:
    """Signed offsets of predicted from true centres along x, y, z.

    Parameters
    ----------
    predicted, target : (N, 3) array_like
        Centres in voxels (x, y, z).
    spacing : (N, 3) or (3,) array_like
        Millimetres a voxel.

    Returns
    -------
    (N, 3) ndarray
        Millimetres.
    """
    predicted, target = (np.asarray(points, float).reshape(-1, 3) for points in (predicted, target))
    return (predicted - target) * np.asarray(spacing, float)


def distances_mm(offsets) -> np.ndarray:
    """(N,) Euclidean lengths of (N, 3) offsets, mm."""
    x, y, z = np.asarray(offsets, float).reshape(-1, 3).T
    return np.sqrt(x**2 + y**2 + z**2)


def mean_distance(distances) -> tuple[float, float]:
    """MED and its standard deviation (DLT, sec. 5.2; the deviation over N, as in table 1), mm; NaN without any.

    Given the absolute offsets along one axis it is MED_X, MED_Y or MED_Z.
    """
    distances = np.asarray(distances, float)
    return (float(distances.mean()), float(distances.std())) if distances.size else (np.nan, np.nan)


def radii_mm(diameters_px, spacing) -> np.ndarray:
    """Lesion radii: half the longest diameter (DLT, sec. 5.1).

    Parameters
    ----------
    diameters_px : (N, 2) array_like
        Long and short diameter in pixels of the slice.
    spacing : (N, 3) array_like
        Millimetres a voxel; the first is the pixel's.
    """
    diameters = np.asarray(diameters_px, float).reshape(-1, 2)
    return diameters.max(axis=1) / 2 * np.asarray(spacing, float).reshape(-1, 3)[:, 0]


def cpm(matched) -> float:
    """CPM: percentage of correctly matched lesions (DLT, sec. 5.2); 0 when there is none."""
    matched = np.asarray(matched, bool)
    return 100 * float(matched.mean()) if matched.size else 0.0


def matched_radius(distances, radii) -> np.ndarray:
    """CPM@Radius of DLT: ``distance / max(0.001 mm, radius) < 1``. (N,) mm each, returns (N,) bool."""
    return np.asarray(distances, float) / np.maximum(1e-3, np.asarray(radii, float)) < 1


def matched_10mm(distances, radii) -> np.ndarray:
    """CPM@10mm of DLT: ``distance <= min(radius, 10 mm)``. (N,) mm each, returns (N,) bool."""
    return np.asarray(distances, float) <= np.minimum(np.asarray(radii, float), LIMIT_MM)


def matched_radius_tlt(distances, box_sizes) -> np.ndarray:
    """CPM@Radius of TLT's code: distance (mm) below the box diagonal (voxels). (N,), (N, 3) width, height, depth."""
    return np.asarray(distances, float) < np.linalg.norm(np.asarray(box_sizes, float).reshape(-1, 3), axis=1)


def matched_10mm_tlt(distances, box_sizes) -> np.ndarray:
    """CPM@10mm of TLT's code: as its CPM@Radius, and below 10 mm."""
    return matched_radius_tlt(distances, box_sizes) & (np.asarray(distances, float) < LIMIT_MM)


def matched_radius_uae(predicted, boxes) -> np.ndarray:
    """CPM@Radius of UAE: the predicted centre lies inside the lesion's box, faces included.

    Parameters
    ----------
    predicted : (N, 3) array_like
        Centres in voxels (x, y, z).
    boxes : (N, 6) array_like
        x, y, z, width, height, depth in voxels.
    """
    predicted, boxes = np.asarray(predicted, float).reshape(-1, 3), np.asarray(boxes, float).reshape(-1, 6)
    low, high = boxes[:, :3], boxes[:, :3] + boxes[:, 3:]
    return ((predicted >= low) & (predicted <= high)).all(axis=1)


def matched_10mm_uae(distances) -> np.ndarray:
    """CPM@10mm of UAE: distance at most 10 mm, whatever the radius."""
    return np.asarray(distances, float) <= LIMIT_MM


def shifted_centres(centre, radius_mm: float, generator: np.random.Generator, count: int = 9) -> np.ndarray:
    """The robustness protocol's starting points (DLT, sec. 5.3): the centre, then `count` shifts of it, mm.

    A shift is drawn uniformly from the ball ``|shift| <= 0.25 radius``; a tracker is judged on all of them.

    Returns
    -------
    (count + 1, 3) ndarray
    """
    direction = generator.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    length = 0.25 * radius_mm * generator.uniform(size=(count, 1)) ** (1 / 3)
    centre = np.asarray(centre, float)
    return np.vstack([centre, centre + direction * length])


def growth_accuracy(template_mm, search_mm, predicted_mm) -> float:
    """Percentage of lesions whose growth is told right: ``(d_s - d_t) (d_p - d_t) > 0`` (DLT, sec. 5.4).

    Long diameters: of the template lesion, of the lesion searched for, and as predicted; (N,) mm each.
    """
    template, search, predicted = (np.asarray(d, float) for d in (template_mm, search_mm, predicted_mm))
    return cpm((search - template) * (predicted - template) > 0)


def response_class(template_mm, search_mm) -> np.ndarray:
    """RECIST response by ``rho = (d_s - d_t) / d_t`` (DLT, sec. 5.4).

    Returns
    -------
    (N,) int ndarray
        -1 partial response (rho <= -0.3), 1 progressive disease (rho >= 0.2), 0 stable disease between.
    """
    template, search = np.asarray(template_mm, float), np.asarray(search_mm, float)
    # compared without dividing, so that 30 to 36 mm is 20 % exactly
    rise = np.round(search - template, 9)
    return (rise >= np.round(0.2 * template, 9)).astype(int) - (rise <= np.round(-0.3 * template, 9))


def response_accuracy(template_mm, search_mm, predicted_mm) -> float:
    """Percentage of lesions whose response class is told right (DLT, table 4)."""
    return cpm(response_class(template_mm, search_mm) == response_class(template_mm, predicted_mm))


def size_error(search_mm, predicted_mm) -> tuple[float, float]:
    """MAE of the long diameter and its standard deviation (DLT, table 4), mm; NaN without any."""
    return mean_distance(np.abs(np.asarray(predicted_mm, float) - np.asarray(search_mm, float)))

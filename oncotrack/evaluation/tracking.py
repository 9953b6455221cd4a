"""Metrics of lesion tracking: distances, the three definitions of CPM, robustness.

Three definitions of the centre point matching accuracy (CPM) are in use and cannot be compared with each other:

- DLT (J. Cai et al., CVPR 2021, sec. 5.2, and its released evaluator): distance below the radius; distance at most
  min(radius, 10 mm).
- TLT (W. Tang et al., MICCAI 2022, its released code): the "radius" is the full diagonal of the lesion's 3D box,
  in voxels, compared with a distance in millimetres.
- UAE (X. Bai et al., 2024, its released code): the centre lies inside the lesion's 3D box; distance at most 10 mm
  whatever the radius.
"""

from __future__ import annotations

import numpy as np

LIMIT_MM = 10.0


def offsets_mm(predicted, target, spacing) -> np.ndarray:
    """Compute the signed offsets of predicted from true centres along x, y, z.

    Parameters
    ----------
    predicted, target : (N, 3) array_like
        Centres in voxels (x, y, z).
    spacing : (N, 3) or (3,) array_like
        Millimetres per voxel.

    Returns
    -------
    (N, 3) ndarray
        Millimetres.
    """
    predicted, target = (np.asarray(points, float).reshape(-1, 3) for points in (predicted, target))
    return (predicted - target) * np.asarray(spacing, float)


def distances_mm(offsets) -> np.ndarray:
    """Compute the Euclidean lengths of (N, 3) offsets, (N,) mm."""
    x, y, z = np.asarray(offsets, float).reshape(-1, 3).T
    return np.sqrt(x**2 + y**2 + z**2)


def mean_distance(distances) -> tuple[float, float]:
    """Compute MED and its standard deviation (DLT, sec. 5.2; divided by N, as in table 1), mm; NaN without any.

    From the absolute offsets along one axis the result is MED_X, MED_Y or MED_Z.
    """
    distances = np.asarray(distances, float)
    return (float(distances.mean()), float(distances.std())) if distances.size else (np.nan, np.nan)


def radii_mm(diameters_px, spacing) -> np.ndarray:
    """Compute lesion radii, half the longest diameter (DLT, sec. 5.1), (N,) mm.

    Parameters
    ----------
    diameters_px : (N, 2) array_like
        Long and short diameter in pixels of the slice.
    spacing : (N, 3) array_like
        Millimetres per voxel; the first is that of a pixel.
    """
    diameters = np.asarray(diameters_px, float).reshape(-1, 2)
    return diameters.max(axis=1) / 2 * np.asarray(spacing, float).reshape(-1, 3)[:, 0]


def cpm(matched) -> float:
    """Compute CPM, the percentage of correctly matched lesions (DLT, sec. 5.2); 0 without any lesion."""
    matched = np.asarray(matched, bool)
    return 100 * float(matched.mean()) if matched.size else 0.0


def matched_radius(distances, radii) -> np.ndarray:
    """Apply CPM@Radius of DLT, ``distance / max(0.001 mm, radius) < 1``: (N,) mm each to (N,) bool."""
    return np.asarray(distances, float) / np.maximum(1e-3, np.asarray(radii, float)) < 1


def matched_10mm(distances, radii) -> np.ndarray:
    """Apply CPM@10mm of DLT, ``distance <= min(radius, 10 mm)``: (N,) mm each to (N,) bool."""
    return np.asarray(distances, float) <= np.minimum(np.asarray(radii, float), LIMIT_MM)


def matched_radius_tlt(distances, box_sizes) -> np.ndarray:
    """Apply CPM@Radius of TLT's code: (N,) distance (mm) below the diagonal of the (N, 3) box size (voxels)."""
    return np.asarray(distances, float) < np.linalg.norm(np.asarray(box_sizes, float).reshape(-1, 3), axis=1)


def matched_10mm_tlt(distances, box_sizes) -> np.ndarray:
    """Apply CPM@10mm of TLT's code: its CPM@Radius, and a distance below 10 mm."""
    return matched_radius_tlt(distances, box_sizes) & (np.asarray(distances, float) < LIMIT_MM)


def matched_radius_uae(predicted, boxes) -> np.ndarray:
    """Apply CPM@Radius of UAE: the predicted centre lies inside the lesion's box, faces included.

    Parameters
    ----------
    predicted : (N, 3) array_like
        Centres in voxels (x, y, z).
    boxes : (N, 6) array_like
        x, y, z, width, height, depth in voxels.
    """
    predicted, boxes = np.asarray(predicted, float).reshape(-1, 3), np.asarray(boxes, float).reshape(-1, 6)
    low, high = boxes[:, :3], boxes[:, :3] + boxes[:, 3:]
    return np.asarray(((predicted >= low) & (predicted <= high)).all(axis=1))


def matched_10mm_uae(distances) -> np.ndarray:
    """Apply CPM@10mm of UAE: a distance of at most 10 mm, whatever the radius."""
    return np.asarray(distances, float) <= LIMIT_MM


def shifted_centres(centre, radius_mm: float, generator: np.random.Generator, count: int = 9) -> np.ndarray:
    """Return the starting points of the robustness protocol (DLT, sec. 5.3).

    A shift is drawn uniformly from the ball ``|shift| <= 0.25 radius``; a tracker is evaluated on all of them.

    Parameters
    ----------
    centre : (3,) array_like
        Centre of the lesion, mm.
    radius_mm : float
        Its radius.
    generator : numpy.random.Generator
        Source of the shifts.
    count : int
        Number of shifted points.

    Returns
    -------
    (count + 1, 3) ndarray
        The centre, then the shifted points, mm.
    """
    direction = generator.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    length = 0.25 * radius_mm * generator.uniform(size=(count, 1)) ** (1 / 3)
    centre = np.asarray(centre, float)
    return np.vstack([centre, centre + direction * length])

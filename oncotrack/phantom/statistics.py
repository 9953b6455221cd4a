"""Sizes and counts of real lymph nodes, and how phantom nodes are drawn from them.

Source of `NODES`: 932 annotated nodes of the public "CT Lymph Nodes" collection (National Institutes of Health, The
Cancer Imaging Archive; Roth et al., MICCAI 2014), measured on its masks: mediastinum 375 nodes in 90 patients,
abdomen 557 nodes in 85. Figures are the 5th, 25th, 50th, 75th and 95th percentiles. Neck and axilla have no public
masks of that kind: they take the mediastinum's shape at 0.7 of its size. `SMALL_SHORT_MM`: the small nodes that
LN-Tracker's data sets add (Yu et al. 2025, LN-Tracker, section 1: nodes of 3-10 mm dominate oncology follow-up).
"""

from __future__ import annotations

import numpy as np

PERCENTILES = (5, 25, 50, 75, 95)
NODES: dict[str, dict[str, tuple[float, ...]]] = {
    "abdomen": {
        "nodes_per_patient": (1, 2, 5, 8, 17.6),
        "axial_long_axis_mm": (11.5, 15.4, 18.9, 24.6, 37.9),
        "axial_short_axis_mm": (9.1, 11.6, 14.3, 18.5, 27.9),
        "axial_aspect": (1.05, 1.16, 1.28, 1.44, 1.94),
        "extent_x_mm": (11.0, 14.4, 18.0, 23.2, 35.5),
        "extent_y_mm": (10.2, 14.1, 17.7, 23.0, 38.5),
        "extent_z_mm": (7.4, 13.0, 18.0, 24.0, 40.0),
        "volume_mm3": (561, 1084.2, 2043.5, 3907.2, 13332.9),
    },
    "mediastinum": {
        "nodes_per_patient": (1, 1, 3, 5.75, 10.55),
        "axial_long_axis_mm": (15.3, 19.9, 24.0, 29.8, 42.8),
        "axial_short_axis_mm": (12.2, 15.1, 17.7, 21.9, 32.3),
        "axial_aspect": (1.06, 1.17, 1.32, 1.49, 1.81),
        "extent_x_mm": (14.4, 19.4, 23.4, 30.0, 43.4),
        "extent_y_mm": (13.9, 17.8, 21.6, 26.6, 39.9),
        "extent_z_mm": (8.0, 14.0, 20.0, 27.5, 43.3),
        "volume_mm3": (796.4, 2013.3, 3779.9, 6875.2, 21023.6),
    },
}
SMALL_SHORT_MM = (3.0, 10.0)
REGION_SCALE = {"neck": ("mediastinum", 0.7), "axilla": ("mediastinum", 0.7)}


def quantile(table: tuple[float, ...], u) -> np.ndarray:
    """The value at quantiles u in [0, 1], log-linear between the tabled percentiles and a little beyond."""
    table = np.asarray(table, float)
    low, high = table[0] ** 1.4 / table[1] ** 0.4, table[4] ** 1.35 / table[3] ** 0.35
    q = np.array([0, *PERCENTILES, 100]) / 100
    return np.exp(np.interp(u, q, np.log([low, *table, high])))


def node_size(rng: np.random.Generator, region: str) -> tuple[float, float, float]:
    """Long and short axis in the axial slice, and extent along the body (mm), of an enlarged node."""
    source, scale = REGION_SCALE.get(region, (region, 1.0))
    table = NODES[source]
    first = rng.normal()
    u = _normal_cdf(first)
    long = float(quantile(table["axial_long_axis_mm"], u))
    aspect = float(
        np.clip(quantile(table["axial_aspect"], _normal_cdf(0.33 * first + 0.94 * rng.normal())) ** 0.9, 1.0, 2.4)
    )
    tall = float(quantile(table["extent_z_mm"], _normal_cdf(0.5 * first + 0.87 * rng.normal())))
    return long * scale, long / aspect * scale, tall * scale


def small_node_size(rng: np.random.Generator) -> tuple[float, float, float]:
    """The same of a small node: short axis 3-10 mm, small ones more often."""
    short = float(np.clip(SMALL_SHORT_MM[0] * np.exp(rng.exponential(0.45)), *SMALL_SHORT_MM))
    long = short * float(np.clip(quantile(NODES["abdomen"]["axial_aspect"], rng.random()), 1.0, 2.2))
    return long, short, short * float(rng.uniform(0.9, 1.9))


def node_count(rng: np.random.Generator, region: str) -> int:
    """Enlarged nodes of a region in one patient."""
    source, _ = REGION_SCALE.get(region, (region, 1.0))
    return int(np.clip(round(float(quantile(NODES[source]["nodes_per_patient"], rng.random()))), 1, 20))


def _normal_cdf(x: float) -> float:
    from math import erf, sqrt

    return 0.5 * (1 + erf(x / sqrt(2)))

"""Sizes and counts of real lymph nodes, and the distributions that phantom nodes are drawn from.

Source of `NODES`: 932 annotated nodes of the public "CT Lymph Nodes" collection (National Institutes of Health, The
Cancer Imaging Archive; Roth et al., MICCAI 2014), measured on its masks: mediastinum 375 nodes in 90 patients,
abdomen 557 nodes in 85. Figures are the 5th, 25th, 50th, 75th and 95th percentiles. Neck and axilla have no public
masks of that kind: they have the mediastinum's shape at 0.7 of its size. `SMALL_SHORT_MM`: the small nodes that
LN-Tracker's data sets add (Yu et al. 2025, LN-Tracker, section 1: nodes of 3-10 mm dominate oncology follow-up).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, sqrt

import numpy as np
from numpy.typing import ArrayLike

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
_FLATTER = 0.25
_TALLER = {"abdomen": 0.41, "mediastinum": 0.55}
_TURN = {"abdomen": 3.0, "mediastinum": 0.8}
_LEAN = {"abdomen": 0.35, "mediastinum": 0.32}
REGION_SCALE = {"neck": ("mediastinum", 0.7), "axilla": ("mediastinum", 0.7)}


def quantile(table: tuple[float, ...], u: ArrayLike) -> np.ndarray:
    """Return the value at quantiles u in [0, 1], log-linear between the tabled percentiles and extrapolated a little."""
    known = np.asarray(table, float)
    low, high = known[0] ** 1.4 / known[1] ** 0.4, known[4] ** 1.35 / known[3] ** 0.35
    q = np.array([0, *PERCENTILES, 100]) / 100
    return np.exp(np.interp(np.asarray(u, float), q, np.log([low, *known, high])))


@dataclass(frozen=True)
class NodeSize:
    """The requested size of one node.

    Parameters
    ----------
    long, short : float
        Axes in the axial slice (mm).
    tall : float
        Extent along the body (mm).
    volume : float, optional
        mm3; None leaves the shape unchanged.
    angle : float, optional
        Of the long axis from the patient's right (radians).
    lean : float
        Standard deviation of the shift of its sections per mm along the body.
    """

    long: float
    short: float
    tall: float
    volume: float | None = None
    angle: float | None = None
    lean: float = 0.28

    @property
    def mean(self) -> float:
        """Mean of the three axes (mm)."""
        return (self.long + self.short + self.tall) / 3


def node_size(rng: np.random.Generator, region: str) -> NodeSize:
    """Draw an enlarged node: long axis, aspect, height and volume together from a Gaussian copula on the table.

    Longer nodes are taller (`_TALLER`) and a little flatter (`_FLATTER`); the volume's quantile is that of the product
    of the three axes, so that nodes of extreme axes are not of extreme volume as well. The correlations are those
    with which the spreads of the tabled axes, aspect and volume agree.
    """
    source, scale = REGION_SCALE.get(region, (region, 1.0))
    table = NODES[source]
    normal = rng.normal(size=3)
    flatter, taller = _FLATTER, _TALLER[source]
    along = normal[0]
    aspect = flatter * along + np.sqrt(1 - flatter**2) * normal[1]
    height = taller * along + np.sqrt(1 - taller**2) * normal[2]
    spread = {name: np.log(table[name][4] / table[name][0]) for name in ("axial_long_axis_mm", "axial_aspect",
                                                                          "extent_z_mm")}  # fmt: skip
    of_long, of_aspect, of_height = 2 * spread["axial_long_axis_mm"], -spread["axial_aspect"], spread["extent_z_mm"]
    bulk = of_long * along + of_aspect * aspect + of_height * height
    bulk /= np.sqrt(of_long**2 + of_aspect**2 + of_height**2 + 2 * of_long * (of_aspect * flatter + of_height * taller)
                    + 2 * of_aspect * of_height * flatter * taller)  # fmt: skip
    long = float(quantile(table["axial_long_axis_mm"], _normal_cdf(along)))
    ratio = max(float(quantile(table["axial_aspect"], _normal_cdf(aspect))), 1.0)
    tall = float(quantile(table["extent_z_mm"], _normal_cdf(height)))
    volume = float(quantile(table["volume_mm3"], _normal_cdf(bulk)))
    return NodeSize(long * scale, long / ratio * scale, tall * scale, volume * scale**3,
                    float(rng.normal() * _TURN[source]), _LEAN[source])  # fmt: skip


def small_node_size(rng: np.random.Generator) -> NodeSize:
    """Draw a small node: short axis 3-10 mm, small ones more often."""
    short = float(np.clip(SMALL_SHORT_MM[0] * np.exp(rng.exponential(0.45)), *SMALL_SHORT_MM))
    long = short * float(np.clip(quantile(NODES["abdomen"]["axial_aspect"], rng.random()), 1.0, 2.2))
    return NodeSize(long, short, short * float(rng.uniform(0.9, 1.9)))


def node_count(rng: np.random.Generator, region: str) -> int:
    """Draw the number of enlarged nodes of a region in a patient that has any; tabled numbers are most frequent."""
    source, _ = REGION_SCALE.get(region, (region, 1.0))
    u = rng.random()
    knots = np.array([0, *PERCENTILES, 100]) / 100
    n = min(int(np.searchsorted(knots, u, side="right")) - 1, len(knots) - 2)
    t = (u - knots[n]) / (knots[n + 1] - knots[n])
    steady = knots[n] + t**3 * (10 - 15 * t + 6 * t**2) * (knots[n + 1] - knots[n])
    return int(np.clip(round(float(quantile(NODES[source]["nodes_per_patient"], steady))), 1, 24))


def _normal_cdf(x: float) -> float:
    """Return the cumulative standard normal distribution."""
    return 0.5 * (1 + erf(x / sqrt(2)))

"""A small PET/CT study: a body of fat, a primary tumour, hot nodes, a cold node, and foci that are no nodes."""

from __future__ import annotations

import numpy as np

from oncotrack.datasets.case import label_case
from oncotrack.datasets.petct_scans import PETCTScan
from oncotrack.findings.finding import Kind
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.masks.recist import measure_masks
from oncotrack.phantom.motion import Chain
from oncotrack.phantom.tissues import INSTANCE, LABEL
from oncotrack.phantom.truth import Instance, VisitTruth

GRID = Geometry((80, 64, 60), (4.0, 4.0, 5.0), (158.0, 126.0, -147.0), ((-1, 0, 0), (0, -1, 0), (0, 0, 1)))
TUMOUR, TUMOUR_MM = np.array([0.0, 0.0, -90.0]), 18.0
NODES = {
    "2R": ((30.0, 10.0, -70.0), 10.0, True),
    "7": ((-40.0, -20.0, -60.0), 9.0, True),
    "para-aortic left": ((20.0, 30.0, 60.0), 11.0, True),
    "coeliac": ((-50.0, 0.0, 90.0), 10.0, False),
}
"""Centre (RAS mm), radius (mm) and whether it is hot."""
FOCI = ((60.0, -40.0, -80.0), (-60.0, 40.0, -40.0), (50.0, -40.0, 40.0), (0.0, -50.0, 90.0))


def toy_scan(seed: int = 0) -> PETCTScan:
    """Return the study; another seed moves everything a little and draws other noise."""
    rng = np.random.default_rng(seed)
    points = GRID.to_ras(np.indices(GRID.shape)[::-1].reshape(3, -1).T).reshape(*GRID.shape, 3)
    body = ((points[..., 0] / 130) ** 2 + (points[..., 1] / 100) ** 2) < 1
    ct = np.where(body, -90.0, -1000.0) + rng.normal(0, 8, GRID.shape)
    pet = np.where(body, 0.6, 0.05) + rng.normal(0, 0.03, GRID.shape)
    masks, organs = np.zeros(GRID.shape, np.int16), np.where(body, LABEL["fat"], 0).astype(np.int16)

    def ball(centre, radius, spread=0.0):
        moved = np.asarray(centre) + rng.uniform(-6, 6, 3)
        far = np.linalg.norm(points - moved, axis=-1)
        return far <= radius, np.exp(-0.5 * (far / (radius * 0.8 + spread)) ** 2)

    inside, glow = ball(TUMOUR, TUMOUR_MM)
    masks[inside] = INSTANCE
    ct[inside] = 45
    pet += 8 * glow
    for n, (centre, radius, hot) in enumerate(NODES.values(), 1):
        inside, glow = ball(centre, radius)
        masks[inside], ct[inside] = INSTANCE + n, 50
        pet += 6 * glow * hot
    for centre in FOCI:
        inside, glow = ball(centre, 9.0)
        organs[inside], ct[inside] = LABEL["muscle"], 50
        pet += 5 * glow
    volumes = Volume(masks, GRID, "masks"), Volume(np.where(masks > 0, 0, organs).astype(np.int16), GRID, "organs")
    truth = VisitTruth(*volumes, tuple(_instances(volumes[0])), Chain(()))
    labels = np.where(masks > INSTANCE, masks - INSTANCE, 0).astype(np.int16)
    images = {
        "ct": Volume(ct.astype(np.float32), GRID, "toy CT", "CT"),
        "pet": Volume(pet.clip(0).astype(np.float32), GRID, "toy PET", "PT"),
    }
    case = label_case(f"toy {seed}", images, Volume(labels, GRID), "ct", "made", Kind.LYMPH_NODE)
    return PETCTScan(case, Volume((masks == INSTANCE).astype(np.uint8), GRID, "tumour"), truth)


def _instances(masks: Volume):
    sites = ["lung", *NODES]
    for number, measured in measure_masks(masks).items():
        n = number - INSTANCE
        yield Instance(
            number, number, Kind.LYMPH_NODE if n else Kind.LESION, site=sites[n], fate="baseline", primary=n == 0,
            region="lung" if n == 0 else "mediastinum" if n < 3 else "abdomen", hot=n == 0 or NODES[sites[n]][2],
            **vars(measured),
        )  # fmt: skip

"""Nodes and lesions of one patient over all visits: site, shape and course."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from oncotrack.findings.finding import Kind
from oncotrack.phantom.anatomy import TEMPLATE, Anatomy
from oncotrack.phantom.course import Deposit, over_time, unit
from oncotrack.phantom.lumps import make_lump, node_lump
from oncotrack.phantom.skeleton import LEVELS, spine_axis
from oncotrack.phantom.statistics import NodeSize, node_count, node_size, small_node_size
from oncotrack.phantom.tissues import INSTANCE

# for each station: region, anchor (R, A, S), spread (mm); AJCC neck levels, the IASLC mediastinal map, and the abdomen
STATIONS: dict[str, tuple[str, tuple[float, float, float], tuple[float, float, float]]] = {
    "neck IB right": ("neck", (36, 34, 178), (5, 5, 6)), "neck IB left": ("neck", (-36, 34, 178), (5, 5, 6)),
    "neck II right": ("neck", (40, 8, 172), (6, 7, 9)), "neck II left": ("neck", (-40, 8, 172), (6, 7, 9)),
    "neck III right": ("neck", (38, 12, 142), (6, 7, 9)), "neck III left": ("neck", (-38, 12, 142), (6, 7, 9)),
    "neck IV right": ("neck", (38, 14, 110), (6, 7, 8)), "neck IV left": ("neck", (-38, 14, 110), (6, 7, 8)),
    "neck V right": ("neck", (50, -16, 128), (6, 8, 16)), "neck V left": ("neck", (-50, -16, 128), (6, 8, 16)),
    "neck VI": ("neck", (2, 42, 104), (8, 4, 10)),
    "supraclavicular 1R": ("neck", (46, 14, 92), (8, 7, 5)), "supraclavicular 1L": ("neck", (-46, 14, 92), (8, 7, 5)),
    "axillary right": ("axilla", (142, 8, 40), (12, 12, 16)), "axillary left": ("axilla", (-142, 8, 40), (12, 12, 16)),
    "2R": ("mediastinum", (18, 8, 54), (5, 5, 8)), "2L": ("mediastinum", (-16, 4, 58), (5, 5, 7)),
    "3A": ("mediastinum", (4, 54, 34), (7, 5, 12)),
    "4R": ("mediastinum", (18, 10, 18), (5, 5, 8)), "4L": ("mediastinum", (-16, 2, 12), (4, 5, 6)),
    "5": ("mediastinum", (-34, 18, 12), (6, 6, 6)), "6": ("mediastinum", (-18, 46, 24), (7, 6, 8)),
    "7": ("mediastinum", (1, -2, -22), (6, 4, 8)), "8": ("mediastinum", (4, -12, -80), (5, 4, 20)),
    "10R": ("mediastinum", (42, 2, -22), (5, 6, 8)), "10L": ("mediastinum", (-46, 0, -18), (5, 6, 8)),
    "cardiophrenic": ("mediastinum", (26, 82, -106), (12, 8, 8)),
    "retrocrural": ("abdomen", (2, -8, -132), (8, 3, 10)),
    "coeliac": ("abdomen", (4, 22, -152), (9, 5, 6)), "left gastric": ("abdomen", (-22, 26, -144), (8, 6, 8)),
    "hepatic hilum": ("abdomen", (26, 34, -162), (8, 6, 8)), "splenic hilum": ("abdomen", (-76, -14, -160), (8, 8, 8)),
    "para-aortic left": ("abdomen", (-24, 4, -212), (6, 7, 24)), "aortocaval": ("abdomen", (8, 10, -216), (4, 6, 24)),
    "paracaval right": ("abdomen", (38, 6, -222), (6, 6, 18)),
    "mesenteric": ("abdomen", (-6, 50, -232), (22, 12, 18)), "mesenteric root": ("abdomen", (-14, 30, -206),
            (10, 7, 10)),
}  # fmt: skip
SITES = {
    "lung": ("lung", "lung tumour", (6, 32)),
    "liver": ("liver", "liver metastasis", (9, 45)),
    "adrenal": ("adrenal", "adrenal metastasis", (14, 42)),
    "bone": ("bone", "bone metastasis", (9, 22)),
    "soft tissue": ("muscle", "soft tissue metastasis", (9, 32)),
}


def random_disease(
    rng: np.random.Generator, anatomy: Anatomy, visits: int, nodes: bool = True, lesions: bool = True
) -> list[Deposit]:
    """Draw all nodes and lesions of one patient, placed in fat or in their organ, over `visits` visits."""
    first: list[Deposit] = []
    if nodes:
        first += _nodes(rng, anatomy)
    if lesions:
        first += _lesions(rng, anatomy, len(first))
    return over_time(rng, first, visits)


def pushes(deposits: Sequence[Deposit], visit: int, least_mm: float = 5.5) -> tuple[np.ndarray, np.ndarray]:
    """Return centres (N, 3) and radii (N,) of the deep lumps that press tissue aside at a visit."""
    lumps = [lump for d in deposits if d.deep and (lump := d.lumps[visit]) is not None and lump.radius > least_mm]
    return np.array([lump.centre for lump in lumps]).reshape(-1, 3), np.array([lump.radius for lump in lumps])


def _nodes(rng: np.random.Generator, anatomy: Anatomy) -> list[Deposit]:
    """Draw the nodes of the first visit, the largest placed first."""
    room = anatomy.room("visceral fat", "fat")
    involved = {"mediastinum": 0.75, "abdomen": 0.65, "neck": 0.5, "axilla": 0.35}
    requested: list[tuple[str, NodeSize, bool]] = []
    for region, chance in involved.items():
        if rng.random() < chance:
            requested += [(region, node_size(rng, region), False) for _ in range(node_count(rng, region))]
    regions = rng.choice(list(involved), size=rng.poisson(26), p=[0.34, 0.3, 0.22, 0.14])
    requested += [(str(region), small_node_size(rng), True) for region in regions]
    requested.sort(key=lambda item: -item[1].mean)
    placed: list[Deposit] = []
    for region, size, small in requested:
        names = [name for name, (where, *_) in STATIONS.items() if where == region]
        found = _free_position(rng, names, room, placed, size.mean / 2)
        if found is None:
            continue
        station, centre = found
        hot = not small and rng.random() < 1 / 3
        label = INSTANCE + len(placed)
        lump = node_lump(rng, centre, size, "hot node" if hot else "node", label)
        if not small and rng.random() < 0.2:
            lump = replace(lump, core=("node necrosis", float(rng.uniform(0.35, 0.65)), rng.normal(size=3) * 0.1))
        elif not hot and rng.random() < (0.35 if small else 0.15):
            lump = replace(lump, core=("node fat", 0.3, unit(rng) * 0.45))
        placed.append(Deposit(label, Kind.LYMPH_NODE, station, region, (lump,), (), True, hot, small))
    return placed


def _free_position(
    rng: np.random.Generator, names: list[str], room: np.ndarray, placed: list[Deposit], need: float
) -> tuple[str, np.ndarray] | None:
    """Return station and centre: the best of 80 positions near the stations for a node of radius `need` mm.

    The search is widened three times when every position is occupied; None when there is still no free one.
    """
    anchors, spreads = (np.array([STATIONS[name][column] for name in names], float) for column in (1, 2))
    lumps = [lump for d in placed if (lump := d.lumps[0]) is not None]
    occupied = np.array([lump.centre for lump in lumps]).reshape(-1, 3)
    radii = np.array([lump.radius for lump in lumps])
    for wide in (1.0, 1.6, 2.4, 3.5):
        which = rng.integers(len(names), size=80)
        centres = anchors[which] + rng.normal(size=(80, 3)) * spreads[which] * (1.0 if need < 6 else 0.7) * wide
        index = np.round(TEMPLATE.to_ijk(centres)).astype(int)
        inside = np.all((index >= 0) & (index < TEMPLATE.size), axis=1)
        index = np.where(inside[:, None], index, 0)
        clear = np.minimum(room[index[:, 2], index[:, 1], index[:, 0]] / need, 1.0)
        gaps = np.linalg.norm(centres[:, None] - occupied, axis=-1) - radii - need
        gap = gaps.min(1, initial=50.0)
        score = 1.5 * clear + 0.12 * np.minimum(gap, 2.0) + 0.2 * rng.random(80)
        score[~inside | (gap <= -0.14 * need)] = -np.inf
        best = int(score.argmax())
        if np.isfinite(score[best]):
            return names[which[best]], centres[best]
    return None


def _lesions(rng: np.random.Generator, anatomy: Anatomy, nodes: int) -> list[Deposit]:
    """Draw the lesions of the first visit; `nodes` numbers are in use."""
    counts = {
        "lung": rng.poisson(1.6), "liver": rng.poisson(1.8) if rng.random() < 0.6 else 0,
        "adrenal": int(rng.random() < 0.3), "bone": rng.poisson(0.7), "soft tissue": rng.poisson(0.5),
    }  # fmt: skip
    placed: list[Deposit] = []
    for site, (_organ, tissue, (least, most)) in SITES.items():
        for n in range(max(counts[site], 1 if site == "lung" else 0)):
            primary = site == "lung" and n == 0
            size = float(np.exp(rng.uniform(np.log(least), np.log(most)))) * (1.3 if primary else 1)
            centre = _host_position(rng, site, anatomy, size, placed)
            if centre is None:
                continue
            label = INSTANCE + nodes + len(placed)
            rough = 0.09 if site == "lung" and size > 10 else 0.05
            short, tall = size * rng.uniform(0.7, 0.95), size * rng.uniform(0.75, 1.1)
            lump = make_lump(rng, centre, size, short, tall, tissue, label, rough)
            if site in ("liver", "lung") and size > 22 and rng.random() < 0.4:
                lump = replace(lump, core=("node necrosis", float(rng.uniform(0.4, 0.6)), rng.normal(size=3) * 0.1))
            placed.append(
                Deposit(label, Kind.LESION, site, site, (lump,), (), False, bool(rng.random() < 0.85), False, primary)
            )
    return placed


def _host_position(
    rng: np.random.Generator, site: str, anatomy: Anatomy, size: float, placed: list[Deposit]
) -> np.ndarray | None:
    """Return a centre (RAS mm) in the organ of `site` that is clear of the other lesions; None when there is none."""
    if site == "adrenal":
        side = rng.choice([1, -1])
        return np.array([31.0, -16, -160]) if side > 0 else np.array([-33.0, -10, -164])
    if site == "bone" and rng.random() < 0.7:
        level = rng.choice(["T3", "T5", "T7", "T8", "T10", "T11", "L1", "L2"])
        z = LEVELS[str(level)]
        return np.array([rng.normal() * 5, float(spine_axis(z)) + rng.normal() * 3, z + rng.normal() * 3])
    room = anatomy.room(SITES[site][0])
    index = np.argwhere(room > min(0.42 * size, 0.9 * room.max()))
    for _ in range(20):
        if not len(index):
            return None
        centre = TEMPLATE.to_ras(index[rng.integers(len(index))][::-1] + rng.uniform(-0.4, 0.4, 3))
        others = [lump for d in placed if (lump := d.lumps[0]) is not None]
        gaps = [np.linalg.norm(centre - other.centre) - other.radius - size / 2 for other in others]
        if min(gaps, default=9) > 3:
            return centre
    return None

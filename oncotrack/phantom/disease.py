"""Nodes and lesions of one patient over all visits: where they sit, what they look like, how they change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from oncotrack.findings import Kind
from oncotrack.phantom.anatomy import TEMPLATE, Anatomy
from oncotrack.phantom.layers import Lump
from oncotrack.phantom.skeleton import LEVELS, spine_axis
from oncotrack.phantom.statistics import node_count, node_size, small_node_size
from oncotrack.phantom.tissues import INSTANCE

FATES = ("stable", "grows", "shrinks", "vanishes", "splits", "merges", "appears")

# station: region, anchor (R, A, S), spread (mm); AJCC neck levels, the IASLC mediastinal map, and the abdomen
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


@dataclass(frozen=True, eq=False)
class Deposit:
    """One node or lesion over time.

    Parameters
    ----------
    number : its value in the instance masks.
    lumps : one per visit; None where it is not there (not yet, gone, or merged).
    fates : what happened to it between visits, one less than visits.
    parent : number of the deposit it split from; `merged_into` : number of the one it became part of.
    deep : whether large vessels and bones are painted over it.
    hot : whether it takes up FDG. primary : whether it is the primary tumour.
    """

    number: int
    kind: Kind
    site: str
    region: str
    lumps: tuple[Lump | None, ...]
    fates: tuple[str, ...]
    deep: bool
    hot: bool
    small: bool = False
    primary: bool = False
    parent: int | None = None
    merged_into: int | None = None


def random_disease(
    rng: np.random.Generator, anatomy: Anatomy, visits: int, nodes: bool = True, lesions: bool = True
) -> list[Deposit]:
    """All nodes and lesions of one patient, placed in fat or in their organ, over `visits` visits."""
    first: list[Deposit] = []
    if nodes:
        first += _nodes(rng, anatomy)
    if lesions:
        first += _lesions(rng, anatomy, len(first))
    return _over_time(rng, first, visits)


def make_lump(
    rng: np.random.Generator,
    centre,
    long: float,
    short: float,
    tall: float,
    tissue: str,
    label: int,
    rough: float = 0.05,
) -> Lump:
    """A lump whose middle axial section has axes `long` x `short` and which is `tall` mm high, turned at random."""
    angle = rng.uniform(0, np.pi)
    c, s = np.cos(angle), np.sin(angle)
    shear = rng.normal(size=2) * 0.28
    flatten = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, -shear[0]], [0, 1, -shear[1]], [0, 0, 1]])
    metric = np.diag([2 / long, 2 / short, 2 / tall]) @ flatten
    count = 5
    waves = rng.normal(size=(count, 3))
    waves *= (rng.uniform(1.5, 4.5, count) * (2.0 if rough > 0.08 else 1.0) / np.linalg.norm(waves, axis=1))[:, None]
    bumps = np.concatenate([waves, rng.uniform(0, 2 * np.pi, (count, 1)), np.full((count, 1), rough)], 1)
    return Lump(tissue, label, np.asarray(centre, float), metric, bumps)


def node_lump(
    rng: np.random.Generator, centre, long: float, short: float, tall: float, tissue: str, label: int
) -> Lump:
    """A node whose outline is the bumpier the larger it is; its axes are corrected for what the bumps add."""
    rough = float(np.clip(0.025 + 0.0018 * long, 0.03, 0.1))
    size = 1 - 0.9 * (rough - 0.045)
    return replace(
        make_lump(rng, centre, long * size, short * size, tall * size * 1.05, tissue, label, rough), taper=1.65
    )


def scaled(lump: Lump, factor: float, shift=(0, 0, 0)) -> Lump:
    """The same lump `factor` times as large, moved by `shift` mm."""
    return replace(lump, metric=lump.metric / factor, centre=lump.centre + shift)


def pushes(deposits: Sequence[Deposit], visit: int, least_mm: float = 5.5) -> tuple[np.ndarray, np.ndarray]:
    """Centres (N, 3) and radii (N,) of the deep lumps that press tissue aside at a visit."""
    lumps = [d.lumps[visit] for d in deposits if d.deep and d.lumps[visit] is not None]
    lumps = [lump for lump in lumps if lump.radius > least_mm]
    return np.array([lump.centre for lump in lumps]).reshape(-1, 3), np.array([lump.radius for lump in lumps])


def _nodes(rng: np.random.Generator, anatomy: Anatomy) -> list[Deposit]:
    room = anatomy.room("visceral fat", "fat")
    involved = {"mediastinum": 0.75, "abdomen": 0.65, "neck": 0.5, "axilla": 0.35}
    wanted: list[tuple[str, tuple[float, float, float], bool]] = []
    for region, chance in involved.items():
        if rng.random() < chance:
            wanted += [(region, node_size(rng, region), False) for _ in range(node_count(rng, region))]
    regions = rng.choice(list(involved), size=rng.poisson(26), p=[0.34, 0.3, 0.22, 0.14])
    wanted += [(str(region), small_node_size(rng), True) for region in regions]
    wanted.sort(key=lambda item: -item[1][0])
    placed: list[Deposit] = []
    for region, (long, short, tall), small in wanted:
        names = [name for name, (where, *_) in STATIONS.items() if where == region]
        found = _free_place(rng, names, room, placed, (long + short + tall) / 6)
        if found is None:
            continue
        station, centre = found
        hot = not small and rng.random() < 1 / 3
        label = INSTANCE + len(placed)
        lump = node_lump(rng, centre, long, short, tall, "hot node" if hot else "node", label)
        if not small and rng.random() < 0.2:
            lump = replace(lump, core=("node necrosis", float(rng.uniform(0.35, 0.65)), rng.normal(size=3) * 0.1))
        elif not hot and rng.random() < (0.35 if small else 0.15):
            lump = replace(lump, core=("node fat", 0.3, _unit(rng) * 0.45))
        placed.append(Deposit(label, Kind.LYMPH_NODE, station, region, (lump,), (), True, hot, small))
    return placed


def _free_place(rng, names: list[str], room: np.ndarray, placed: list[Deposit], need: float):
    best, best_score = None, -np.inf
    for _ in range(80):
        name = names[rng.integers(len(names))]
        _, anchor, spread = STATIONS[name]
        centre = np.asarray(anchor) + rng.normal(size=3) * spread * np.array((1, 1, 1)) * (1.0 if need < 6 else 0.7)
        index = np.round(TEMPLATE.to_ijk(centre)).astype(int)
        if (index < 0).any() or (index >= TEMPLATE.size).any():
            continue
        clear = min(room[tuple(index[::-1])] / need, 1.0)
        gap = min((np.linalg.norm(centre - d.lumps[0].centre) - d.lumps[0].radius - need for d in placed), default=50.0)
        score = 1.5 * clear + 0.12 * min(gap, 2.0) + 0.2 * rng.random()
        if gap > -0.14 * need and score > best_score:
            best, best_score = (name, centre), score
    return best


def _lesions(rng: np.random.Generator, anatomy: Anatomy, taken: int) -> list[Deposit]:
    counts = {
        "lung": rng.poisson(1.6), "liver": rng.poisson(1.8) if rng.random() < 0.6 else 0,
        "adrenal": int(rng.random() < 0.3), "bone": rng.poisson(0.7), "soft tissue": rng.poisson(0.5),
    }  # fmt: skip
    placed: list[Deposit] = []
    for site, (organ, tissue, (least, most)) in SITES.items():
        for n in range(max(counts[site], 1 if site == "lung" else 0)):
            room = anatomy.room(organ)
            primary = site == "lung" and n == 0
            size = float(np.exp(rng.uniform(np.log(least), np.log(most)))) * (1.3 if primary else 1)
            centre = _host_place(rng, site, room, size, placed)
            if centre is None:
                continue
            label = INSTANCE + taken + len(placed)
            rough = 0.09 if site == "lung" and size > 10 else 0.05
            axes = size * np.array([1.0, rng.uniform(0.7, 0.95), rng.uniform(0.75, 1.1)])
            lump = make_lump(rng, centre, *axes, tissue, label, rough)
            if site in ("liver", "lung") and size > 22 and rng.random() < 0.4:
                lump = replace(lump, core=("node necrosis", float(rng.uniform(0.4, 0.6)), rng.normal(size=3) * 0.1))
            placed.append(
                Deposit(label, Kind.LESION, site, site, (lump,), (), False, bool(rng.random() < 0.85), False, primary)
            )
    return placed


def _host_place(rng, site: str, room: np.ndarray, size: float, placed: list[Deposit]) -> np.ndarray | None:
    if site == "adrenal":
        side = rng.choice([1, -1])
        return np.array([31.0, -16, -160]) if side > 0 else np.array([-33.0, -10, -164])
    if site == "bone" and rng.random() < 0.7:
        level = rng.choice(["T3", "T5", "T7", "T8", "T10", "T11", "L1", "L2"])
        z = LEVELS[str(level)]
        return np.array([rng.normal() * 5, float(spine_axis(z)) + rng.normal() * 3, z + rng.normal() * 3])
    index = np.argwhere(room > min(0.42 * size, 0.9 * room.max()))
    for _ in range(20):
        if not len(index):
            return None
        centre = TEMPLATE.to_ras(index[rng.integers(len(index))][::-1] + rng.uniform(-0.4, 0.4, 3))
        gaps = [np.linalg.norm(centre - d.lumps[0].centre) - d.lumps[0].radius - size / 2 for d in placed]
        if min(gaps, default=9) > 3:
            return centre
    return None


def _over_time(rng: np.random.Generator, deposits: list[Deposit], visits: int) -> list[Deposit]:
    next_number = INSTANCE + len(deposits)
    for visit in range(1, visits):
        born: list[Deposit] = []
        merging: set[int] = set()
        for n, deposit in enumerate(deposits):
            if len(deposit.lumps) > visit:
                continue
            now = deposit.lumps[-1]
            if now is None:
                deposits[n] = replace(deposit, lumps=(*deposit.lumps, None), fates=(*deposit.fates, "absent"))
                continue
            fate = str(rng.choice(FATES[:6], p=[0.3, 0.24, 0.24, 0.09, 0.06, 0.07]))
            if fate == "splits" and now.radius <= 5:
                fate = "stable"
            if deposit.small and fate in ("vanishes", "splits", "merges"):
                fate = "stable"
            after: Lump | None = scaled(now, rng.uniform(0.95, 1.06))
            if fate == "grows":
                after = scaled(now, rng.uniform(1.22, 1.7))
            elif fate == "shrinks":
                after = scaled(now, rng.uniform(0.4, 0.75))
            elif fate == "vanishes":
                after = None
            elif fate == "splits":
                apart = np.linalg.inv(now.metric)[:, 0] * 0.62
                after = scaled(now, 0.6, apart)
                piece = replace(scaled(now, rng.uniform(0.45, 0.55), -apart), label=next_number)
                born.append(replace(deposit, number=next_number, lumps=(*(None,) * visit, piece), parent=deposit.number,
                                    fates=(*("absent",) * (visit - 1), "appears"), primary=False))  # fmt: skip
                next_number += 1
            elif fate == "merges":
                other = _neighbour(deposits, n, merging)
                if other is None:
                    fate = "grows"
                    after = scaled(now, 1.3)
                else:
                    its = deposits[other].lumps[-1]
                    middle = (now.centre * now.radius**3 + its.centre * its.radius**3) / (now.radius**3 + its.radius**3)
                    after = scaled(
                        replace(now, centre=middle), 1.1 * ((now.radius**3 + its.radius**3) ** (1 / 3)) / now.radius
                    )
                    merging.add(deposits[other].number)
                    deposits[other] = replace(
                        deposits[other],
                        lumps=(*deposits[other].lumps, None),
                        fates=(*deposits[other].fates, "merges"),
                        merged_into=deposit.number,
                    )
            deposits[n] = replace(deposit, lumps=(*deposit.lumps, after), fates=(*deposit.fates, fate))
        for _ in range(rng.poisson(1.0)):
            models = [d for d in deposits if d.lumps[0] is not None and not d.primary and d.merged_into is None]
            if not models:
                break
            model = models[rng.integers(len(models))]
            near = model.lumps[0]
            place = near.centre + _unit(rng) * (near.radius + 9)
            lump = replace(
                near, centre=place, label=next_number, metric=near.metric * near.radius / rng.uniform(3.5, 7)
            )
            born.append(replace(model, number=next_number, lumps=(*(None,) * visit, lump), parent=None, small=False,
                                fates=(*("absent",) * (visit - 1), "appears")))  # fmt: skip
            next_number += 1
        deposits += born
    return deposits


def _neighbour(deposits: list[Deposit], n: int, merging: set[int]) -> int | None:
    """The nearest later deposit of the same region that one can grow into."""
    mine = deposits[n].lumps[-1]
    best, best_gap = None, 14.0
    for m in range(n + 1, len(deposits)):
        its = deposits[m].lumps[-1]
        if its is None or deposits[m].number in merging or deposits[m].region != deposits[n].region:
            continue
        gap = float(np.linalg.norm(mine.centre - its.centre)) - mine.radius - its.radius
        if gap < best_gap:
            best, best_gap = m, gap
    return best


def _unit(rng: np.random.Generator) -> np.ndarray:
    v = rng.normal(size=3)
    return v / np.linalg.norm(v)

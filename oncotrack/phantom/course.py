"""The course of one node or lesion: it grows, shrinks, vanishes, splits, merges or appears between visits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from oncotrack.findings.finding import Kind
from oncotrack.phantom.layers import Lump
from oncotrack.phantom.lumps import scale_lump
from oncotrack.phantom.tissues import INSTANCE

FATES = ("stable", "grows", "shrinks", "vanishes", "splits", "merges", "appears")


@dataclass(frozen=True, eq=False)
class Deposit:
    """One node or lesion over time.

    Parameters
    ----------
    number : int
        Its value in the instance masks.
    kind : Kind
        Lymph node or lesion.
    site, region : str
        Anatomical site, and the region that sizes and counts are drawn for.
    lumps : tuple of Lump or None
        One per visit; None where it is not present (not yet, no longer, or merged).
    fates : tuple of str
        What happened to it between visits, one less than visits.
    deep : bool
        Whether large vessels and bones are painted over it.
    hot : bool
        Whether it shows FDG uptake.
    small : bool
        Whether it is a node of normal size.
    primary : bool
        Whether it is the primary tumour.
    parent : int, optional
        Number of the deposit it split from.
    merged_into : int, optional
        Number of the deposit it became part of.
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


def over_time(rng: np.random.Generator, deposits: list[Deposit], visits: int) -> list[Deposit]:
    """Give the deposits of the first visit a lump (or none) at every later visit, and append split and new ones."""
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
            after: Lump | None = scale_lump(now, rng.uniform(0.95, 1.06))
            if fate == "grows":
                after = scale_lump(now, rng.uniform(1.22, 1.7))
            elif fate == "shrinks":
                after = scale_lump(now, rng.uniform(0.4, 0.75))
            elif fate == "vanishes":
                after = None
            elif fate == "splits":
                shift = np.linalg.inv(now.metric)[:, 0] * 0.62
                after = scale_lump(now, 0.6, shift)
                piece = replace(scale_lump(now, rng.uniform(0.45, 0.55), -shift), label=next_number)
                born.append(replace(deposit, number=next_number, lumps=(*(None,) * visit, piece), parent=deposit.number,
                                    fates=(*("absent",) * (visit - 1), "appears"), primary=False))  # fmt: skip
                next_number += 1
            elif fate == "merges":
                found = _neighbour(deposits, n, now, merging)
                if found is None:
                    fate = "grows"
                    after = scale_lump(now, 1.3)
                else:
                    other, other_lump = found
                    middle = (now.centre * now.radius**3 + other_lump.centre * other_lump.radius**3) / (
                        now.radius**3 + other_lump.radius**3
                    )
                    after = scale_lump(
                        replace(now, centre=middle),
                        1.1 * ((now.radius**3 + other_lump.radius**3) ** (1 / 3)) / now.radius,
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
            models = [(d, d.lumps[0]) for d in deposits if not d.primary and d.merged_into is None]
            models = [(d, first) for d, first in models if first is not None]
            if not models:
                break
            model, near = models[rng.integers(len(models))]
            centre = near.centre + unit(rng) * (near.radius + 9)
            lump = replace(
                near, centre=centre, label=next_number, metric=near.metric * near.radius / rng.uniform(3.5, 7)
            )
            born.append(replace(model, number=next_number, lumps=(*(None,) * visit, lump), parent=None, small=False,
                                fates=(*("absent",) * (visit - 1), "appears")))  # fmt: skip
            next_number += 1
        deposits += born
    return deposits


def _neighbour(deposits: list[Deposit], n: int, lump: Lump, merging: set[int]) -> tuple[int, Lump] | None:
    """Return index and lump of the nearest later deposit of the same region that lump `mine` can merge with."""
    best, best_gap = None, 14.0
    for m in range(n + 1, len(deposits)):
        other_lump = deposits[m].lumps[-1]
        if other_lump is None or deposits[m].number in merging or deposits[m].region != deposits[n].region:
            continue
        gap = float(np.linalg.norm(lump.centre - other_lump.centre)) - lump.radius - other_lump.radius
        if gap < best_gap:
            best, best_gap = (m, other_lump), gap
    return best


def unit(rng: np.random.Generator) -> np.ndarray:
    """Draw a random direction (3,)."""
    v = rng.normal(size=3)
    return v / np.linalg.norm(v)

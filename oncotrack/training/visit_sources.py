"""Where pairs of visits to learn from come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from oncotrack.datasets.lesion_visits import LesionVisits, dls_visits, phantom_visits
from oncotrack.datasets.node_scans import HELD_OUT
from oncotrack.datasets.warped_visits import warped_visits
from oncotrack.errors import InputError
from oncotrack.images.files import load

VISITS = 3
"""Scans of a synthetic patient; each two of them are a pair."""


@dataclass(frozen=True)
class VisitSources:
    """Pairs of visits with known lesions: made, or read.

    Parameters
    ----------
    phantoms : int
        Synthetic patients, seeds 0 and up.
    warp : sequence of Path
        Real CTs into which lesions are put and that are moved.
    warps : int
        Pairs made of those, in turn.
    dls : (Path, Path), optional
        Annotation file and images of the Deep Longitudinal Study.
    """

    phantoms: int = 0
    warp: Sequence[Path] = ()
    warps: int = 0
    dls: tuple[Path, Path] | None = None

    def jobs(self) -> Iterable[tuple[str, Callable[[], list[LesionVisits]]]]:
        """A key and a maker for every patient.

        Raises
        ------
        InputError
            More patients than there are seeds to train on.
        """
        if max(self.phantoms, self.warps) >= HELD_OUT:
            raise InputError(f"At most {HELD_OUT - 1} synthetic pairs can be made; later seeds are for testing.")
        if self.warp and self.warps:
            volumes = [load(path) for path in self.warp]
            for seed in range(self.warps):
                yield f"warped-{seed}", partial(_warped, volumes[seed % len(volumes)], seed)
        for seed in range(self.phantoms):
            yield f"phantom-{seed}", partial(phantom_visits, seed, VISITS)
        if self.dls:
            for number, pair in enumerate(dls_visits(*self.dls)):
                yield f"dls-{number}", lambda pair=pair: [pair]

    def __str__(self) -> str:
        parts = [f"{self.phantoms} synthetic patients"] * bool(self.phantoms)
        if self.warp and self.warps:
            parts.append(
                f"{self.warps} pairs made of {', '.join(p.name for p in self.warp)}, warped, with lesions put in"
            )
        parts += ["Deep Longitudinal Study"] * (self.dls is not None)
        return "; ".join(parts)


def _warped(volume, seed: int) -> list[LesionVisits]:
    return [warped_visits(volume, seed)]

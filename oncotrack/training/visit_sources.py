"""Sources of pairs of visits with known lesions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from oncotrack.datasets.lesion_visits import LesionVisits, dls_visits, phantom_visits
from oncotrack.datasets.warped_visits import warped_visits
from oncotrack.images.volume import Volume
from oncotrack.training.synthetic_jobs import background_jobs, check_seeds

VISITS = 3
"""Scans of a synthetic patient; every two of them are a pair."""


@dataclass(frozen=True)
class VisitSources:
    """Pairs of visits with known lesions, synthetic or from data sets.

    Parameters
    ----------
    phantoms : int
        Synthetic patients, from seed 0.
    warp : sequence of Path
        Real CTs that lesions are inserted into and that are deformed.
    warps : int
        Pairs made from those, in turn.
    dls : (Path, Path), optional
        Annotation file and images of the Deep Longitudinal Study.
    """

    phantoms: int = 0
    warp: Sequence[Path] = ()
    warps: int = 0
    dls: tuple[Path, Path] | None = None

    def jobs(self) -> Iterable[tuple[str, Callable[[], list[LesionVisits]]]]:
        """Yield a key and a function that makes or reads the pairs, for every patient.

        Raises
        ------
        InputError
            More patients than there are seeds to train on.
        """
        check_seeds("pairs", self.phantoms, self.warps)
        yield from background_jobs("warped", self.warp, self.warps, _warped)
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


def _warped(volume: Volume, seed: int) -> list[LesionVisits]:
    return [warped_visits(volume, seed)]

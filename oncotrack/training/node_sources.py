"""Sources of scans with known lymph nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from oncotrack.datasets import folder, nih_lymph_nodes
from oncotrack.datasets.case import Case
from oncotrack.datasets.node_scans import phantom_scan
from oncotrack.datasets.scan_variation import varied_scan
from oncotrack.findings.finding import Kind
from oncotrack.training.synthetic_jobs import background_jobs, check_seeds


@dataclass(frozen=True)
class NodeSources:
    """Scans with known nodes, synthetic or from data sets.

    Parameters
    ----------
    phantoms : int
        Synthetic scans, from seed 0.
    insert : sequence of Path
        Real CTs that synthetic nodes are inserted into.
    insertions : int
        Scans made from those, in turn, with thicker slices, another kernel or more noise.
    nih : (Path, Path), optional
        Scans and masks of NIH CT Lymph Nodes.
    folder : Path, optional
        Any folder of CTs with node masks.
    """

    phantoms: int = 0
    insert: Sequence[Path] = ()
    insertions: int = 0
    nih: tuple[Path, Path] | None = None
    folder: Path | None = None

    def jobs(self) -> Iterable[tuple[str, Callable[[], Case]]]:
        """Yield a key and a function that makes or reads the case, for every scan.

        Raises
        ------
        InputError
            More scans than there are seeds to train on.
        """
        check_seeds("scans", self.phantoms, self.insertions)
        for seed in range(self.phantoms):
            yield f"phantom-{seed}", partial(phantom_scan, seed)
        yield from background_jobs("inserted", self.insert, self.insertions, varied_scan)
        annotated = [nih_lymph_nodes.cases(*self.nih)] if self.nih else []
        annotated += [folder.cases(self.folder, kind=Kind.LYMPH_NODE)] if self.folder else []
        for number, case in enumerate(chain.from_iterable(annotated)):
            yield f"annotated-{number}", lambda case=case: case

    def __str__(self) -> str:
        parts = [f"{self.phantoms} synthetic scans"] * bool(self.phantoms)
        if self.insert and self.insertions:
            parts.append(
                f"{self.insertions} scans made of {', '.join(p.name for p in self.insert)} with inserted nodes"
            )
        parts += ["NIH CT Lymph Nodes"] * (self.nih is not None)
        parts += [f"annotated scans of {self.folder}"] * (self.folder is not None)
        return "; ".join(parts)

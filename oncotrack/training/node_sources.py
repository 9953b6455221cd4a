"""Where nodes to learn from come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from oncotrack.datasets import folder, nih_lymph_nodes
from oncotrack.datasets.case import Case
from oncotrack.datasets.node_scans import HELD_OUT, inserted_scan, phantom_scan
from oncotrack.errors import InputError
from oncotrack.findings.finding import Kind
from oncotrack.images.files import load


@dataclass(frozen=True)
class NodeSources:
    """Scans with known nodes: made, or read.

    Parameters
    ----------
    phantoms : int
        Synthetic scans, seeds 0 and up.
    insert : sequence of Path
        Real CTs into which nodes are put.
    insertions : int
        Scans made of those, in turn.
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
        """A key and a maker for every scan.

        Raises
        ------
        InputError
            More scans than there are seeds to train on.
        """
        if max(self.phantoms, self.insertions) >= HELD_OUT:
            raise InputError(f"At most {HELD_OUT - 1} synthetic scans can be made; later seeds are for testing.")
        for seed in range(self.phantoms):
            yield f"phantom-{seed}", partial(phantom_scan, seed)
        if self.insert and self.insertions:
            volumes = [load(path) for path in self.insert]
            for seed in range(self.insertions):
                yield f"inserted-{seed}", partial(inserted_scan, volumes[seed % len(volumes)], seed)
        read = [nih_lymph_nodes.cases(*self.nih)] if self.nih else []
        read += [folder.cases(self.folder, kind=Kind.LYMPH_NODE)] if self.folder else []
        for number, case in enumerate(chain.from_iterable(read)):
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

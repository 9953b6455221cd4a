"""What the PET/CT detectors found in one study, row by row, and its file: a long evaluation continues where it stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oncotrack.atomic import replacing
from oncotrack.evaluation.detection import Comparison
from oncotrack.evaluation.petct import Sweep


@dataclass(frozen=True, eq=False)
class StudyRows:
    """One study: the sweep of every first stage and setting, and the comparison of every second stage, by name."""

    sweeps: dict[str, Sweep]
    comparisons: dict[str, Comparison]

    def save(self, path: Path, weights: Mapping[str, str]) -> None:
        """Write the rows.

        Parameters
        ----------
        path : Path
            An ``.npz`` file; its folder is made.
        weights : mapping of str to str
            SHA-256 of the weights that made them, by name.
        """
        arrays = {
            f"sweep {key} {name}": value for key, each in self.sweeps.items() for name, value in vars(each).items()
        }
        arrays |= {
            f"comparison {key} {name}": value
            for key, each in self.comparisons.items()
            for name, value in vars(each).items()
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, weights=np.array(json.dumps(dict(weights))), **arrays)

    @classmethod
    def load(cls, path: Path, weights: Mapping[str, str]) -> StudyRows | None:
        """Read the rows of a study.

        Parameters
        ----------
        path : Path
            Written by `save`.
        weights : mapping of str to str
            SHA-256 of the weights, by name.

        Returns
        -------
        StudyRows or None
            None without a file, or where other weights made it.
        """
        if not path.is_file():
            return None
        with np.load(path) as file:
            if json.loads(str(file["weights"])) != dict(weights):
                return None
            arrays = {name: file[name] for name in file.files if name != "weights"}
        found: dict[str, dict[str, dict[str, np.ndarray]]] = {"sweep": {}, "comparison": {}}
        for name, value in arrays.items():
            kind, rest = name.split(" ", 1)
            key, field = rest.rsplit(" ", 1)
            found[kind].setdefault(key, {})[field] = value
        return cls(
            {key: Sweep(**fields) for key, fields in found["sweep"].items()},
            {key: Comparison(**fields) for key, fields in found["comparison"].items()},
        )

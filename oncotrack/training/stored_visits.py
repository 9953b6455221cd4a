"""Pairs of visits kept on disk, one safetensors file each, so that any part of them is read fast on any grid."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from oncotrack.atomic import replacing, write_text
from oncotrack.background.jobs import Progress, silent
from oncotrack.datasets.lesion_visits import LesionVisits, VisitLesion
from oncotrack.errors import TrainingError
from oncotrack.images.geometry import Geometry, transform_points
from oncotrack.images.volume import Volume

FINEST_MM = 1.2
_SCANS = ("baseline", "followup")
_PLACES = ("lesions", "landmarks")


def store(
    folder: Path, jobs: Iterable[tuple[str, Callable[[], list[LesionVisits]]]], about: str, progress: Progress = silent
) -> list[Path]:
    """Write what the jobs make; what is there already is kept.

    A file holds ``baseline`` and ``followup``, (D, H, W) int16 HU, and grids and lesions in its metadata. `about` tells
    what the pairs are; a folder of others is refused.

    Raises
    ------
    TrainingError
        The folder holds other pairs.
    """
    mark = folder / "about.txt"
    if mark.is_file():
        told, *names = mark.read_text(encoding="utf-8").splitlines()
        if told != about:
            raise TrainingError(f"{folder} holds other scans ({told}). Choose another folder, or remove it.")
        return [folder / name for name in names]
    paths: list[Path] = []
    for number, (key, make) in enumerate(jobs, 1):
        progress(0.0, f"Preparing patient {number}")
        paths += _kept(folder, key, make)
    write_text(mark, "\n".join([about, *(path.name for path in paths)]) + "\n")
    return paths


def _kept(folder: Path, key: str, make: Callable[[], list[LesionVisits]]) -> list[Path]:
    """The files of one job; the last of them is written last, under a name that tells how many they are."""
    done = sorted(folder.glob(f"{key}-*of*.safetensors"))
    if done and len(done) == int(done[0].stem.rsplit("of", 1)[1]):
        return done
    made = [pair for pair in make() if pair.lesions]
    paths = [folder / f"{key}-{n}of{len(made)}.safetensors" for n in range(1, len(made) + 1)]
    for path, pair in zip(paths, made, strict=True):
        _write(path, pair)
    return paths


def _write(path: Path, pair: LesionVisits) -> None:
    from safetensors.torch import save_file

    scans = {name: _coarsened(getattr(pair, name)) for name in _SCANS}
    tensors = {
        name: torch.from_numpy(np.clip(np.round(scan.array), -1024, 3071).astype(np.int16))
        for name, scan in scans.items()
    }
    metadata = {"name": pair.name, "patient": pair.patient}
    for kind in _PLACES:
        metadata[kind] = json.dumps([[each.places, each.radii_mm, each.groups] for each in getattr(pair, kind)])
    metadata |= {name: json.dumps(scan.geometry.ijk_to_ras.tolist()) for name, scan in scans.items()}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata)


def _coarsened(scan: Volume) -> Volume:
    wide = [*np.maximum(scan.spacing[:2], FINEST_MM), scan.spacing[2]]
    return scan if np.allclose(wide, scan.spacing) else scan.resampled(scan.geometry.with_spacing(wide))


class StoredVisits:
    """One stored pair.

    Parameters
    ----------
    path : Path
        What `store` wrote.
    """

    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        self._path = path
        with safe_open(path, framework="pt") as file:
            told = file.metadata()
            sizes = {name: file.get_slice(name).get_shape()[::-1] for name in _SCANS}
        self.patient = told["patient"]
        self.grids = tuple(Geometry.from_matrix(sizes[name], np.array(json.loads(told[name]))) for name in _SCANS)
        self.lesions, self.landmarks = (
            tuple(
                VisitLesion(tuple(map(tuple, places)), tuple(radii), tuple(groups))
                for places, radii, groups in json.loads(told[kind])
            )
            for kind in _PLACES
        )

    def part(self, visit: int, grid: Geometry, mapping: np.ndarray | None = None, fill: float = -1024.0) -> np.ndarray:
        """HU of a scan (0 baseline, 1 follow-up) on another grid, (D, H, W) float32; `fill` outside the scan.

        Interpolated linearly and not averaged: stored pixels are no finer than `FINEST_MM`. `mapping` is a (4, 4)
        affine from RAS of `grid` to RAS of the scan.
        """
        from safetensors import safe_open

        scan = self.grids[visit]
        pull = scan.ras_to_ijk @ (np.eye(4) if mapping is None else mapping) @ grid.ijk_to_ras
        corners = np.stack(np.meshgrid(*[(0, n - 1) for n in grid.size]), -1).reshape(-1, 3)
        seen = transform_points(pull, corners)
        low = np.clip(np.floor(seen.min(0)), 0, np.array(scan.size) - 2).astype(int)
        high = np.clip(np.ceil(seen.max(0)) + 1, low + 2, scan.size).astype(int)
        with safe_open(self._path, framework="np") as file:
            array = file.get_slice(_SCANS[visit])[low[2] : high[2], low[1] : high[1], low[0] : high[0]]
        pull[:3, 3] -= low
        theta = torch.from_numpy(np.linalg.inv(_unit(array.shape)) @ pull @ _unit(grid.shape))[None, :3].float()
        places = F.affine_grid(theta, [1, 1, *grid.shape], align_corners=True)
        source = torch.from_numpy(array.astype(np.float32))[None, None] - fill
        return (F.grid_sample(source, places, align_corners=True)[0, 0] + fill).numpy()


def _unit(shape: Sequence[int]) -> np.ndarray:
    """(4, 4) from torch's coordinates of a (D, H, W) grid, -1 to 1 along x, y, z, to its voxels."""
    half = (np.array(shape[::-1]) - 1) / 2
    matrix = np.diag([*half, 1.0])
    matrix[:3, 3] = half
    return matrix

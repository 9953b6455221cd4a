"""Pairs of visits stored in one safetensors file each, so that any part of them is read fast on any grid."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from oncotrack.atomic import replacing
from oncotrack.background.jobs import Progress, silent
from oncotrack.datasets.lesion_visits import LesionVisits, VisitLesion
from oncotrack.images.geometry import Geometry, transform_points
from oncotrack.images.volume import Volume
from oncotrack.training.prepared import prepare

FINEST_MM = 1.2
_SCANS = ("baseline", "followup")
_LESION_LISTS = ("lesions", "landmarks")


def store(
    folder: Path, jobs: Iterable[tuple[str, Callable[[], list[LesionVisits]]]], about: str, progress: Progress = silent
) -> list[Path]:
    """Write each pair to one safetensors file, unless the folder is complete; see `prepare`.

    A file contains ``baseline`` and ``followup``, (D, H, W) int16 HU; the grids and the lesions are in its metadata.

    Parameters
    ----------
    folder : Path
        Receives the files.
    jobs : iterable of (str, callable)
        A key for the file names, and a function that makes the pairs of one patient.
    about : str
        Description of the pairs; a folder with another description is refused.
    progress : callable
        Receives the completed fraction (0 to 1) and a message.

    Returns
    -------
    list of Path
        One file for each pair with lesions.

    Raises
    ------
    TrainingError
        The folder holds other pairs.
    """
    return prepare(folder, jobs, about, partial(_write_pairs, folder), progress, "patient")


def _write_pairs(folder: Path, key: str, make: Callable[[], list[LesionVisits]]) -> list[Path]:
    """Write the files of one job, unless all of them exist; each name contains the number of files."""
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

    scans = {name: _coarsen(getattr(pair, name)) for name in _SCANS}
    tensors = {
        name: torch.from_numpy(np.clip(np.round(scan.array), -1024, 3071).astype(np.int16))
        for name, scan in scans.items()
    }
    metadata = {"name": pair.name, "patient": pair.patient}
    for kind in _LESION_LISTS:
        metadata[kind] = json.dumps([[each.positions, each.radii_mm, each.groups] for each in getattr(pair, kind)])
    metadata |= {name: json.dumps(scan.geometry.ijk_to_ras.tolist()) for name, scan in scans.items()}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata)


def _coarsen(scan: Volume) -> Volume:
    """Resample a scan in the slice to pixels of at least `FINEST_MM`."""
    spacing = [*np.maximum(scan.spacing[:2], FINEST_MM), scan.spacing[2]]
    return scan if np.allclose(spacing, scan.spacing) else scan.resampled(scan.geometry.with_spacing(spacing))


class StoredVisits:
    """One stored pair.

    Parameters
    ----------
    path : Path
        Written by `store`.
    """

    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        self._path = path
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            sizes = {name: file.get_slice(name).get_shape()[::-1] for name in _SCANS}
        self.patient = metadata["patient"]
        self.grids = tuple(Geometry.from_matrix(sizes[name], np.array(json.loads(metadata[name]))) for name in _SCANS)
        self.lesions, self.landmarks = (
            tuple(
                VisitLesion((tuple(centres[0]), tuple(centres[1])), (radii[0], radii[1]), tuple(groups))
                for centres, radii, groups in json.loads(metadata[kind])
            )
            for kind in _LESION_LISTS
        )

    def part(self, visit: int, grid: Geometry, mapping: np.ndarray | None = None, fill: float = -1024.0) -> np.ndarray:
        """Resample a scan to another grid.

        Interpolation is linear without averaging: stored pixels are no finer than `FINEST_MM`.

        Parameters
        ----------
        visit : int
            0 is the baseline, 1 the follow-up.
        grid : Geometry
            Grid of the result.
        mapping : (4, 4) ndarray, optional
            Affine from RAS of `grid` to RAS of the scan; the identity if missing.
        fill : float
            HU outside the scan.

        Returns
        -------
        (D, H, W) float32 ndarray
            HU.
        """
        from safetensors import safe_open

        scan = self.grids[visit]
        pull = scan.ras_to_ijk @ (np.eye(4) if mapping is None else mapping) @ grid.ijk_to_ras
        corners = np.stack(np.meshgrid(*[(0, n - 1) for n in grid.size]), -1).reshape(-1, 3)
        voxels = transform_points(pull, corners)
        low = np.clip(np.floor(voxels.min(0)), 0, np.array(scan.size) - 2).astype(int)
        high = np.clip(np.ceil(voxels.max(0)) + 1, low + 2, scan.size).astype(int)
        with safe_open(self._path, framework="np") as file:
            array = file.get_slice(_SCANS[visit])[low[2] : high[2], low[1] : high[1], low[0] : high[0]]
        pull[:3, 3] -= low
        theta = torch.from_numpy(np.linalg.inv(_unit_to_voxels(array.shape)) @ pull @ _unit_to_voxels(grid.shape))[
            None, :3
        ].float()
        positions = F.affine_grid(theta, [1, 1, *grid.shape], align_corners=True)
        source = torch.from_numpy(array.astype(np.float32))[None, None] - fill
        return (F.grid_sample(source, positions, align_corners=True)[0, 0] + fill).numpy()


def _unit_to_voxels(shape: Sequence[int]) -> np.ndarray:
    """Return the (4, 4) affine from torch's coordinates of a (D, H, W) grid, -1 to 1 along x, y, z, to its voxels."""
    half = (np.array(shape[::-1]) - 1) / 2
    matrix = np.diag([*half, 1.0])
    matrix[:3, 3] = half
    return matrix

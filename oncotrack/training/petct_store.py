"""PET/CT studies with their truth, stored on the grid of the first stage."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from oncotrack.atomic import replacing
from oncotrack.background.jobs import Progress, silent
from oncotrack.datasets.petct_scans import PETCTScan
from oncotrack.detection.petct.config import StageOneConfig
from oncotrack.detection.petct.distance import is_proximal
from oncotrack.detection.petct.study import WorkingStudy, working_study
from oncotrack.findings.finding import Kind
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.training.prepared import prepare

_POINTS = 3000
_HOT_SUV = 2.5
_AIR = 0.02


@dataclass(frozen=True, eq=False)
class KnownStudy:
    """A study with its truth.

    Attributes
    ----------
    study : WorkingStudy
        Images and distance map.
    labels : (D, H, W) uint8 ndarray
        Numbers of the significant nodes.
    organs : (D, H, W) uint8 ndarray
        Labels of `phantom.tissues.ORGANS`, 0 where unknown.
    instances : (D, H, W) int16 ndarray
        Numbers of all nodes and lesions.
    about : dict
        By those numbers as text: kind, site, region, axes in mm, uptake.
    """

    study: WorkingStudy
    labels: np.ndarray
    organs: np.ndarray
    instances: np.ndarray
    about: dict[str, Any]


def known_study(scan: PETCTScan, config: StageOneConfig) -> KnownStudy:
    """Bring a synthetic study and its truth to the grid of the first stage."""
    case = scan.case
    study = working_study(case.images["ct"], case.images["pet"], scan.tumour, config)
    maps = (case.masks["ct"], scan.truth.organs, scan.truth.masks)
    labels, organs, instances = (each.resampled(study.geometry, fill=0, nearest=True).array for each in maps)
    about = {
        str(i.mask_number): {
            "node": i.kind is Kind.LYMPH_NODE, "site": i.site, "region": i.region, "hot": i.hot, "small": i.small, "primary": i.primary,
            "short": i.short_axis.length_mm, "long": i.long_axis.length_mm,
        }
        for i in scan.truth.instances
    }  # fmt: skip
    return KnownStudy(study, labels.astype(np.uint8), organs.astype(np.uint8), instances.astype(np.int16), about)


def write_study(path: Path, scan: PETCTScan, config: StageOneConfig) -> None:
    """Write a study for training.

    The safetensors file contains ``ct`` uint8 (0-255 for 0-1), ``pet`` and ``distance`` float16, ``labels``, ``organs`` and
    ``instances`` of `KnownStudy`; and for each region the voxels (n, 3) that samples are drawn from: of significant nodes,
    of other high uptake, and of the body.
    """
    from safetensors.torch import save_file

    known = known_study(scan, config)
    study, rng = known.study, np.random.default_rng(0)
    near, body = is_proximal(study.distance, config.border_mm), study.ct > _AIR
    hot = (study.pet > _HOT_SUV) & (known.labels == 0)
    arrays: dict[str, np.ndarray] = {
        "ct": np.rint(study.ct * 255).astype(np.uint8), "pet": study.pet.astype(np.float16),
        "distance": study.distance.astype(np.float16), "labels": known.labels, "organs": known.organs,
        "instances": known.instances,
    }  # fmt: skip
    for region, where in (("proximal", near), ("distal", ~near), ("all", np.ones_like(near))):
        for name, voxels in (("nodes", known.labels > 0), ("hot", hot), ("body", body)):
            arrays[f"{region} {name}"] = _some(voxels & where, rng)
    uptake = study.pet[body]
    header = {
        "matrix": json.dumps(study.geometry.ijk_to_ras.tolist()), "about": json.dumps(known.about),
        "pet": json.dumps([float(uptake.mean()), float((uptake**2).mean())]),
    }  # fmt: skip
    with replacing(path) as temporary:
        save_file({name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}, temporary, header)


def read_study(path: Path, config: StageOneConfig) -> KnownStudy:
    """Read what `write_study` wrote; the CT is that of the grid."""
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        ct, pet, distance, labels, organs, instances = (
            file.get_tensor(name) for name in ("ct", "pet", "distance", "labels", "organs", "instances")
        )
        header = file.metadata()
    geometry = Geometry.from_matrix(ct.shape[::-1], np.array(json.loads(header["matrix"])))
    scaled = ct.astype(np.float32) / 255
    low, high = config.hu
    volume = Volume((scaled * (high - low) + low).astype(np.float32), geometry, path.stem, "CT")
    study = WorkingStudy(volume, geometry, scaled, pet.astype(np.float32), distance.astype(np.float32))
    return KnownStudy(study, labels, organs, instances, json.loads(header["about"]))


def store_studies(
    folder: Path,
    jobs: Iterable[tuple[str, Callable[[], PETCTScan]]],
    about: str,
    config: StageOneConfig,
    progress: Progress = silent,
) -> list[Path]:
    """Write each study to one file, unless the folder is complete; see `prepare`."""

    def write(key: str, make: Callable[[], PETCTScan]) -> list[Path]:
        path = folder / f"{key}.safetensors"
        if not path.is_file():
            write_study(path, make(), config)
        return [path]

    return prepare(folder, jobs, f"{about}, voxels of {config.spacing_mm} mm", write, progress)


def pet_statistics(paths: Iterable[Path]) -> tuple[float, float]:
    """Return mean and standard deviation of the PET inside the body over stored studies (OSLN, sec. 4.1)."""
    from safetensors import safe_open

    moments = []
    for path in paths:
        with safe_open(path, framework="np") as file:
            moments.append(json.loads(file.metadata()["pet"]))
    mean, square = np.mean(moments, axis=0)
    return float(mean), float(np.sqrt(max(square - mean**2, 1e-6)))


def _some(voxels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the positions of at most `_POINTS` voxels, (n, 3) int16."""
    found = np.argwhere(voxels)
    if len(found) > _POINTS:
        found = found[rng.choice(len(found), _POINTS, replace=False)]
    return found.astype(np.int16).reshape(-1, 3)

"""Deep Longitudinal Study (DLS): lesion pairs over DeepLesion, as released with Deep Lesion Tracker.

J. Cai et al., "Deep Lesion Tracker: monitoring lesions in 4D longitudinal imaging studies", CVPR 2021, sec. 5.1.
A record's positions are voxels (x, y, z) of the sub-volume named in the record (slices a to b of a series),
z counted in DeepLesion's slice order, which runs towards the feet. Its "recist diameter" is in **pixels**, whatever
the release's own description says: multiply by the spacing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from oncotrack.datasets.case import Case, annotated_observation, truth_list
from oncotrack.datasets.dicom_tree import require_file, require_path
from oncotrack.errors import InputError
from oncotrack.findings.finding import Box, Finding, Observation
from oncotrack.images.files import load
from oncotrack.images.volume import Volume
from oncotrack.json_text import read_text

SOURCE = "DLS"
DIRECTED_PAIRS = {"valid": 906, "test": 960}
"""Records in the released files, two for each pair: 453 validation pairs (the paper states 403) and 480 test pairs."""

_LENGTHS = {"center": 3, "box": 6, "spacing": 3, "recist diameter": 2}


@dataclass(frozen=True)
class DLSLesion:
    """One end of a pair: voxel positions (x, y, z), millimetre sizes."""

    image: str
    centre: tuple[float, ...]
    box: tuple[float, ...]
    spacing: tuple[float, ...]
    diameters_mm: tuple[float, ...]

    @property
    def radius_mm(self) -> float:
        """Half the long diameter (DLT, sec. 5.1), mm."""
        return max(self.diameters_mm) / 2


@dataclass(frozen=True)
class Pair:
    """A directed pair: `source` must be found again as `target`; `guess` is the release's affine estimate (voxels)."""

    key: str
    source: DLSLesion
    target: DLSLesion
    guess: tuple[float, ...] | None


def read_records(path: str | Path) -> dict[str, dict]:
    """Read the records of an annotation or prediction file, unchanged, by their number in the file.

    The file holds an object of records, a list of them, or an object that holds that list under ``results`` or ``distances``.

    Raises
    ------
    InputError
        The file is missing, not JSON, or in none of these forms.
    """
    path = require_file(path, "a DLS annotation or prediction file")
    text = read_text(path, "could not be read as text. Choose a JSON file in the format of the DLT release.")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON or is cut off ({error}). Copy or write it again.") from error
    if isinstance(data, dict):
        data = data.get("results", data.get("distances", data))
    if isinstance(data, list):
        data = {str(n): record for n, record in enumerate(data, 1)}
    if not isinstance(data, dict) or not all(isinstance(record, dict) for record in data.values()):
        raise InputError(f'{path} holds no records: a list under "results", or an object of lesion pairs, is needed.')
    return data


def vector(record: dict, key: str, where: str) -> np.ndarray:
    """Return the numbers under a key of a record; InputError, naming record and key, when their count is wrong."""
    length = next((n for ending, n in _LENGTHS.items() if key.endswith(ending)), 3)
    try:
        values = np.asarray(record[key], float).ravel()
    except KeyError as error:
        raise InputError(f'{where} has no "{key}". Add it, or use the format of the DLT release.') from error
    except (TypeError, ValueError) as error:
        raise InputError(f'{where}: "{key}" does not hold {length} numbers. Write it again.') from error
    if len(values) != length or not np.isfinite(values).all():
        raise InputError(f'{where}: "{key}" holds {values.tolist()}; {length} finite numbers are needed.')
    return values


def read_pairs(path: str | Path, split: str | None = None) -> list[Pair]:
    """Read the directed pairs of an annotation file (train.json, valid.json, test.json).

    Parameters
    ----------
    path : path
        The annotation file.
    split : {"valid", "test"}, optional
        Verify their number against the release.
    """
    records = read_records(path)
    if split is not None and len(records) != DIRECTED_PAIRS.get(split, len(records)):
        raise InputError(
            f"{path} holds {len(records)} directed pairs; the released {split} set has {DIRECTED_PAIRS[split]}. "
            "Download it again."
        )

    def lesion(record: dict, end: str, where: str) -> DLSLesion:
        spacing = vector(record, f"{end} spacing", where)
        diameters = vector(record, f"{end} recist diameter", where) * spacing[0]
        centre, box = vector(record, f"{end} center", where), vector(record, f"{end} box", where)
        return DLSLesion(str(record.get(end, "")), *(tuple(v.tolist()) for v in (centre, box, spacing, diameters)))

    pairs = []
    for key, record in records.items():
        where = f"{path}, pair {key}"
        guess = tuple(vector(record, "predict target center", where)) if "predict target center" in record else None
        pairs.append(Pair(key, lesion(record, "source", where), lesion(record, "target", where), guess))
    return pairs


def to_ras(image: Volume, voxels: ArrayLike) -> np.ndarray:
    """Return RAS mm of (..., 3) positions (x, y, z) of the annotation in an exported sub-volume.

    x runs to the left, y to the back, z to the feet, however the export stored its axes, so that the first voxel
    of the annotation is the one furthest to the right, front and head.
    """
    geometry = image.geometry
    direction = np.abs(np.asarray(geometry.direction))
    if not np.allclose(direction, np.round(direction), atol=1e-3):
        raise InputError(
            f"{image.name} has oblique axes; DeepLesion's exports do not. Export it again from the PNG slices."
        )
    first = geometry.to_ras(np.array(np.meshgrid(*[(0, n - 1) for n in geometry.size])).reshape(3, -1).T).max(0)
    return first - np.asarray(voxels, float) * (direction @ geometry.spacing)


def cases(annotation: str | Path, images: str | Path, split: str | None = None) -> Iterator[Case]:
    """Yield the pairs with their images, one case per directed pair, observed at "baseline" and "follow-up".

    Parameters
    ----------
    annotation : path
        The annotation file, such as ``valid.json``.
    images : path
        Folder of the sub-volumes that DeepLesion's NIfTI export wrote (000004_02_01_007-019.nii.gz).

    Raises
    ------
    InputError
        An image is missing, or its spacing is not the annotated one.
    """
    folder = require_path(images, "the folder with DeepLesion's exported sub-volumes")

    @lru_cache(maxsize=4)
    def image(name: str) -> Volume:
        return load(require_path(folder / name, f"the sub-volume {name} of DLS"))

    for pair in read_pairs(annotation, split):
        ends = {"baseline": pair.source, "follow-up": pair.target}
        scans = {key: image(lesion.image) for key, lesion in ends.items()}
        observed = {key: _observation(scans[key], lesion) for key, lesion in ends.items()}
        name = f"{pair.source.image.split('.')[0]}_{pair.target.image.split('.')[0]}_{pair.key}"
        yield Case(name, scans, truth_list(name, scans, [Finding(label="L 1", observations=observed)]))


def _observation(image: Volume, lesion: DLSLesion) -> Observation:
    """Return one end of a pair in RAS mm; InputError when the image has other voxels than the annotation."""
    spacing = np.abs(np.asarray(image.geometry.direction)) @ image.spacing
    if not np.allclose(spacing, lesion.spacing, rtol=0.01):
        raise InputError(
            f"{image.name} has voxels of {np.round(spacing, 4).tolist()} mm, the annotation gives "
            f"{list(lesion.spacing)}. Export it again from DeepLesion."
        )
    low = np.array(lesion.box[:3])
    ends = to_ras(image, np.stack([low, low + lesion.box[3:]]))
    return annotated_observation(
        SOURCE,
        centre=tuple(to_ras(image, lesion.centre)),
        radius_mm=lesion.radius_mm,
        box=Box(tuple(ends.min(0)), tuple(ends.max(0))),
    )

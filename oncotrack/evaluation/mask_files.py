"""Evaluation of mask files against true mask files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from oncotrack.datasets.case import load_mask
from oncotrack.errors import InputError
from oncotrack.evaluation import masks
from oncotrack.evaluation.statistics import bootstrap_interval
from oncotrack.images.files import SUFFIXES, without_suffix
from oncotrack.images.volume import Volume

METRICS = ("Dice", "ASD", "Box IoU")


def evaluate_masks(truth: str | Path | Volume, predictions: str | Path | Volume) -> dict:
    """Compute Dice (percent), ASD (mm) and box IoU (percent) of masks (MR, sec. 4.4), all labels taken together.

    Parameters
    ----------
    truth, predictions : path or Volume
        Two mask files, two folders whose files have the same names (the same paths in them, where a name occurs twice
        in one), or two volumes in memory.

    Returns
    -------
    dict
        ``cases``; each metric's mean, ``... std`` and ``confidence_95``; ``ASD undefined``: cases in which exactly
        one of the two masks is empty; ``per_case``.

    Raises
    ------
    InputError
        Files are missing on one side (they are named), or two masks lie on different grids.
    """
    if isinstance(truth, Volume) and isinstance(predictions, Volume):
        per_case = [_compare(truth.name, truth, predictions)]
    elif isinstance(truth, Volume) or isinstance(predictions, Volume):
        raise InputError("Give two volumes, or two mask files or folders.")
    else:
        per_case = [_compare(name, load_mask(a), load_mask(b)) for name, a, b in _pairs(Path(truth), Path(predictions))]
    result: dict = {"task": "masks", "cases": len(per_case)}
    intervals = {}
    for metric in METRICS:
        values = np.array([case[metric] for case in per_case if case[metric] is not None])
        result[metric] = float(values.mean()) if len(values) else None
        result[f"{metric} std"] = float(values.std()) if len(values) else None
        intervals[metric] = bootstrap_interval(values)
    undefined = sum(case["ASD"] is None for case in per_case)
    return {**result, "ASD undefined": undefined, "confidence_95": intervals, "per_case": per_case}


def _compare(name: str, truth: Volume, predicted: Volume) -> dict:
    """Return the metrics of one case."""
    if truth.geometry.size != predicted.geometry.size or not np.allclose(
        truth.geometry.corners, predicted.geometry.corners, atol=0.1
    ):
        raise InputError(f"{name}: truth and prediction lie on different grids. Resample the prediction to the truth.")
    distance = masks.average_symmetric_surface_distance(truth.array, predicted.array, truth.spacing[::-1])
    return {
        "case": name,
        "Dice": masks.dice(truth.array, predicted.array),
        "ASD": None if np.isnan(distance) else distance,
        "Box IoU": masks.box_iou(truth.array, predicted.array),
    }


def _pairs(truth: Path, predictions: Path) -> list[tuple[str, Path, Path]]:
    """Return name, true file and predicted file of every case."""
    for path in (truth, predictions):
        if not path.exists():
            raise InputError(f"{path} does not exist. Give a mask file or a folder of them.")
    if truth.is_dir() != predictions.is_dir():
        raise InputError(f"{truth} and {predictions} must both be mask files or both be folders of them.")
    if truth.is_file():
        return [(truth.name, truth, predictions)]
    files = [
        sorted(path for path in folder.rglob("*") if path.name.lower().endswith(SUFFIXES))
        for folder in (truth, predictions)
    ]
    has_doubles = any(len({without_suffix(path.name) for path in each}) < len(each) for each in files)
    true, given = (
        _by_name(each, folder if has_doubles else None)
        for each, folder in zip(files, (truth, predictions), strict=True)
    )
    if not true:
        raise InputError(f"{truth} holds no mask files ({', '.join(SUFFIXES)}).")
    for missing, where in ((true.keys() - given.keys(), predictions), (given.keys() - true.keys(), truth)):
        if missing:
            shown = ", ".join(sorted(missing)[:3])
            raise InputError(
                f"{where} lacks {len(missing)} masks that the other folder has (such as {shown}). Add or remove them."
            )
    return [(name, path, given[name]) for name, path in true.items()]


def _by_name(files: Sequence[Path], folder: Path | None) -> dict[str, Path]:
    """Return mask files by their names without the suffix, or by their paths in a folder."""
    found: dict[str, Path] = {}
    for path in files:
        name = without_suffix(path.relative_to(folder).as_posix() if folder else path.name)
        if name in found:
            raise InputError(f"{found[name]} and {path} have the same name but for the suffix. Remove one of them.")
        found[name] = path
    return found

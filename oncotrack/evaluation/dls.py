"""Evaluation of a prediction file in the format of the DLT release against a DLS annotation file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from oncotrack.datasets.dls import read_records, vector
from oncotrack.errors import InputError
from oncotrack.evaluation import tracking
from oncotrack.evaluation.statistics import bootstrap_interval

_ROUNDING = {"target center": 0.11, "target box": 1.01, "target spacing": 1e-3, "target recist diameter": 0.11}
_TIME_KEYS = ("processing time", "prcessing time")  # the release spells it both ways


def evaluate_dls(truth_path: str | Path, predictions_path: str | Path) -> dict:
    """Compute the row of DLT's table 1, in all three definitions of CPM.

    Parameters
    ----------
    truth_path : path
        DLS annotation (valid.json, test.json).
    predictions_path : path
        JSON with a list under ``results`` (or the annotation's own form) whose items hold ``source``, ``target`` and
        ``predict target center`` (voxels x, y, z), in any order. ``source center`` and ``target center`` distinguish
        the lesions of one pair of scans. An item's own ``target ...`` values are used if they equal the truth's up to
        rounding, as in the released evaluator; otherwise the truth's are used, with a note in the result.

    Returns
    -------
    dict
        ``pairs``; ``MED``, ``MED_X``, ``MED_Y``, ``MED_Z`` (mm) each with ``... std``; ``CPM@10mm``, ``CPM@Radius``
        (DLT), both also with `` (TLT)`` and `` (UAE)`` (percent); ``confidence_95`` by resampling patients; ``seconds
        a volume``; ``initial`` and ``robust`` (the same keys) if the file holds ``initial center`` or ``predict target
        inner points``; ``errors_mm`` in the order of the truth; ``notes``. Without any prediction the CPM are 0.

    Raises
    ------
    InputError
        A file is missing or damaged, a value is not a number, or pairs are missing or too many.
    """
    truth, predictions = read_records(truth_path), read_records(predictions_path)
    if not truth:
        raise InputError(f"{truth_path} holds no lesion pairs. Choose an annotation file of DLS.")
    result: dict = {"task": "dls", "pairs": len(truth), "predictions": len(predictions), "notes": []}
    if not predictions:
        result["notes"].append(f"{Path(predictions_path).name} holds no predictions: nothing was matched.")
        return {**result, **_row(*(np.empty((0, n)) for n in (3, 3, 3, 6, 2)))}
    items = [
        _item(*matched, truth_path, predictions_path)
        for matched in _match(truth, predictions, truth_path, predictions_path)
    ]
    differing = sum(not item["agrees"] for item in items)
    if differing:
        result["notes"].append(
            f"{differing} of {len(items)} items carry other target values than the truth file; the truth file was used."
        )

    def column(key: str) -> np.ndarray:
        return np.array([item[key] for item in items])

    predicted, patients = column("predicted"), column("patient")
    target = [column(f"target {key}") for key in ("center", "spacing", "box", "recist diameter")]
    result |= _row(predicted, *target)
    errors = tracking.distances_mm(tracking.offsets_mm(predicted, *target[:2]))
    radii = tracking.radii_mm(target[3], target[1])
    result["confidence_95"] = {
        "MED": bootstrap_interval(errors, patients),
        "CPM@10mm": bootstrap_interval(100.0 * tracking.matched_10mm(errors, radii), patients),
        "CPM@Radius": bootstrap_interval(100.0 * tracking.matched_radius(errors, radii), patients),
    }
    result["seconds a volume"] = _seconds([item["seconds"] for item in items])
    if all(item["initial"] is not None for item in items):
        result["initial"] = _row(column("initial"), *target)
    if all(item["inner"] is not None for item in items):
        shifted = [np.vstack([item["predicted"], item["inner"]]) for item in items]
        counts = [len(points) for points in shifted]
        result["robust"] = _row(np.vstack(shifted), *(np.repeat(values, counts, axis=0) for values in target))
    result["errors_mm"] = errors.tolist()
    return result


def _row(predicted, centre, spacing, box, diameters) -> dict[str, float | None]:
    """Return all metrics of some pairs; without any pair the distances are None."""
    offsets = tracking.offsets_mm(predicted, centre, spacing)
    distances, radii = tracking.distances_mm(offsets), tracking.radii_mm(diameters, spacing)
    row: dict[str, float | None] = {}
    for name, values in {"MED": distances, **{f"MED_{a}": np.abs(offsets[:, n]) for n, a in enumerate("XYZ")}}.items():
        mean, deviation = tracking.mean_distance(values)
        row[name], row[f"{name} std"] = (mean, deviation) if len(values) else (None, None)
    sizes = np.asarray(box, float).reshape(-1, 6)[:, 3:]
    matched = {
        "CPM@10mm": tracking.matched_10mm(distances, radii),
        "CPM@Radius": tracking.matched_radius(distances, radii),
        "CPM@10mm (TLT)": tracking.matched_10mm_tlt(distances, sizes),
        "CPM@Radius (TLT)": tracking.matched_radius_tlt(distances, sizes),
        "CPM@10mm (UAE)": tracking.matched_10mm_uae(distances),
        "CPM@Radius (UAE)": tracking.matched_radius_uae(predicted, box),
    }
    return row | {name: tracking.cpm(hits) for name, hits in matched.items()}


def _seconds(seconds: list[float | None]) -> float | None:
    """Return the mean of the known times."""
    known = [s for s in seconds if s is not None]
    return float(np.mean(known)) if known else None


def _item(key: str, true: dict, number: str, record: dict, truth_path, predictions_path) -> dict:
    """Return one prediction's centres, the target's values, and whether the prediction's copies of these agree."""
    at_truth, here = f"{truth_path}, pair {key}", f"{predictions_path}, item {number}"
    shift = _frame_shift(true, record, at_truth, here)
    item: dict = {"agrees": True, "patient": _names(true)[1].split("_")[0]}
    for field, tolerance in _ROUNDING.items():
        value = vector(true, field, at_truth)
        predicted_copy = vector(record, field, here) if field in record else value
        if field in record and field in ("target center", "target box"):
            predicted_copy = predicted_copy - np.array([*shift, 0, 0, 0])[: len(predicted_copy)]
        agrees = bool(np.abs(predicted_copy - value).max() <= tolerance)
        item[field] = predicted_copy if agrees else value
        item["agrees"] &= agrees
    item["predicted"] = vector(record, "predict target center", here) - shift
    item["initial"] = vector(record, "initial center", here) - shift if "initial center" in record else None
    inner = record.get("predict target inner points")
    item["inner"] = None
    if inner is not None:
        points = [vector({"inner center": point}, "inner center", here) for point in inner]
        item["inner"] = np.reshape(points, (-1, 3)) - shift
    times = [record[name] for name in _TIME_KEYS if isinstance(record.get(name), (int, float))]
    item["seconds"] = float(times[0]) if times else None
    return item


def _frame_shift(true: dict, record: dict, at_truth: str, here: str) -> np.ndarray:
    """Return the offset (voxels) of an item that counts voxels from the corner of a crop; zero for others.

    With such an offset the target centre and the target box are shifted alike; otherwise they merely differ.
    """
    if "target center" not in record or "target box" not in record:
        return np.zeros(3)
    centre = vector(record, "target center", here) - vector(true, "target center", at_truth)
    box = (vector(record, "target box", here) - vector(true, "target box", at_truth))[:3]
    displaced = np.abs(centre).max() > 1 and np.abs(centre - box).max() <= 1.01
    return np.round(centre) if displaced else np.zeros(3)


def _names(record: dict) -> tuple[str, ...]:
    """Return the names of source and target scan without folders and suffixes."""
    names = (str(record.get(end, "")).replace("\\", "/").split("/")[-1] for end in ("source", "target"))
    return tuple(name.removesuffix(".gz").removesuffix(".nii") for name in names)


def _match(truth: dict[str, dict], predictions: dict[str, dict], truth_path, path) -> list[tuple[str, dict, str, dict]]:
    """Match truth and predictions: key and record of the truth, number and record of the prediction."""
    true: dict[tuple[str, ...], list[str]] = {}
    for key, record in truth.items():
        true.setdefault(_names(record), []).append(key)
    given: dict[tuple[str, ...], list[str]] = {}
    for number, record in predictions.items():
        if "source" not in record or "target" not in record:
            raise InputError(f'{path}, item {number} has no "source" and "target". Add them.')
        given.setdefault(_names(record), []).append(number)
    missing = [(name, len(keys) - len(given.get(name, []))) for name, keys in true.items()]
    extra = [(name, len(numbers) - len(true.get(name, []))) for name, numbers in given.items()]
    for what, counts, advice in (
        ("is missing predictions for", missing, "Predict every pair"),
        ("has too many predictions, namely for", extra, "Remove those that are not in the truth or occur twice"),
    ):
        counts = [(name, n) for name, n in counts if n > 0]
        if counts:
            shown = "; ".join(f"{source} -> {target}" for (source, target), _ in counts[:3])
            raise InputError(
                f"{path} {what} {sum(n for _, n in counts)} of the {len(truth)} lesion pairs of {truth_path} "
                f"(such as {shown}). {advice}."
            )
    numbered: dict[str, str] = {}
    for name, keys in true.items():
        cost = [[_distance(truth[key], predictions[number]) for number in given[name]] for key in keys]
        for row, column in zip(*linear_sum_assignment(cost), strict=True):
            numbered[keys[row]] = given[name][column]
    return [(key, record, numbered[key], predictions[numbered[key]]) for key, record in truth.items()]


def _distance(truth: dict, record: dict) -> float:
    """Return the distance of two lesions in one pair of scans: that of their centres, summed, voxels."""
    keys = [key for key in ("source center", "target center") if key in record and key in truth]
    return float(sum(np.linalg.norm(vector(truth, k, "truth") - vector(record, k, "item")) for k in keys))

"""Evaluation of detections in findings files against the truth in findings files, one for each patient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oncotrack.errors import InputError
from oncotrack.evaluation import detection
from oncotrack.findings.finding import Kind, Observation
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.findings_json import SCHEMA
from oncotrack.json_text import parse_json, read_text

Findings = str | Path | FindingList | Mapping[str, FindingList]


@dataclass(frozen=True, eq=False)
class Boxes:
    """Boxes of one image, (N, 6) RAS mm (lowest, highest corner), with (N,) scores and (N,) radii in mm."""

    boxes: np.ndarray
    scores: np.ndarray
    radii: np.ndarray

    @classmethod
    def of(cls, rows: Iterable[tuple]) -> Boxes:
        """Create from rows of box, score and radius."""
        boxes, scores, radii = ([], [], []) if not (rows := list(rows)) else zip(*rows, strict=True)
        return cls(np.array(boxes, float).reshape(-1, 6), np.array(scores, float), np.array(radii, float))


def evaluate_detection(truth: Findings, predictions: Findings, kind: Kind | None = None) -> dict:
    """Compute the detection metrics of all papers.

    Parameters
    ----------
    truth, predictions : path, FindingList or mapping of patient to FindingList
        A findings.json, what ``oncotrack detect --json`` wrote, or a folder of such files, one for each patient, with
        the same names on both sides. Each time point of a list counts as an image.
    kind : Kind, optional
        Use findings of this kind only.

    Returns
    -------
    dict
        Percent: ``AS``, ``Sensitivity@1FP`` ... ``@8FP`` and ``AP`` (LN-Tracker, 3D IoU > 0.1); ``mFROC``,
        ``mRecall@0.10-0.20``, ``Recall@0.15``, ``F1`` (OSLN's hit rule); ``AP25``, ``AP50``, ``SEN25``, ``SEN50``
        (5 false positives per image); ``Sensitivity@0.125FP`` ... by IoU 0.5 under ``deeplesion``. Also ``cases``,
        ``objects``, ``detections``, ``froc`` (LN-Tracker's rule) and ``per_case``. Without any object they are None.

    Raises
    ------
    InputError
        A file is damaged, a finding has no box and no size, or a patient is on one side only.
    """
    true, given = read_boxes(truth, kind), read_boxes(predictions, kind)
    if len(true) == len(given) == 1:
        given = dict(zip(true, given.values(), strict=True))
    for missing, side in ((true.keys() - given.keys(), "predictions"), (given.keys() - true.keys(), "truth")):
        if missing and given:
            shown = ", ".join(sorted(missing)[:3])
            raise InputError(
                f"The {side} lack {len(missing)} of the patients ({shown}). Add their files; an empty list is fine."
            )
    nothing = Boxes.of([])
    pairs = {name: (boxes, given.get(name, nothing)) for name, boxes in true.items()}

    def compare(threshold: float, strict: bool = False) -> list[detection.Comparison]:
        return [
            detection.compare_boxes(t.boxes, p.boxes, p.scores, threshold, strict=strict) for t, p in pairs.values()
        ]

    loose = compare(0.1, strict=True)
    by_osln = [
        detection.Comparison(c.scores, c.overlap, detection.osln_hits(c.overlap, p.radii, t.radii))
        for c, (t, p) in zip(loose, pairs.values(), strict=True)
    ]
    quarter, half = compare(0.25), compare(0.5)
    objects = sum(len(t.boxes) for t, _ in pairs.values())
    metrics = {
        "AS": detection.average_sensitivity(loose),
        **_sensitivities(loose, detection.LN_TRACKER_FPS),
        "AP": detection.average_precision(loose),
        "mFROC": detection.average_sensitivity(by_osln, detection.OSLN_FPS),
        "mRecall@0.10-0.20": detection.mean_recall(by_osln),
        "Recall@0.15": detection.recall_at_precision(by_osln, 0.15),
        "F1": detection.best_f1(by_osln),
        "AP25": detection.average_precision(quarter),
        "AP50": detection.average_precision(half),
        "SEN25": float(detection.sensitivity_at(quarter, [5])[0]),
        "SEN50": float(detection.sensitivity_at(half, [5])[0]),
    }
    deeplesion = _sensitivities(half, detection.DEEPLESION_FPS)
    deeplesion["mean"] = float(np.mean(list(deeplesion.values())))
    fps, sensitivity, _ = detection.froc(loose)
    return {
        "task": "detection",
        "cases": len(pairs),
        "objects": objects,
        "detections": sum(len(p.boxes) for _, p in pairs.values()),
        **{name: value if objects else None for name, value in metrics.items()},
        "deeplesion": {name: value if objects else None for name, value in deeplesion.items()},
        "froc": {"false_positives": fps.tolist(), "sensitivity": (100 * sensitivity).tolist() if objects else []},
        "per_case": [_one_case(name, c) for name, c in zip(pairs, loose, strict=True)],
    }


def _sensitivities(comparisons: list[detection.Comparison], fps: Iterable[float]) -> dict[str, float]:
    """Return the sensitivity at each number of false positives, by the metric's name."""
    fps = list(fps)
    values = detection.sensitivity_at(comparisons, fps)
    return {f"Sensitivity@{limit:g}FP": float(value) for limit, value in zip(fps, values, strict=True)}


def _one_case(name: str, comparison: detection.Comparison) -> dict:
    """Return the row of one image in the table of cases."""
    found, false = comparison.hits.any(axis=0), ~comparison.hits.any(axis=1)
    objects = comparison.hits.shape[1]
    return {"case": name, "objects": objects, "found": int(found.sum()), "false positives": int(false.sum())}


def read_boxes(source: Findings, kind: Kind | None = None) -> dict[str, Boxes]:
    """Read the boxes of every image.

    Parameters
    ----------
    source : path, FindingList or mapping of patient to FindingList
        See `evaluate_detection`.
    kind : Kind, optional
        Use findings of this kind only.

    Returns
    -------
    dict of str to Boxes
        By patient, or by "patient/time point" where a list has several time points.

    Raises
    ------
    InputError
        A file is missing or damaged, or a finding has no box and no size.
    """
    if isinstance(source, FindingList):
        source = {"patient": source}
    if isinstance(source, Mapping):
        return {
            name: boxes for patient, findings in source.items() for name, boxes in _read_list(patient, findings, kind)
        }
    path = Path(source).expanduser()
    if not path.exists():
        raise InputError(f"{path} does not exist. Give a findings file or a folder of them, one for each patient.")
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path} holds no findings files (*.json). Give one for each patient.")
    images: dict[str, Boxes] = {}
    for file in files:
        patient = str(file.relative_to(path).with_suffix("")) if path.is_dir() else file.stem
        read = dict(_read_file(patient.removesuffix("/findings"), file, kind))
        if twice := images.keys() & read.keys():
            raise InputError(f"{path} holds {min(twice)} twice, the second time in {file}. Remove one of them.")
        images |= read
    return images


def _read_file(patient: str, file: Path, kind: Kind | None) -> Iterable[tuple[str, Boxes]]:
    """Yield name and boxes of every image in a findings file or in the output of ``oncotrack detect``."""
    text = read_text(file, "is not a readable JSON file. Write the findings again.")
    data = parse_json(text, file, "Write the findings again.")
    if isinstance(data, dict) and data.get("schema") == SCHEMA:
        return _read_list(patient, FindingList.from_json(text, str(file)), kind)
    if not isinstance(data, dict) or not isinstance(data.get("findings"), list):
        raise InputError(f'{file} is neither a findings file nor what "oncotrack detect" writes. Choose another file.')
    rows = []
    for n, item in enumerate(data["findings"], 1):
        try:
            box = np.array(item["box_ras"], float).reshape(2, 3)
            score = item.get("score")
            score = 1.0 if score is None else float(score)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f'{file}: finding {n} has no "box_ras" [[R, A, S], [R, A, S]] or no number as score.'
            ) from error
        if not np.isfinite([*box.ravel(), score]).all() or (box[0] > box[1]).any():
            raise InputError(f"{file}: finding {n} has a box {box.tolist()} that is inside out or not finite.")
        rows.append((box.ravel(), score, _radius(*box)))
    return [(patient, Boxes.of(rows))]


def _read_list(patient: str, findings: FindingList, kind: Kind | None) -> Iterable[tuple[str, Boxes]]:
    """Yield name and boxes of every time point; rejected and absent findings are left out."""
    points = [point.id for point in findings.time_points] or sorted({t for f in findings for t in f.observations})
    for point in points or [""]:
        rows = []
        for finding in findings:
            observation = finding.at(point)
            if observation is None or not observation.is_there or kind not in (None, finding.kind):
                continue
            box = _box(observation, finding.label)
            radius = observation.radius_mm or _radius(*box.reshape(2, 3))
            rows.append((box, 1.0 if observation.confidence is None else observation.confidence, radius))
        yield (f"{patient}/{point}" if len(points) > 1 else patient), Boxes.of(rows)


def _box(observation: Observation, label: str) -> np.ndarray:
    """Return the box of a finding, (6,) RAS mm, or the box around its tracklet or its sphere."""
    if observation.box is not None:
        return np.array([*observation.box.low, *observation.box.high])
    if observation.tracklet is not None:
        return np.concatenate(observation.tracklet.bounds())
    radius = observation.radius_mm or (observation.long_axis.length_mm / 2 if observation.long_axis else None)
    if radius is None:
        raise InputError(f"{label} has neither a box nor a size, so it cannot be compared. Draw its box.")
    return np.concatenate([np.subtract(observation.centre, radius), np.add(observation.centre, radius)])


def _radius(low, high) -> float:
    """Return the radius of the sphere whose bounding box has the same volume, mm."""
    return float(np.prod(np.subtract(high, low)) ** (1 / 3) / 2)

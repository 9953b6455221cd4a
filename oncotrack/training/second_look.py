"""Training of the second look: nodes inserted into real CTs, or annotated, against the real proposals of the same CTs.

A proposal that hits a known node is positive. Any other one is negative, unless it lies in deep fat and ends above and
below as a node does: it may be an unlabelled node, and is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from oncotrack.background.jobs import Progress, silent
from oncotrack.datasets import folder
from oncotrack.datasets.case import Case
from oncotrack.datasets.node_scans import inserted_scan
from oncotrack.datasets.real_cts import read_cts
from oncotrack.detection.anatomy.anatomy import Anatomy
from oncotrack.detection.reviewed import PROPOSERS, ReviewedDetector
from oncotrack.detection.second_look.features import FEATURES
from oncotrack.detection.second_look.model import INPUTS, SecondLook, models_text
from oncotrack.detection.second_look.review import possible
from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding, Kind
from oncotrack.images.volume import Volume

_HIT_IOU = 0.1
_PENALTY = 30.0  # of the squared weights; chosen on validation scans among 0.3 to 30
_DEEP, _FAT, _END = (FEATURES.index(name) for name in ("deep", "fat in the shell", "continues at one end"))
_LEAST_FAT, _MOST_END = 0.45, 0.6
_FEWEST = 10


@dataclass
class Samples:
    """Inputs of the second look with what is known of each proposal.

    Attributes
    ----------
    inputs : list of (len(INPUTS),) ndarray
        One for each proposal.
    is_node : list of bool
        Whether it hits a known node.
    scans : list of str
        The scan that each belongs to.
    """

    inputs: list[np.ndarray] = field(default_factory=list)
    is_node: list[bool] = field(default_factory=list)
    scans: list[str] = field(default_factory=list)

    def add(
        self,
        proposals: list[tuple[Finding, float, float]],
        volume: Volume,
        anatomy: Anatomy,
        truth: Iterable[Finding],
        time_point: str,
        scan: str,
    ) -> None:
        """Add the proposals of one scan.

        Parameters
        ----------
        proposals : list of (Finding, float, float)
            See `ReviewedDetector.propose`.
        volume : Volume
            CT in HU.
        anatomy : Anatomy
            Of the scan.
        truth : iterable of Finding
            Its known nodes.
        time_point : str
            Of all observations.
        scan : str
            Its name.
        """
        known = [each.observations[time_point].box for each in truth]
        findings, inputs = possible(proposals, volume, anatomy, time_point)
        for finding, row in zip(findings, inputs, strict=True):
            box = finding.observations[time_point].box
            is_node = any(box.iou(each) > _HIT_IOU for each in known if box is not None and each is not None)
            may_be_node = row[_DEEP] > 0 and row[_FAT] > _LEAST_FAT and row[_END] < _MOST_END
            if is_node or not may_be_node:
                self.inputs.append(row)
                self.is_node.append(is_node)
                self.scans.append(scan)

    def add_case(self, case: Case, detector: ReviewedDetector) -> None:
        """Run a detector on a case and add its proposals.

        Parameters
        ----------
        case : Case
            One CT with its known nodes.
        detector : ReviewedDetector
            Whose proposals are learnt from.
        """
        ((key, volume),) = case.images.items()
        proposals, anatomy = detector.propose(volume, time_point=key)
        self.add(proposals, volume, anatomy, case.truth, key, case.name)


def fit(samples: Samples) -> SecondLook:
    """Fit the logistic regression; nodes and other proposals weigh as often as they occur, so that it is calibrated.

    Parameters
    ----------
    samples : Samples
        At least ten nodes and ten others.

    Raises
    ------
    InputError
        There are too few.
    """
    inputs, target = np.array(samples.inputs).reshape(-1, len(INPUTS)), np.array(samples.is_node, float)
    if min(target.sum(), len(target) - target.sum()) < _FEWEST:
        raise InputError(
            f"The second look needs at least {_FEWEST} proposals that are nodes and {_FEWEST} that are not; there are "
            f"{int(target.sum())} and {int(len(target) - target.sum())}. Give more scans."
        )
    mean, scale = inputs.mean(0), np.maximum(inputs.std(0), 1e-3)
    standard = (inputs - mean) / scale

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = parameters[:-1], parameters[-1]
        total = standard @ weights + bias
        probability = 1 / (1 + np.exp(-np.clip(total, -30, 30)))
        value = float(np.logaddexp(0, total).sum() - (target * total).sum() + _PENALTY / 2 * (weights**2).sum())
        return value, np.append(standard.T @ (probability - target) + _PENALTY * weights, (probability - target).sum())

    found = minimize(loss, np.zeros(len(INPUTS) + 1), jac=True, method="L-BFGS-B").x
    return SecondLook(mean, scale, found[:-1], float(found[-1]))


def train(
    insert: Sequence[Path],
    insertions: int,
    annotated: Path | None = None,
    *,
    device: str = "auto",
    weights: Path | None = None,
    progress: Progress = silent,
) -> str:
    """Train the second looks of all detectors of CT on the same proposals, and return the text of their file.

    Parameters
    ----------
    insert : sequence of Path
        Real CTs that synthetic nodes are inserted into, in turn, from seed 0; each is also read as it is.
    insertions : int
        Number of scans made of them.
    annotated : Path, optional
        Folder of CTs with node masks.
    device : str
        "auto", "cpu", "cuda" or "mps".
    weights : Path, optional
        Weights of LN-Tracker; the bundled ones when missing.
    progress : callable
        Receives the completed fraction (0 to 1) and a message.

    Raises
    ------
    InputError
        There are too few nodes, or too few other proposals.
    """
    detector = ReviewedDetector("combined", device, weights=weights, model=_unused())
    volumes = read_cts(insert)
    known = list(folder.cases(annotated, kind=Kind.LYMPH_NODE)) if annotated else []
    cases = chain(
        (inserted_scan(volume, n, 0, is_nodal=True) for n, volume in enumerate(volumes)),
        (inserted_scan(volumes[n % len(volumes)], n, is_nodal=True) for n in range(insertions if volumes else 0)),
        known,
    )
    total = len(volumes) + (insertions if volumes else 0) + len(known)
    samples = Samples()
    for n, case in enumerate(cases):
        progress(n / total, f"{case.name}, scan {n + 1} of {total}")
        samples.add_case(case, detector)
    names = [path.name for path in insert] + ([str(annotated)] if annotated else [])
    return models_text(
        {name: fit(samples_of(samples, name)) for name in PROPOSERS}, f"{total} scans: {', '.join(names)}."
    )


def samples_of(samples: Samples, name: str) -> Samples:
    """Return the samples as one detector would have proposed them, without the score of the other.

    Parameters
    ----------
    samples : Samples
        Of the detector "combined".
    name : str
        One of `PROPOSERS`.
    """
    out = Samples()
    uses = np.array(PROPOSERS[name])
    for row, is_node, scan in zip(samples.inputs, samples.is_node, samples.scans, strict=True):
        scores = row[-2:] * uses
        if scores.any():
            out.inputs.append(np.append(row[:-2], scores))
            out.is_node.append(is_node)
            out.scans.append(scan)
    return out


def _unused() -> SecondLook:
    """Return a second look that is never asked, for a detector that only proposes."""
    zeros = np.zeros(len(INPUTS))
    return SecondLook(zeros, zeros + 1, zeros, 0.0)

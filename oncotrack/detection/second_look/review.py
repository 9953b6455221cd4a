"""Proposals of one or two detectors, reviewed: the impossible ones left out, the others with region and probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from oncotrack.detection.anatomy import regions
from oncotrack.detection.anatomy.anatomy import Anatomy
from oncotrack.detection.second_look.features import features
from oncotrack.detection.second_look.model import INPUTS, SecondLook
from oncotrack.findings.finding import Box, Finding, Observation
from oncotrack.images.volume import Volume

_SAME_IOU = 0.1
_GRID = np.linspace(-0.5, 0.5, 5)
_CORE = np.array([(x, y, z) for x in _GRID for y in _GRID for z in _GRID if x * x + y * y + z * z <= 0.26])
"""Positions in the central half of a box, in units of its edges."""


def joined(network: Sequence[Finding], blobs: Sequence[Finding], time_point: str) -> list[tuple[Finding, float, float]]:
    """Return each proposal once, with the scores of both detectors; where both propose a node, the network's boxes are kept.

    Parameters
    ----------
    network, blobs : sequence of Finding
        Proposals of LN-Tracker and of the fat blob detector.
    time_point : str
        Of their observations.
    """
    rest = [(finding, _seen(finding, time_point)[1]) for finding in blobs]
    out = []
    for finding in network:
        seen, box = _seen(finding, time_point)
        same = [each for each in rest if box.iou(each[1]) > _SAME_IOU or box.contains(each[1].centre)]
        rest = [each for each in rest if each not in same]
        best = max((_seen(each, time_point)[0].score or 0.0 for each, _ in same), default=0.0)
        out.append((finding, seen.score or 0.0, best))
    return out + [(finding, 0.0, _seen(finding, time_point)[0].score or 0.0) for finding, _ in rest]


def possible(
    proposals: Sequence[tuple[Finding, float, float]], volume: Volume, anatomy: Anatomy, time_point: str
) -> tuple[list[Finding], np.ndarray]:
    """Leave out what cannot be a node, and return the others with their regions and the inputs of the second look.

    Parameters
    ----------
    proposals : sequence of (Finding, float, float)
        See `joined`.
    volume : Volume
        CT in HU.
    anatomy : Anatomy
        Of the scan.
    time_point : str
        Of the observations.

    Returns
    -------
    findings : list of Finding
        With region.
    inputs : (N, len(INPUTS)) ndarray
        See `SecondLook.probability`.
    """
    kept, inputs = [], []
    for finding, *scores in proposals:
        seen, box = _seen(finding, time_point)
        edges = np.subtract(box.high, box.low)
        if anatomy.cannot_be_node(np.asarray(seen.centre) + _CORE * edges):
            continue
        region = anatomy.region(seen.centre)
        kept.append(replace(finding, region=region.name if region else regions.UNKNOWN))
        inputs.append([*features(volume, box, anatomy, region), *scores])
    return kept, np.array(inputs, float).reshape(len(kept), len(INPUTS))


def reviewed(findings: Sequence[Finding], probabilities: np.ndarray, time_point: str) -> list[Finding]:
    """Return proposals with their probabilities, the most probable first, named "LN 1", "LN 2", ...

    Parameters
    ----------
    findings : sequence of Finding
        From `possible`.
    probabilities : (N,) ndarray
        0 to 1.
    time_point : str
        Of the observations.
    """
    out = []
    for number, n in enumerate(np.argsort(-probabilities, kind="stable"), 1):
        finding = findings[n]
        seen = replace(finding.observations[time_point], probability=round(float(probabilities[n]), 4))
        out.append(replace(finding, label=f"LN {number}", observations={**finding.observations, time_point: seen}))
    return out


def review(
    proposals: Sequence[tuple[Finding, float, float]],
    volume: Volume,
    anatomy: Anatomy,
    model: SecondLook,
    time_point: str,
) -> list[Finding]:
    """Review proposals: `possible`, then `SecondLook.probability`, then `reviewed`.

    Parameters
    ----------
    proposals : sequence of (Finding, float, float)
        See `joined`.
    volume : Volume
        CT in HU.
    anatomy : Anatomy
        Of the scan.
    model : SecondLook
        For these detectors.
    time_point : str
        Of the observations.
    """
    findings, inputs = possible(proposals, volume, anatomy, time_point)
    return reviewed(findings, model.probability(inputs), time_point) if findings else []


def _seen(finding: Finding, time_point: str) -> tuple[Observation, Box]:
    observation = finding.observations[time_point]
    assert observation.box is not None, "every detector gives a box"
    return observation, observation.box

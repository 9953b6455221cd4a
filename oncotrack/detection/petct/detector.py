"""The PET/CT detector: oncology-significant lymph nodes of one study, with their uptake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch

from oncotrack.background.jobs import Progress, part_of, silent
from oncotrack.detection.components import track_of_component
from oncotrack.detection.midline import Midline
from oncotrack.detection.node_masks import with_mask
from oncotrack.detection.petct.candidates import Candidate, boxes_of, candidates, crop_candidate, normalised
from oncotrack.detection.petct.config import STAGE_ONE, GLNetConfig, StageOneConfig
from oncotrack.detection.petct.glnet import GLNet
from oncotrack.detection.petct.lesanet import LesaNetTagger
from oncotrack.detection.petct.stage_one import StageOne
from oncotrack.detection.petct.study import WorkingStudy, working_study
from oncotrack.detection.petct.tagger import REGIONS, Tagger, TrainedTagger, named
from oncotrack.detection.petct.uptake import measure_uptake
from oncotrack.detection.track_findings import WorkingSlices, proposed_observation, tracklet_of
from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding, Kind, Provenance
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume
from oncotrack.networks import weights as weights_files

SYSTEMS = {"one": "petct-one", "two": "petct-two", "tagger": "petct-tagger"}
"""Names of the weights files by stage: "petct-one-compact.safetensors" and so on."""
OPERATING_POINT = 0.5
"""Probability of a candidate's voxels, if the first stage's weights do not define another (``operating point``)."""
THRESHOLD = 0.5
"""Score above which a node is proposed, if the second stage's weights do not define another (``threshold``)."""
_BATCH = 16


@dataclass(frozen=True, eq=False)
class Scored:
    """A candidate with its tag vector and its final score."""

    candidate: Candidate
    tags: torch.Tensor
    score: float


def weights_path(stage: str, config: str, folder: Path | None = None) -> Path:
    """Return the weights file of a stage.

    Parameters
    ----------
    stage : str
        A key of `SYSTEMS`.
    config : str
        Named configuration.
    folder : Path, optional
        Where the three files are; the bundled ones if missing.

    Returns
    -------
    Path
        Whether or not it exists.
    """
    if folder is not None:
        return folder / f"{SYSTEMS[stage]}-{config}.safetensors"
    return weights_files.bundled(SYSTEMS[stage], config)


class FirstStage:
    """The trained first stage and its operating point.

    Parameters
    ----------
    path : path
        Weights of "petct-one".
    device : str
        "auto", "cpu", "cuda" or "mps".
    threshold : float, optional
        Operating point; that of the weights if missing.

    Raises
    ------
    WeightsError
        The weights are missing, damaged or of another version.
    """

    def __init__(self, path: str | Path, device: str = "auto", threshold: float | None = None) -> None:
        trained = weights_files.load_network(path, SYSTEMS["one"], StageOneConfig, StageOne, device)
        self.network, self.config, self.device, self.sha256 = (
            trained.network, trained.config, trained.device, trained.sha256,
        )  # fmt: skip
        stored = float(trained.about.get("operating point", OPERATING_POINT))
        self.threshold = stored if threshold is None else threshold

    def candidates(self, study: WorkingStudy, progress: Progress = silent) -> list[Candidate]:
        """Return the candidates of a study.

        Parameters
        ----------
        study : WorkingStudy
            On this stage's grid.
        progress : callable
            Receives the completed fraction (0 to 1) and a message.

        Returns
        -------
        list of Candidate
            Highest first-stage score first.
        """
        probability = self.network.segment(study, progress)
        return candidates(probability, self.threshold, self.config, study.geometry.voxel_mm3)


class SecondStage:
    """The trained GLNet with its tagger.

    Parameters
    ----------
    path : path
        Weights of "petct-two".
    tagger : Tagger, optional
        What describes candidates; needed if the network reads tags.
    device : str
        "auto", "cpu", "cuda" or "mps".

    Raises
    ------
    InputError
        The network reads the tags of another tagger.
    WeightsError
        The weights are missing, damaged or of another version.
    """

    def __init__(self, path: str | Path, tagger: Tagger | None, device: str = "auto") -> None:
        trained = weights_files.load_network(path, SYSTEMS["two"], GLNetConfig, GLNet, device)
        self.network, self.config, self.device, self.about, self.sha256 = (
            trained.network, trained.config, trained.device, trained.about, trained.sha256,
        )  # fmt: skip
        given = tagger.name if tagger else "none"
        if self.config.tagger and given != self.config.tagger:
            raise InputError(
                f"This second stage reads the tags of the tagger {self.config.tagger}, but the tagger is {given}. "
                "Choose the weights that belong together.",
                parameter="tagger",
            )
        self.tagger = tagger if self.config.tagger else None
        self.pet = float(self.about.get("pet mean", 0.0)), float(self.about.get("pet std", 1.0))
        self.threshold = float(self.about.get("threshold", THRESHOLD))

    @torch.inference_mode()
    def score(self, study: WorkingStudy, found: Sequence[Candidate], progress: Progress = silent) -> list[Scored]:
        """Return the candidates with their final scores.

        Parameters
        ----------
        study : WorkingStudy
            The study.
        found : sequence of Candidate
            Of the first stage.
        progress : callable
            Receives the completed fraction (0 to 1) and a message.

        Returns
        -------
        list of Scored
            In the order of `found`.
        """
        scored: list[Scored] = []
        for first in range(0, len(found), _BATCH):
            progress(first / len(found), f"Classifying candidate {first + 1} of {len(found)}")
            batch = found[first : first + _BATCH]
            boxes = boxes_of(batch)
            tags = self.tagger.describe(study, boxes) if self.tagger else torch.zeros(len(batch), 0)
            crops, inside = zip(*(crop_candidate(study, box, self.config) for box in boxes), strict=True)
            x = normalised(torch.stack(crops), self.config, *self.pet)
            arguments = (each.to(self.device) for each in (x, torch.stack(inside), tags))
            scores = self.network(*arguments).sigmoid().tolist()
            scored += [Scored(*row) for row in zip(batch, tags, scores, strict=True)]
        return scored


class PETCTDetector:
    """Both stages.

    Parameters
    ----------
    device : str
        "auto", "cpu", "cuda" or "mps".
    config : str
        Named configuration whose bundled weights are loaded.
    weights : path, optional
        Folder that holds the weights of the stages, instead of the bundled ones.
    tagger : path, optional
        Weights of LesaNet, for a second stage that reads its tags.
    threshold : float, optional
        Only nodes above this score are returned; that of the weights if missing.

    Raises
    ------
    InputError
        Unknown configuration or device; a tagger that does not fit.
    WeightsError
        Weights are missing, damaged or of another version.
    """

    name = "petct"

    def __init__(
        self,
        device: str = "auto",
        config: str = "compact",
        weights: str | Path | None = None,
        tagger: str | Path | None = None,
        threshold: float | None = None,
    ) -> None:
        weights_files.check_config("The PET/CT detector", config, STAGE_ONE)
        folder = Path(weights) if weights else None
        if folder is not None and not folder.is_dir():
            raise InputError(
                f"{folder} is no folder. The PET/CT detector has weights of three stages; give the folder that holds them.",
                parameter="weights",
            )
        self.first = FirstStage(weights_path("one", config, folder), device)
        second = weights_path("two", config, folder)
        describing = LesaNetTagger(tagger, device) if tagger else self._own_tagger(config, folder, device)
        self.second = SecondStage(second, describing, device)
        self.threshold = self.second.threshold if threshold is None else threshold
        self.device = self.first.device
        self._provenance = Provenance(method=f"{self.name} {config}", weights_sha256=self.second.sha256)

    @staticmethod
    def _own_tagger(config: str, folder: Path | None, device: str) -> Tagger | None:
        """Return the compact tagger if its weights exist."""
        path = weights_path("tagger", config, folder)
        return TrainedTagger(path, device) if path.is_file() else None

    def detect(
        self, ct: Volume, pet: Volume, tumour: Volume, progress: Progress = silent, *, time_point: str = "t0"
    ) -> list[Finding]:
        """Return the proposed nodes of a study, each with mask, axes and uptake.

        Parameters
        ----------
        ct : Volume
            HU.
        pet : Volume
            SUV, in the coordinates of the CT.
        tumour : Volume
            Mask of the primary tumour.
        progress : callable
            Receives the completed fraction (0 to 1) and a message.
        time_point : str
            Time point of the observations.

        Returns
        -------
        list of Finding
            Lymph nodes in the state "proposed", highest score first.

        Raises
        ------
        InputError
            See `study.working_study`.
        """
        progress(0.0, "Resampling CT and PET, computing the distance from the tumour")
        study = working_study(ct, pet, tumour, self.first.config)
        found = self.first.candidates(study, part_of(progress, 0.1, 0.8))
        scored = self.second.score(study, found, part_of(progress, 0.8, 0.95))
        kept = sorted((each for each in scored if each.score > self.threshold), key=lambda each: -each.score)
        findings = self._findings(kept, study, pet, time_point)
        progress(1.0, f"{len(findings)} nodes")
        return findings

    def _findings(self, kept: Sequence[Scored], study: WorkingStudy, pet: Volume, time_point: str) -> list[Finding]:
        """Return scored candidates as findings with masks and uptake."""
        provenance = replace(self._provenance, when=Provenance().when)
        findings, midline = [], Midline.of(study.volume)
        for number, each in enumerate(kept, 1):
            component, mask = each.candidate.component, _mask_of(each.candidate, study)
            track = track_of_component(component, np.full(len(component.mask), each.score))
            observation = proposed_observation(tracklet_of(track, cast(WorkingSlices, study)), each.score, provenance)
            distance = distance_of(each.candidate, study)
            uptake = measure_uptake(pet, mask, distance, self.first.config.border_mm)
            observation = replace(with_mask(observation, mask), uptake=uptake)
            finding = Finding(label=f"LN {number}", kind=Kind.LYMPH_NODE, side=midline.side(observation.centre),
                              site=self._region(each), observations={time_point: observation})  # fmt: skip
            findings.append(finding)
        return findings

    def _region(self, scored: Scored) -> str:
        """Return the body part of a candidate by the compact tagger, or ""."""
        is_named = self.second.tagger is not None and self.second.tagger.name == "compact"
        return named(scored.tags, REGIONS) if is_named else ""


def distance_of(candidate: Candidate, study: WorkingStudy) -> float:
    """Return the signed distance of a candidate's centre of mass from the tumour's border, mm.

    Parameters
    ----------
    candidate : Candidate
        Of the study.
    study : WorkingStudy
        With the distance map.

    Returns
    -------
    float
        Millimetres; negative inside the tumour.
    """
    z, y, x = (axis.start for axis in candidate.component.where)
    centre = np.argwhere(candidate.component.mask).mean(0) + np.array([z, y, x])
    point = study.geometry.to_ras(centre[::-1])
    return float(Volume(study.distance, study.geometry).sample(point)[0])


def _mask_of(candidate: Candidate, study: WorkingStudy) -> Volume:
    """Return the mask of a candidate on its part of the working grid."""
    start = [axis.start for axis in candidate.component.where][::-1]
    mask = candidate.component.mask.astype(np.uint8)
    grid = study.geometry
    part = Geometry(mask.shape[::-1], grid.spacing, tuple(grid.to_ras(start)), grid.direction)
    return Volume(mask, part, "node")

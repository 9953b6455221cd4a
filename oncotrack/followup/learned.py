"""Base class of the learned trackers: crops in, network, matches with cycle errors out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from oncotrack.background.jobs import Progress, part_of, silent
from oncotrack.errors import InputError
from oncotrack.findings.finding import Point, point
from oncotrack.followup.candidates import Candidate, CandidateMap, find_candidates
from oncotrack.followup.choice import choose
from oncotrack.followup.crops import Crop, EncodedCrop
from oncotrack.followup.match_lesions import Lesion
from oncotrack.followup.parallel import match_in_parallel
from oncotrack.followup.search_requests import SearchRequest
from oncotrack.followup.tissue import flag_tissue_change
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, MAXIMUM_CYCLE_MM, OUTSIDE, Match, ScanPair
from oncotrack.images.volume import Volume
from oncotrack.networks import weights as weights_files
from oncotrack.networks.threads import one_thread_per_operation
from oncotrack.registration.registration import Registration

FOUND_THRESHOLD = 0.5
"""Least score of a lesion that is present, where the weights file has no ``found_threshold``."""
_CANDIDATES = 4
_BATCH = 4

Click = tuple[Point, float]
"""A checked RAS point in the baseline and a radius, both mm."""


class LearnedTracker(ABC):
    """A tracker with a network and its weights; subclasses implement `encode` and `search`.

    Only a crop of each scan is read, so that the time of a click does not depend on the field of view. Both crops are
    encoded once per click and serve both directions: the return match needs no further encoding. Alternatives and the
    return match are not in the papers.

    Parameters
    ----------
    device : str
        "auto", "cpu", "cuda" or "mps".
    config : str
        Name of the configuration whose bundled weights are used.
    weights : path, optional
        Another weights file.

    Raises
    ------
    InputError
        Unknown config or device.
    WeightsError
        The weights are missing, damaged or of another version.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    configs: ClassVar[Mapping[str, Any]]
    """By name, each with ``spacing`` (mm), ``crop`` (voxels) and ``reach_mm`` along z, y, x."""
    kind: ClassVar[type[torch.nn.Module]]
    """The network's class; constructed from a config."""
    config: Any
    """The configuration in the weights file, one of the type of `configs`."""
    network: Any
    """An instance of `kind`, in evaluation mode."""

    def __init__(self, device: str = "auto", config: str = "compact", weights: str | Path | None = None) -> None:
        weights_files.check_config(self.title, config, self.configs)
        path = weights or weights_files.bundled(self.name, config)
        trained = weights_files.load_network(path, self.name, type(self.configs[config]), self.kind, device)
        self.network, self.config, self.device = trained.network, trained.config, trained.device
        self.about = trained.about
        self.threshold = float(self.about.get("found_threshold", FOUND_THRESHOLD))
        self._sha256 = trained.sha256

    @abstractmethod
    def encode(self, images: torch.Tensor) -> list[Any]:
        """Return the features of each image.

        Parameters
        ----------
        images : (B, 1, D, H, W) tensor
            HU.
        """

    @abstractmethod
    def search(self, requests: Sequence[SearchRequest]) -> list[CandidateMap]:
        """Run the network on all requests as one batch and return a score map for each.

        Parameters
        ----------
        requests : sequence of SearchRequest
            At least one.
        """

    def match(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Match:
        """Match one baseline lesion.

        Parameters
        ----------
        pair, at, radius_mm, progress
            As in `Tracker.match`.

        Raises
        ------
        InputError
            The point lies outside the baseline, the radius is not positive, or a scan is not a CT.
        RegistrationError
            The scans cannot be registered.
        """
        return self.match_many(pair, [(at, radius_mm)], progress)[0]

    def match_many(self, pair: ScanPair, lesions: Sequence[Lesion], progress: Progress = silent) -> list[Match]:
        """Match several baseline lesions: in parallel on the CPU, in batches on an accelerator.

        Alternatives get a cycle error only when the best candidate's return match fails, or for a single lesion.

        Parameters
        ----------
        pair, lesions, progress
            As in `SupportsBatch.match_many`.

        Raises
        ------
        InputError, RegistrationError
            As in `match`.
        """
        clicks = [_check_click(pair, at, radius_mm) for at, radius_mm in lesions]
        registration = self._register(pair, part_of(progress, 0.0, 0.6))
        progress = part_of(progress, 0.6, 1.0)
        is_single = len(clicks) == 1
        if self.device.type == "cpu":
            return match_in_parallel(
                lambda part, click: self._match_batch(pair, registration, [click], is_single, part)[0], clicks, progress
            )
        matches = []
        for first in range(0, len(clicks), _BATCH):
            batch = clicks[first : first + _BATCH]
            part = part_of(progress, first / len(clicks), (first + len(batch)) / len(clicks))
            part(0.0, "" if is_single else f"Lesion {first + 1} of {len(clicks)}")
            matches += self._match_batch(pair, registration, batch, is_single, part)
        return matches

    def cycle_error(
        self, pair: ScanPair, at: Sequence[float], position: Sequence[float], radius_mm: float
    ) -> float | None:
        """Return the distance in mm between `at` and the return match of `position`, or None when there is none.

        Parameters
        ----------
        pair, at, position, radius_mm
            As in `SupportsCycleError.cycle_error`.
        """
        if not pair.followup.geometry.contains(position):
            return None
        back = point(self._register(pair, silent).to_baseline(position))
        with one_thread_per_operation(), torch.inference_mode():
            followup, baseline = self._encode_crops([(pair.followup, position), (pair.baseline, back)])
            return self._cycle_errors([SearchRequest(followup, point(position), baseline, back, radius_mm)], at)[0]

    def probability_map(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Volume:
        """Return the network's probability on the cells of the searched crop.

        Parameters
        ----------
        pair, at, radius_mm, progress
            As in `Tracker.match`.

        Raises
        ------
        InputError, RegistrationError
            As in `match`.
        """
        clicked, radius_mm = _check_click(pair, at, radius_mm)
        expected = point(self._register(pair, progress).to_followup(clicked))
        with one_thread_per_operation(), torch.inference_mode():
            baseline, followup = self._encode_crops([(pair.baseline, clicked), (pair.followup, expected)])
            (scores,) = self.search([SearchRequest(baseline, clicked, followup, expected, radius_mm)])
        grid = followup.crop.cell_grid(scores.logits.shape, scores.stride)
        return Volume(scores.probabilities, grid, "probability of the lesion")

    def _register(self, pair: ScanPair, progress: Progress) -> Registration:
        for scan in (pair.baseline, pair.followup):
            if not scan.is_ct:
                raise InputError(
                    f"{scan.name} is not a CT, and the {self.title} was trained on CT only. Choose the method selfsim."
                )
        return pair.registration(progress)

    @one_thread_per_operation()
    @torch.inference_mode()
    def _match_batch(
        self,
        pair: ScanPair,
        registration: Registration,
        clicks: Sequence[Click],
        check_alternatives: bool,
        progress: Progress,
    ) -> list[Match]:
        """Match clicks as one batch; positions far outside the follow-up are not searched."""
        matches = [self._outside_match(click, registration) for click in clicks]
        reach = max(self.config.reach_mm)
        searched = [
            n
            for n, match in enumerate(matches)
            if pair.followup.geometry.contains(match.registration_guess, margin_mm=-reach)
        ]
        requests = self._make_requests(pair, [(clicks[n], matches[n].registration_guess) for n in searched])
        progress(0.5, "Searching")
        maps = self.search(requests) if requests else []
        progress(0.8, "Checking the return match")
        for n, request, scores in zip(searched, requests, maps, strict=True):
            found = find_candidates(scores, request.target, _CANDIDATES)
            if found:
                checked = self._check_candidates(request, found, registration, check_alternatives)
                matches[n] = flag_tissue_change(choose(matches[n], checked, self.threshold), pair, *clicks[n])
        return matches

    def _outside_match(self, click: Click, registration: Registration) -> Match:
        """Return the match of a lesion that lies outside the follow-up, at the registration's estimate."""
        at, radius_mm = click
        expected = point(registration.to_followup(at))
        return Match(
            False, expected, expected, radius_mm * registration.scale, 0.0, None, reason=OUTSIDE,
            method=self.name, weights_sha256=self._sha256,
        )  # fmt: skip

    def _make_requests(self, pair: ScanPair, searches: Sequence[tuple[Click, Point]]) -> list[SearchRequest]:
        """Return a request for each click and its expected position, with both crops encoded."""
        centres = [
            centre for (at, _), expected in searches for centre in ((pair.baseline, at), (pair.followup, expected))
        ]
        crops = self._encode_crops(centres)
        return [
            SearchRequest(baseline, at, followup, expected, radius_mm)
            for ((at, radius_mm), expected), baseline, followup in zip(searches, crops[::2], crops[1::2], strict=True)
        ]

    def _check_candidates(
        self, request: SearchRequest, found: Sequence[Candidate], registration: Registration, check_alternatives: bool
    ) -> list[Candidate]:
        """Return the candidates, the best one with its cycle error, the others when that fails or it is requested."""
        checked, others = self._with_cycle_errors(request, found[:1], registration), list(found[1:])
        if check_alternatives or checked[0].cycle_or_inf > MAXIMUM_CYCLE_MM:
            others = self._with_cycle_errors(request, others, registration)
        return checked + others

    def _with_cycle_errors(
        self, request: SearchRequest, found: Sequence[Candidate], registration: Registration
    ) -> list[Candidate]:
        back = [request.reversed_at(candidate.position, registration) for candidate in found]
        errors = self._cycle_errors(back, request.clicked)
        return [replace(candidate, cycle_error_mm=error) for candidate, error in zip(found, errors, strict=True)]

    def _cycle_errors(self, back: Sequence[SearchRequest], clicked: Sequence[float]) -> list[float | None]:
        """Return the distances (mm) from the clicked point to the best result of each reversed request."""
        errors: list[float | None] = []
        for request, scores in zip(back, self.search(back) if back else [], strict=True):
            best = find_candidates(scores, request.target, 1)
            errors.append(float(np.linalg.norm(np.subtract(best[0].position, clicked))) if best else None)
        return errors

    def _encode_crops(self, centres: Sequence[tuple[Volume, Sequence[float]]]) -> list[EncodedCrop]:
        """Return crops round (scan, RAS point), with their features."""
        crops = [Crop.around(scan, centre, self.config.crop, self.config.spacing) for scan, centre in centres]
        if not crops:
            return []
        features = self.encode(torch.stack([crop.image for crop in crops]).to(self.device))
        return [EncodedCrop(crop, each, scan) for crop, each, (scan, _) in zip(crops, features, centres, strict=True)]


def _check_click(pair: ScanPair, at: Sequence[float], radius_mm: float) -> Click:
    at = pair.check_click(at)
    if not (np.isfinite(radius_mm) and radius_mm > 0):
        raise InputError(f"The lesion radius must be a positive number of mm; {radius_mm:g} is not.")
    return at, float(radius_mm)

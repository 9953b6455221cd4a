"""What every learned tracker does beside its network: crops in, a match with its trust out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch

from oncotrack.background.jobs import Progress, part_of, silent
from oncotrack.errors import InputError
from oncotrack.findings.finding import Alternative, Point, point
from oncotrack.followup.candidates import Answer, Candidate, candidates
from oncotrack.followup.crops import Crop, EncodedCrop
from oncotrack.followup.match_lesions import Lesion
from oncotrack.followup.rounds import matched_side_by_side
from oncotrack.followup.selfsim import MAXIMUM_CYCLE_MM
from oncotrack.followup.tissue import flag_tissue_change
from oncotrack.followup.tracker import DEFAULT_RADIUS_MM, OUTSIDE, Match, ScanPair
from oncotrack.images.volume import Volume
from oncotrack.networks import weights as stored
from oncotrack.networks.threads import one_thread_an_operation
from oncotrack.registration.registration import Registration

FOUND_THRESHOLD = 0.5
"""Least score of a lesion that is there, where the weights do not tell another (``found_threshold``)."""
_CANDIDATES = 4
_TRUSTED_CYCLE_MM = 2.0
_AT_ONCE = 4


class Question(NamedTuple):
    """Where is what was clicked in `source`, when it is expected in `target` there? Places RAS mm."""

    source: EncodedCrop
    clicked: Point
    target: EncodedCrop
    expected: Point
    radius_mm: float


class LearnedTracker(ABC):
    """A tracker with a network, its weights, and two functions that ask it.

    Only a crop of each scan is read, so that a click costs the same in every field of view. Both crops are encoded once
    a click and serve both ways: matching back from a place needs no further encoding. Alternatives and matching back
    are of no paper.

    Parameters
    ----------
    device : str
        "auto", "cpu", "cuda" or "mps".
    config : str
        Whose bundled weights to take.
    weights : path, optional
        Other weights.

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
    """The network's class; made from a config."""

    def __init__(self, device: str = "auto", config: str = "compact", weights: str | Path | None = None) -> None:
        stored.check_config(self.title, config, self.configs)
        path = weights or stored.bundled(self.name, config)
        trained = stored.load_network(path, self.name, type(self.configs[config]), self.kind, device)
        self.network, self.config, self.device = trained.network, trained.config, trained.device
        self.about = trained.about
        self.threshold = float(self.about.get("found_threshold", FOUND_THRESHOLD))
        self._sha256 = trained.sha256

    @abstractmethod
    def encode(self, images: torch.Tensor) -> list[Any]:
        """(B, 1, D, H, W) HU -> the features of each."""

    @abstractmethod
    def answers(self, questions: Sequence[Question]) -> list[Answer]:
        """What the network says to each question, all at once."""

    def match(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Match:
        """Match the baseline lesion at RAS point `at` (mm) with radius `radius_mm`.

        Raises
        ------
        InputError
            The point lies outside the baseline, the radius is not positive, or a scan is no CT.
        RegistrationError
            The scans cannot be registered.
        """
        return self.match_many(pair, [(at, radius_mm)], progress)[0]

    def match_many(self, pair: ScanPair, lesions: Sequence[Lesion], progress: Progress = silent) -> list[Match]:
        """Match each (RAS point, radius in mm) of the baseline; the answers come in the same order.

        A few at a time: on the CPU side by side, each on a core of its own, on an accelerator in one batch. The way
        back from an alternative is asked only where the best place does not lead back, or for one lesion alone.
        """
        clicks = [_checked(pair, at, radius_mm) for at, radius_mm in lesions]
        registration = self._registered(pair, part_of(progress, 0.0, 0.6))
        progress = part_of(progress, 0.6, 1.0)
        is_alone = len(clicks) == 1
        if self.device.type == "cpu":
            return matched_side_by_side(
                lambda part, click: self._matched(pair, registration, [click], is_alone, part)[0], clicks, progress
            )
        matches = []
        for first in range(0, len(clicks), _AT_ONCE):
            few = clicks[first : first + _AT_ONCE]
            part = part_of(progress, first / len(clicks), (first + len(few)) / len(clicks))
            part(0.0, "" if is_alone else f"Lesion {first + 1} of {len(clicks)}")
            matches += self._matched(pair, registration, few, is_alone, part)
        return matches

    def cycle_error(
        self, pair: ScanPair, at: Sequence[float], place: Sequence[float], radius_mm: float
    ) -> float | None:
        """Millimetres by which matching back from a follow-up place misses `at`; see `ChecksBack`."""
        if not pair.followup.geometry.contains(place):
            return None
        back = point(self._registered(pair, silent).to_baseline(place))
        with one_thread_an_operation(), torch.inference_mode():
            there, here = self._encoded([(pair.followup, place), (pair.baseline, back)])
            return self._cycle_errors([Question(there, point(place), here, back, radius_mm)], [at])[0]

    def probability_map(
        self, pair: ScanPair, at: Sequence[float], radius_mm: float = DEFAULT_RADIUS_MM, progress: Progress = silent
    ) -> Volume:
        """How likely the lesion is at each place of the crop that was searched; see `MapsProbability`."""
        at, radius_mm = _checked(pair, at, radius_mm)
        expected = point(self._registered(pair, progress).to_followup(at))
        with one_thread_an_operation(), torch.inference_mode():
            here, there = self._encoded([(pair.baseline, at), (pair.followup, expected)])
            (said,) = self.answers([Question(here, at, there, expected, radius_mm)])
        grid = there.crop.cells(said.logits.shape, said.stride)
        return Volume(said.probabilities, grid, "probability of the lesion")

    def _registered(self, pair: ScanPair, progress: Progress) -> Registration:
        for scan in (pair.baseline, pair.followup):
            if not scan.is_ct:
                raise InputError(
                    f"{scan.name} is no CT, and the {self.title} was trained on CT alone. Choose the method selfsim."
                )
        return pair.registration(progress)

    @one_thread_an_operation()
    @torch.inference_mode()
    def _matched(
        self,
        pair: ScanPair,
        registration: Registration,
        clicks: Sequence[tuple[Point, float]],
        every_way_back: bool,
        progress: Progress,
    ) -> list[Match]:
        """The matches of clicks that are done at once."""
        matches = []
        for at, radius_mm in clicks:
            expected = point(registration.to_followup(at))
            matches.append(
                Match(
                    False, expected, expected, radius_mm * registration.scale, 0.0, None, reason=OUTSIDE,
                    method=self.name, weights_sha256=self._sha256,
                )
            )  # fmt: skip
        reach = max(self.config.reach_mm)
        asked = [
            n
            for n, match in enumerate(matches)
            if pair.followup.geometry.contains(match.registration_guess, margin_mm=-reach)
        ]
        encoded = self._encoded(
            [
                place
                for n in asked
                for place in ((pair.baseline, clicks[n][0]), (pair.followup, matches[n].registration_guess))
            ]
        )
        progress(0.5, "Searching")
        questions = [
            Question(here, clicks[n][0], there, matches[n].registration_guess, clicks[n][1])
            for n, here, there in zip(asked, encoded[::2], encoded[1::2], strict=True)
        ]
        answers = self.answers(questions) if questions else []
        found = [candidates(said, each.target, _CANDIDATES) for each, said in zip(questions, answers, strict=True)]
        progress(0.8, "Matching back")
        for n, question, several in zip(asked, questions, found, strict=True):
            if several:
                best, *others = several
                checked = self._checked_back(question, [best], clicks[n][0], registration)
                if every_way_back or checked[0].cycle_or_inf > MAXIMUM_CYCLE_MM:
                    others = self._checked_back(question, others, clicks[n][0], registration)
                matches[n] = flag_tissue_change(self._match(matches[n], checked + others), pair, *clicks[n])
        return matches

    def _checked_back(
        self, question: Question, several: Sequence[Candidate], clicked: Point, registration: Registration
    ) -> list[Candidate]:
        """The candidates with their cycle errors."""
        back = [self._turned(question, each, registration) for each in several]
        errors = self._cycle_errors(back, [clicked] * len(back))
        return [replace(each, cycle_error_mm=error) for each, error in zip(several, errors, strict=True)]

    @staticmethod
    def _turned(question: Question, candidate: Candidate, registration: Registration) -> Question:
        """The question backwards, from a place that was found."""
        back = point(registration.to_baseline(candidate.place))
        radius = question.radius_mm * registration.scale
        return Question(question.target, candidate.place, question.source, back, radius)

    def _match(self, unanswered: Match, found: list[Candidate]) -> Match:
        """The best candidate, unless it does not lead back and a convincing one does."""
        best = found[0]
        if best.cycle_or_inf > MAXIMUM_CYCLE_MM:
            trusted = [e for e in found if e.cycle_or_inf < _TRUSTED_CYCLE_MM and e.score >= self.threshold]
            best = min(trusted, key=lambda each: each.cycle_or_inf, default=best)
        reason = self._doubt(best)
        return replace(
            unanswered,
            found=not reason,
            position=best.place,
            score=best.score,
            cycle_error_mm=best.cycle_error_mm,
            alternatives=tuple(Alternative(e.place, e.score, e.cycle_error_mm) for e in found if e is not best),
            reason=reason,
        )

    def _doubt(self, best: Candidate) -> str:
        if best.score < self.threshold:
            return f"Nothing in the follow-up looks alike (score {best.score:.2f}); the lesion may have vanished."
        if best.cycle_or_inf <= MAXIMUM_CYCLE_MM:
            return ""
        missed = "leads out of the baseline"
        if best.cycle_error_mm is not None:
            missed = f"misses the clicked point by {best.cycle_error_mm:.0f} mm"
        return f"Matching back from the best place {missed}; the lesion may have vanished. Look for it by eye."

    def _encoded(self, places: Sequence[tuple[Volume, Sequence[float]]]) -> list[EncodedCrop]:
        """Crops round (scan, RAS place) with their features."""
        crops = [Crop.around(scan, place, self.config.crop, self.config.spacing) for scan, place in places]
        if not crops:
            return []
        features = self.encode(torch.stack([crop.image for crop in crops]).to(self.device))
        return [EncodedCrop(crop, each, scan) for crop, each, (scan, _) in zip(crops, features, places, strict=True)]

    def _cycle_errors(self, back: list[Question], clicked: Iterable[Sequence[float]]) -> list[float | None]:
        """How far the answers of questions asked backwards lie from what was clicked first."""
        answers = self.answers(back) if back else []
        errors: list[float | None] = []
        for question, said, at in zip(back, answers, clicked, strict=True):
            led = candidates(said, question.target, 1)
            errors.append(float(np.linalg.norm(np.subtract(led[0].place, at))) if led else None)
        return errors

    def places(self, questions: Sequence[Question]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Clicked and expected places, (B, 3) voxels z, y, x of their crops, and radii, (B,) mm."""
        clicked = torch.stack([each.source.crop.voxel(each.clicked) for each in questions])
        expected = torch.stack([each.target.crop.voxel(each.expected) for each in questions])
        radius = torch.tensor([each.radius_mm for each in questions], dtype=torch.float32)
        return clicked.to(self.device), expected.to(self.device), radius.to(self.device)


def _checked(pair: ScanPair, at: Sequence[float], radius_mm: float) -> tuple[Point, float]:
    at = pair.check_click(at)
    if not (np.isfinite(radius_mm) and radius_mm > 0):
        raise InputError(f"The lesion radius must be a positive number of mm; {radius_mm:g} is not.")
    return at, float(radius_mm)

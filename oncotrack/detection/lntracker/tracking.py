"""LN-Tracker's inference: from the lowest slice up, nodes are born, followed and end (sec. 3.3, algorithm 1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from oncotrack.detection.lntracker.network import LNTracker, TrackQueries
from oncotrack.networks.boxes import corners, iou


@dataclass(frozen=True)
class Thresholds:
    """When a box counts (sec. 4.2), and the rule "Associate", which the paper leaves open.

    A new detection belongs to a node that is being followed when their boxes overlap by more than `same_box` (IoU), or
    by more than `near_box` while their queries are alike (similarity above `similarity`). Such a detection is dropped:
    the track query speaks for the node. One that belongs in the second way to a node whose query was lost on this very
    slice goes on with it, where Algorithm 1 (lines 9 to 11) would end one node and begin another. Any other starts a new
    one. A whole node is told of from the score `node` (`Track.score`); the paper has no such threshold.
    """

    detection: float = 0.3
    tracking: float = 0.3
    similarity: float = 0.5
    same_box: float = 0.5
    near_box: float = 0.1
    node: float = 0.0


THRESHOLDS = {"paper": Thresholds(), "compact": Thresholds(detection=0.15, node=0.15)}
"""By config. Those of compact were chosen on validation seeds: a node is better known by all of its slices than by one."""
BEST = 3
"""A node's score is the mean of so many of its best slices, a missing one counting as 0."""


@dataclass(eq=False)
class Track:
    """One node: its boxes (x0, y0, x1, y1 in pixels) and scores by slice, and where its query stands.

    The score of a slice is that of the best detection which lies on the node there (IoU above `Thresholds.same_box`), 0
    without one. A track query's own score tells whether its node goes on, not whether it is one: of what began as a node,
    and so of every mistake too, it is high. In TrackFormer mode it is the score of the slice nevertheless, for detection
    queries learn there to leave alone what is followed.
    """

    boxes: dict[int, np.ndarray] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)
    embedding: torch.Tensor | None = None
    box: torch.Tensor | None = None

    def add(self, index: int, box: torch.Tensor, score: float, embedding: torch.Tensor, scale: torch.Tensor) -> None:
        """The node on slice `index`; `box` is its centre and size as a share of the slice."""
        self.boxes[index] = (corners(box) * scale).cpu().numpy()
        self.scores[index] = score
        self.embedding, self.box = embedding, box

    @property
    def score(self) -> float:
        """Score of the whole node; the paper leaves open how it comes about."""
        return sum(sorted(self.scores.values())[-BEST:]) / BEST


class Detected(NamedTuple):
    """What N detection queries see on a slice: scores (N,), boxes (N, 4) as shares of the slice, embeddings (N, C).

    `scale` (4,) turns shares into pixels.
    """

    index: int
    scores: torch.Tensor
    boxes: torch.Tensor
    embeddings: torch.Tensor
    scale: torch.Tensor


class Follower:
    """Follows nodes through the slices that it is given, one after the other.

    Parameters
    ----------
    network : LNTracker
        In evaluation mode.
    thresholds : Thresholds
    born : bool
        Whether new nodes may begin; False follows only those in `active`.
    """

    def __init__(self, network: LNTracker, thresholds: Thresholds | None = None, *, born: bool = True) -> None:
        self._network, self._limits, self._born = network, thresholds or Thresholds(), born
        self.active: list[Track] = []
        self.ended: list[Track] = []

    @torch.inference_mode()
    def read(self, index: int, stack: np.ndarray) -> Detected:
        """One slice, (9, H, W), 0 to 1; what the detection queries see on it.

        With masked attention that is what they see where nothing is followed, but for rounding.
        """
        device = next(self._network.parameters()).device
        images = torch.from_numpy(stack)[None].to(device)
        height, width = stack.shape[-2:]
        scale = torch.tensor([width, height, width, height], dtype=torch.float32, device=device)
        output = self._network(images, self._queries())
        scores = output.logits[-1, 0].float().sigmoid()
        boxes, embeddings, first = output.boxes[-1, 0].float(), output.queries[0], output.n_tracks
        if self._network.config.trackformer:
            seen = scores[:first]
        else:
            lies_on = iou(corners(boxes[:first]), corners(boxes[first:])) > self._limits.same_box
            seen = (lies_on * scores[first:]).amax(1)
        lost = self._keep(index, scores[:first], seen, boxes[:first], embeddings[:first], scale)
        detected = Detected(index, scores[first:], boxes[first:], embeddings[first:], scale)
        if self._born:
            self._add(*detected, lost)
        self.ended += lost
        return detected

    @torch.inference_mode()
    def alone(self, detected: Detected) -> list[Track]:
        """The nodes of one box that begin where nothing is followed, best first; what is followed stays as it is."""
        other = Follower(self._network, self._limits)
        other._add(*detected, [])
        return other.active

    def finish(self) -> list[Track]:
        """All nodes, after the last slice."""
        self.ended += self.active
        self.active = []
        return self.ended

    def to(self, device: torch.device) -> None:
        """Move what is being followed to another device."""
        for track in self.active:
            track.embedding, track.box = track.embedding.to(device), track.box.to(device)

    def _queries(self) -> TrackQueries | None:
        if not self.active:
            return None
        embedding = torch.stack([track.embedding for track in self.active])[None]
        boxes = torch.stack([track.box for track in self.active])[None]
        return TrackQueries(embedding, boxes, torch.ones(boxes.shape[:2], dtype=torch.bool, device=boxes.device))

    def _keep(self, index, scores, seen, boxes, embeddings, scale) -> list[Track]:
        """Lines 4 to 11: assign identities; the nodes that are not found again."""
        if not self.active:
            return []
        before = torch.stack([track.embedding for track in self.active])
        goes_on = scores > self._limits.tracking
        if self._network.config.similarity_loss:
            alike = self._network.similarity(before, embeddings).float().sigmoid().diagonal()
            goes_on &= alike > self._limits.similarity
        kept, lost = [], []
        for n, track in enumerate(self.active):
            if goes_on[n]:
                track.add(index, boxes[n], float(seen[n]), embeddings[n], scale)
                kept.append(track)
            else:
                lost.append(track)
        self.active = kept
        return lost

    def _add(self, index, scores, boxes, embeddings, scale, lost) -> None:
        """Lines 12 to 17: new nodes, unless they are known; what is found again is no longer lost."""
        order = torch.argsort(scores, descending=True)
        for n in order[scores[order] > self._limits.detection].tolist():
            overlap, alike = self._likeness(self.active, boxes[n], embeddings[n])
            if (overlap > self._limits.same_box).any() or self._belongs(overlap, alike).any():
                continue
            overlap, alike = self._likeness(lost, boxes[n], embeddings[n])
            again = overlap * self._belongs(overlap, alike)
            track = lost.pop(int(again.argmax())) if again.any() else Track()
            track.add(index, boxes[n], float(scores[n]), embeddings[n], scale)
            self.active.append(track)

    def _belongs(self, overlap: torch.Tensor, alike: torch.Tensor) -> torch.Tensor:
        return (overlap > self._limits.near_box) & (alike > self._limits.similarity)

    def _likeness(self, tracks: list[Track], box: torch.Tensor, embedding: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(T,) IoU and similarity of a detection with each of the tracks; no similarity where none was learned."""
        if not tracks:
            return embedding.new_zeros(0), embedding.new_zeros(0)
        overlap = iou(corners(box[None]), corners(torch.stack([track.box for track in tracks])))[0]
        if not self._network.config.similarity_loss:
            return overlap, torch.zeros_like(overlap)
        others = torch.stack([track.embedding for track in tracks])
        return overlap, self._network.similarity(others, embedding[None]).float().sigmoid()[:, 0]


def stacked(detections: Iterable[tuple[int, list[Track]]], overlap: float = 0.1) -> list[Track]:
    """The stacking baseline: boxes of neighbouring slices are one node when their IoU exceeds `overlap` (table 4).

    Each box continues the not yet continued node of the slice before with which it overlaps most.
    """
    done: list[Track] = []
    open_: list[Track] = []
    previous = None
    for index, boxes in detections:
        if previous is not None and abs(index - previous) != 1:
            done += open_
            open_ = []
        following: list[Track] = []
        waiting = list(open_)
        for detection in boxes:
            here = torch.as_tensor(detection.boxes[index])[None]
            shares = [float(iou(here, torch.as_tensor(track.boxes[previous])[None])) for track in waiting]
            if shares and max(shares) > overlap:
                track = waiting.pop(int(np.argmax(shares)))
                track.boxes[index], track.scores[index] = detection.boxes[index], detection.scores[index]
                following.append(track)
            else:
                following.append(detection)
        done += waiting
        open_, previous = following, index
    return done + open_

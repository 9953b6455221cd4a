"""LN-Tracker's inference: from the lowest slice up, nodes are born, followed and end (sec. 3.3, algorithm 1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch

from oncotrack.boxes import corners, iou
from oncotrack.detection.lntracker.network import LNTracker, TrackQueries


@dataclass(frozen=True)
class Thresholds:
    """When a box counts (sec. 4.2), and the rule "Associate", which the paper leaves open.

    A new detection belongs to a node that is being followed when their boxes overlap by more than `same_box` (IoU), or
    by more than `near_box` while their queries are alike (similarity above `similarity`). Such a detection is dropped:
    the track query speaks for the node. Any other starts a new one.
    """

    detection: float = 0.3
    tracking: float = 0.3
    similarity: float = 0.5
    same_box: float = 0.5
    near_box: float = 0.1


@dataclass(eq=False)
class Track:
    """One node: its boxes (x0, y0, x1, y1 in pixels) and scores by slice, and where its query stands."""

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
        """Score of the whole node: that of its best slice."""
        return max(self.scores.values())


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
        self._uses_tracks = network.config.track_queries
        self.active: list[Track] = []
        self.ended: list[Track] = []

    @torch.inference_mode()
    def read(self, index: int, stack: np.ndarray) -> None:
        """One slice: (9, H, W), 0 to 1."""
        device = next(self._network.parameters()).device
        images = torch.from_numpy(stack)[None].to(device)
        height, width = stack.shape[-2:]
        scale = torch.tensor([width, height, width, height], dtype=torch.float32, device=device)
        output = self._network(images, self._queries())
        scores = output.logits[-1, 0].float().sigmoid()
        boxes, embeddings, first = output.boxes[-1, 0].float(), output.queries[0], output.n_tracks
        self._keep(index, scores[:first], boxes[:first], embeddings[:first], scale)
        if self._born:
            self._add(index, scores[first:], boxes[first:], embeddings[first:], scale)

    def finish(self) -> list[Track]:
        """All nodes, after the last slice."""
        self.ended += self.active
        self.active = []
        return self.ended

    def to(self, device: torch.device) -> None:
        """Move what is being followed to another device."""
        for track in self.active:
            track.embedding, track.box = track.embedding.to(device), track.box.to(device)

    def detections(self, index: int, stack: np.ndarray) -> list[Track]:
        """What the detection queries alone see on one slice, best first, as tracks of one box."""
        alone = Follower(self._network, self._limits)
        alone.read(index, stack)
        return sorted(alone.active, key=lambda track: -track.scores[index])

    def _queries(self) -> TrackQueries | None:
        if not self.active:
            return None
        embedding = torch.stack([track.embedding for track in self.active])[None]
        boxes = torch.stack([track.box for track in self.active])[None]
        return TrackQueries(embedding, boxes, torch.ones(boxes.shape[:2], dtype=torch.bool, device=boxes.device))

    def _keep(self, index, scores, boxes, embeddings, scale) -> None:
        """Lines 4 to 11: assign identities, or end a node."""
        if not self.active:
            return
        before = torch.stack([track.embedding for track in self.active])
        if self._network.config.similarity_loss:
            alike = self._network.similarity(before, embeddings).float().sigmoid().diagonal()
        else:
            alike = torch.ones_like(scores)
        kept = []
        goes_on = (scores > self._limits.tracking) & (alike > self._limits.similarity)
        for n, track in enumerate(self.active):
            if goes_on[n]:
                track.add(index, boxes[n], float(scores[n]), embeddings[n], scale)
                kept.append(track)
            else:
                self.ended.append(track)
        self.active = kept

    def _add(self, index, scores, boxes, embeddings, scale) -> None:
        """Lines 12 to 17: new nodes, unless they are known."""
        order = torch.argsort(scores, descending=True)
        for n in order[scores[order] > self._limits.detection].tolist():
            if not self._is_known(boxes[n], embeddings[n]):
                track = Track()
                track.add(index, boxes[n], float(scores[n]), embeddings[n], scale)
                self.active.append(track)

    def _is_known(self, box: torch.Tensor, embedding: torch.Tensor) -> bool:
        if not self.active:
            return False
        known = torch.stack([track.box for track in self.active])
        overlap = iou(corners(box[None]), corners(known))[0]
        if (overlap > self._limits.same_box).any():
            return True
        if not self._network.config.similarity_loss:
            return False
        others = torch.stack([track.embedding for track in self.active])
        alike = self._network.similarity(others, embedding[None]).float().sigmoid()[:, 0]
        return bool(((overlap > self._limits.near_box) & (alike > self._limits.similarity)).any())


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

"""LN-Tracker's inference: nodes start, are followed and end, from the lowest slice up (sec. 3.3, algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from oncotrack.detection.lntracker.network import LNTracker
from oncotrack.detection.lntracker.proposer import EncodedSlice
from oncotrack.detection.lntracker.slice_data import TrackQueries
from oncotrack.detection.lntracker.slice_encoder import SliceEncoder
from oncotrack.detection.tracks import Track
from oncotrack.networks.boxes import corners, iou


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of detection and tracking (sec. 4.2), and of the rule "Associate", which the paper does not define.

    A new detection belongs to a followed node if their boxes overlap by more than `same_box`, or by more than `near_box`
    while the similarity of their queries exceeds `similarity`. Such a detection is dropped, because the track query
    represents the node. A detection that belongs by the second rule to a node whose query was lost on this same slice
    continues that node, where Algorithm 1 (lines 9 to 11) would end one node and start another. Any other detection starts
    a new node.

    Attributes
    ----------
    detection : float
        Least score of a detection.
    tracking : float
        Least score of a track query to continue.
    similarity : float
        Least similarity of two queries of one node.
    same_box, near_box : float
        IoU, see above.
    node : float
        Least score of a whole node (`Track.score`); the paper has no such threshold.
    """

    detection: float = 0.3
    tracking: float = 0.3
    similarity: float = 0.5
    same_box: float = 0.5
    near_box: float = 0.1
    node: float = 0.0


THRESHOLDS = {"paper": Thresholds(), "compact": Thresholds(detection=0.15, node=0.15)}
"""By configuration. Those of compact were chosen on validation seeds: all slices of a node together are more reliable than
a single one, so single detections may score lower."""


@dataclass(eq=False, kw_only=True)
class FollowedTrack(Track):
    """A track with its query.

    The score of a slice is that of the best detection on the node there (IoU above `Thresholds.same_box`), 0 without one.
    A track query's own score indicates whether its track continues, not whether it is a node; it is high for mistakes too.
    TrackFormer mode uses it nevertheless, because there detection queries learn to ignore followed nodes.

    Attributes
    ----------
    embedding : (C,) tensor
        Query on the last slice.
    box : (4,) tensor
        Centre and edges on the last slice, 0 to 1 across it.
    """

    embedding: torch.Tensor
    box: torch.Tensor

    def add(self, index: int, box: torch.Tensor, score: float, embedding: torch.Tensor, scale: torch.Tensor) -> None:
        """Add the node on one more slice.

        Parameters
        ----------
        index : int
            Slice index.
        box : (4,) tensor
            Centre and edges, 0 to 1 across the slice.
        score : float
            Score on this slice.
        embedding : (C,) tensor
            Query for the next slice.
        scale : (4,) tensor
            Factors from fractions of the slice to pixels.
        """
        self.boxes[index] = (corners(box) * scale).cpu().numpy()
        self.scores[index] = score
        self.embedding, self.box = embedding, box


class SliceQueries(NamedTuple):
    """N decoded queries of one slice.

    Attributes
    ----------
    index : int
        Slice index.
    scores : (N,) tensor
        0 to 1.
    boxes : (N, 4) tensor
        Centre and edges, 0 to 1 across the slice.
    embeddings : (N, C) tensor
        Features.
    scale : (4,) tensor
        Factors from fractions of the slice to pixels.
    """

    index: int
    scores: torch.Tensor
    boxes: torch.Tensor
    embeddings: torch.Tensor
    scale: torch.Tensor

    def subset(self, which: slice) -> SliceQueries:
        """Return some of the queries.

        Parameters
        ----------
        which : slice
            Of the N queries.

        Returns
        -------
        SliceQueries
            Views of the same tensors.
        """
        return SliceQueries(self.index, self.scores[which], self.boxes[which], self.embeddings[which], self.scale)


class Follower:
    """Follows nodes through slices that are passed to it in order.

    Parameters
    ----------
    network : LNTracker
        In evaluation mode.
    thresholds : Thresholds, optional
        The paper's if missing.
    allow_new : bool
        Whether new nodes may start; otherwise only those in `active` are followed.
    """

    def __init__(self, network: LNTracker, thresholds: Thresholds | None = None, *, allow_new: bool = True) -> None:
        self._network, self._limits, self._allow_new = network, thresholds or Thresholds(), allow_new
        self.active: list[FollowedTrack] = []
        self.ended: list[FollowedTrack] = []
        self.encoder = SliceEncoder(network)

    def process(self, index: int, stack: np.ndarray) -> SliceQueries:
        """Encode one slice, and follow the nodes through it, see `follow`.

        Parameters
        ----------
        index : int
            Slice index.
        stack : (9, H, W) float32 ndarray
            The slice between its neighbours, 0 to 1.

        Returns
        -------
        SliceQueries
            The detection queries.
        """
        return self.follow(index, self.encoder.encode(index, stack))

    @torch.inference_mode()
    def follow(self, index: int, encoded: EncodedSlice) -> SliceQueries:
        """Process one slice: continue, end and start nodes.

        Parameters
        ----------
        index : int
            Slice index.
        encoded : EncodedSlice
            The slice.

        Returns
        -------
        SliceQueries
            The detection queries. With masked attention they do not depend on what is followed, except for rounding.
        """
        output = self._network.decode(encoded, self._queries())
        scale = torch.tensor(output.size, dtype=torch.float32, device=output.boxes.device).repeat(2)
        scores = output.logits[-1, 0].float().sigmoid()
        queries = SliceQueries(index, scores, output.boxes[-1, 0].float(), output.queries[0], scale)
        tracked, detected = queries.subset(slice(output.n_tracks)), queries.subset(slice(output.n_tracks, None))
        lost = self._continue(tracked, self._node_scores(tracked, detected))
        if self._allow_new:
            self._associate(detected, lost)
        self.ended += lost
        return detected

    @torch.inference_mode()
    def single_slice_tracks(self, detected: SliceQueries) -> list[FollowedTrack]:
        """Return the nodes that would start on a slice if nothing was followed; followed nodes do not change.

        Parameters
        ----------
        detected : SliceQueries
            From `process`.

        Returns
        -------
        list of FollowedTrack
            Of one box each, best first.
        """
        other = Follower(self._network, self._limits)
        other._associate(detected, [])
        return other.active

    def finish(self) -> list[FollowedTrack]:
        """Return all nodes, after the last slice."""
        self.ended += self.active
        self.active = []
        return self.ended

    def to(self, device: torch.device) -> None:
        """Move the queries of the followed nodes to another device.

        Parameters
        ----------
        device : torch.device
            Where the network runs from now on.
        """
        for track in self.active:
            track.embedding, track.box = track.embedding.to(device), track.box.to(device)
        self.encoder = SliceEncoder(self._network)  # what slices share is on the old device

    def _queries(self) -> TrackQueries | None:
        if not self.active:
            return None
        embedding = torch.stack([track.embedding for track in self.active])[None]
        boxes = torch.stack([track.box for track in self.active])[None]
        return TrackQueries(embedding, boxes, torch.ones(boxes.shape[:2], dtype=torch.bool, device=boxes.device))

    def _node_scores(self, tracked: SliceQueries, detected: SliceQueries) -> torch.Tensor:
        """Return the score of each followed node on this slice, (T,); see `FollowedTrack`."""
        if self._network.config.trackformer:
            return tracked.scores
        same = iou(corners(tracked.boxes), corners(detected.boxes)) > self._limits.same_box
        return (same * detected.scores).amax(1)

    def _continue(self, tracked: SliceQueries, node_scores: torch.Tensor) -> list[FollowedTrack]:
        """Assign identities (lines 4 to 11); return the nodes that were lost on this slice."""
        if not self.active:
            return []
        continues = tracked.scores > self._limits.tracking
        if self._network.config.similarity_loss:
            before = torch.stack([track.embedding for track in self.active])
            similarity = self._network.similarity(before, tracked.embeddings).float().sigmoid().diagonal()
            continues &= similarity > self._limits.similarity
        kept, lost = [], []
        for n, track in enumerate(self.active):
            if continues[n]:
                track.add(tracked.index, tracked.boxes[n], float(node_scores[n]), tracked.embeddings[n], tracked.scale)
                kept.append(track)
            else:
                lost.append(track)
        self.active = kept
        return lost

    def _associate(self, detected: SliceQueries, lost: list[FollowedTrack]) -> None:
        """Start new nodes from detections that belong to none (lines 12 to 17), or continue a node of `lost`.

        Continued nodes are removed from `lost`.
        """
        order = torch.argsort(detected.scores, descending=True)
        for n in order[detected.scores[order] > self._limits.detection].tolist():
            box, embedding = detected.boxes[n], detected.embeddings[n]
            overlap, belongs = self._relation(self.active, box, embedding)
            if (overlap > self._limits.same_box).any() or belongs.any():
                continue
            overlap, belongs = self._relation(lost, box, embedding)
            candidates = overlap * belongs
            if candidates.any():
                track = lost.pop(int(candidates.argmax()))
            else:
                track = FollowedTrack(embedding=embedding, box=box)
            track.add(detected.index, box, float(detected.scores[n]), embedding, detected.scale)
            self.active.append(track)

    def _relation(
        self, tracks: Sequence[FollowedTrack], box: torch.Tensor, embedding: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the IoU of a detection with each track, and whether it is near and similar to the track; both (T,)."""
        if not tracks:
            return embedding.new_zeros(0), embedding.new_zeros(0, dtype=torch.bool)
        overlap = iou(corners(box[None]), corners(torch.stack([track.box for track in tracks])))[0]
        if not self._network.config.similarity_loss:
            similarity = torch.zeros_like(overlap)
        else:
            others = torch.stack([track.embedding for track in tracks])
            similarity = self._network.similarity(others, embedding[None]).float().sigmoid()[:, 0]
        return overlap, (overlap > self._limits.near_box) & (similarity > self._limits.similarity)

"""Track queries in training: from the detections of one slice to the queries of the next."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.detection.lntracker.hungarian import match
from oncotrack.detection.lntracker.slice_data import LNTargets, Output, TrackQueries
from oncotrack.networks import boxes as box_ops

_OFF_NODE_IOU = 0.1


@dataclass(frozen=True)
class TrackAugmentation:
    """Random changes to the track queries of a training step; the defaults are TrackFormer's.

    Attributes
    ----------
    dropped : float
        Probability that only a uniformly drawn number of an image's tracks is kept, as if the others had been missed.
    false : float
        Probability of one additional false track for each track; an image without tracks counts as one track.
    aged : float
        Fraction of the steps whose tracks are first followed once on their own slice. In a scan, queries are followed
        over many slices; a pair of slices shows the first step only.
    """

    dropped: float = 0.4
    false: float = 0.1
    aged: float = 0.0


TRACKFORMER = TrackAugmentation()


def pad_queries(embeddings: list[torch.Tensor], boxes: list[torch.Tensor]) -> TrackQueries:
    """Join the track queries of several images, padding with zeros.

    Parameters
    ----------
    embeddings : B tensors (T, C)
        Features of each image's queries.
    boxes : B tensors (T, 4)
        Centre and edges, 0 to 1 across the slice.

    Returns
    -------
    TrackQueries
        Of the batch.
    """
    present = [torch.ones(len(each), dtype=torch.bool, device=each.device) for each in embeddings]
    return TrackQueries(*(torch.nn.utils.rnn.pad_sequence(part, True) for part in (embeddings, boxes, present)))


def matched_tracks(
    output: Output, targets: list[LNTargets], config: LNTrackerConfig
) -> tuple[TrackQueries, torch.Tensor]:
    """Return the detection queries matched with a node of the reference slice as track queries (section 3.2).

    Parameters
    ----------
    output : Output
        Of the reference slice.
    targets : list of LNTargets
        Ground truth of the reference slice.
    config : LNTrackerConfig
        Weights of the matching.

    Returns
    -------
    tracks : TrackQueries
        Detached from the reference slice.
    ids : (B, T) long tensor
        Node of each query; -1 for padding.
    """
    return _gather(output, _match_detections(output, targets, config))


def augment_tracks(
    output: Output,
    targets: list[LNTargets],
    config: LNTrackerConfig,
    generator: torch.Generator | None = None,
    augmentation: TrackAugmentation = TRACKFORMER,
) -> tuple[TrackQueries, torch.Tensor]:
    """Return `matched_tracks` with some dropped and some false ones added.

    A false track is a detection query of the reference slice that lies on no node, drawn with a probability
    proportional to the square of its score: in a scan, false tracks start from those above the detection threshold.

    Parameters
    ----------
    output : Output
        Of the reference slice.
    targets : list of LNTargets
        Ground truth of the reference slice.
    config : LNTrackerConfig
        Weights of the matching.
    generator : torch.Generator, optional
        Source of random numbers; torch's default if missing.
    augmentation : TrackAugmentation
        Probabilities.

    Returns
    -------
    tracks : TrackQueries
        Detached from the reference slice.
    ids : (B, T) long tensor
        Node of each query; -1 for padding and false tracks.
    """
    kept = []
    for n, (rows, ids) in enumerate(_match_detections(output, targets, config)):
        device = rows.device
        count = max(len(rows), 1)
        n_false = int((torch.rand(count, generator=generator, device=device) < augmentation.false).sum())
        if len(rows) and torch.rand(1, generator=generator, device=device) < augmentation.dropped:
            order = torch.rand(len(rows), generator=generator, device=device).argsort()
            order = order[: int(torch.rand(1, generator=generator, device=device) * (len(rows) + 1))]
            rows, ids = rows[order], ids[order]
        if n_false:
            false = _draw_false(output, n, targets[n].boxes, n_false, generator)
            rows, ids = torch.cat([rows, false]), torch.cat([ids, torch.full_like(false, -1)])
        kept.append((rows, ids))
    return _gather(output, kept)


def _draw_false(
    output: Output, image: int, nodes: torch.Tensor, count: int, generator: torch.Generator | None
) -> torch.Tensor:
    """Draw up to `count` detection queries of an image that lie on none of its nodes."""
    scores = output.logits[-1, image, output.n_tracks :].detach().sigmoid().square()
    boxes = output.boxes[-1, image, output.n_tracks :].detach()
    overlap = box_ops.iou(box_ops.corners(boxes), box_ops.corners(nodes))
    if overlap.shape[1]:
        scores = scores * (overlap.amax(1) < _OFF_NODE_IOU)
    count = min(count, int((scores > 0).sum()))
    if not count:
        return torch.zeros(0, dtype=torch.long, device=scores.device)
    return torch.multinomial(scores, count, generator=generator)


def age_tracks(output: Output, tracks: TrackQueries) -> TrackQueries:
    """Return track queries as the decoder updated them.

    Parameters
    ----------
    output : Output
        Of a slice on which the tracks were followed.
    tracks : TrackQueries
        The tracks before.

    Returns
    -------
    TrackQueries
        Detached.
    """
    kept = slice(0, output.n_tracks)
    return TrackQueries(output.queries[:, kept].detach(), output.boxes[-1, :, kept].detach(), tracks.present)


def _match_detections(
    output: Output, targets: list[LNTargets], config: LNTrackerConfig
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return for each image the indices of the matched detection queries, and their nodes."""
    first = output.n_tracks
    pairs = match(
        output.logits[-1, :, first:], output.boxes[-1, :, first:], [t.boxes for t in targets], output.size, config
    )
    return [(rows, target.ids[columns]) for (rows, columns), target in zip(pairs, targets, strict=True)]


def _gather(output: Output, kept: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[TrackQueries, torch.Tensor]:
    queries = output.queries[:, output.n_tracks :].detach()
    boxes = output.boxes[-1, :, output.n_tracks :].detach()
    tracks = pad_queries(
        [queries[n, rows] for n, (rows, _) in enumerate(kept)], [boxes[n, rows] for n, (rows, _) in enumerate(kept)]
    )
    return tracks, torch.nn.utils.rnn.pad_sequence([ids for _, ids in kept], True, -1)

"""From the detections of a slice to the track queries of the next, in training."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.detection.lntracker.hungarian import match
from oncotrack.detection.lntracker.network import LNTargets, Output, TrackQueries
from oncotrack.networks import boxes as plane


@dataclass(frozen=True)
class TrackAugmentation:
    """What training does to track queries; by default TrackFormer's.

    Attributes
    ----------
    dropped : probability that of an image's tracks only a uniform number stays, as if the others had been missed.
    false : probability that a false track joins, for each track, an image without counting as one.
    aged : share of the steps whose tracks are followed once on their own slice first. In a scan a query has been
        followed over many slices; a pair shows the first step alone.
    """

    dropped: float = 0.4
    false: float = 0.1
    aged: float = 0.0


TRACKFORMER = TrackAugmentation()


def padded(embeddings: list[torch.Tensor], boxes: list[torch.Tensor]) -> TrackQueries:
    """Track queries of a batch from each image's (T, C) embeddings and (T, 4) boxes, filled up with zeros."""
    present = [torch.ones(len(each), dtype=torch.bool, device=each.device) for each in embeddings]
    return TrackQueries(*(torch.nn.utils.rnn.pad_sequence(part, True) for part in (embeddings, boxes, present)))


def matched_tracks(
    output: Output, targets: list[LNTargets], config: LNTrackerConfig
) -> tuple[TrackQueries, torch.Tensor]:
    """The detection queries that found a node of the reference slice, as track queries of the next (section 3.2).

    Returns
    -------
    tracks : detached from the reference slice
    ids : (B, T) long, the node of each; -1 where padded
    """
    kept = _matched(output, targets, config)
    return _gather(output, kept)


def augment_tracks(
    output: Output,
    targets: list[LNTargets],
    config: LNTrackerConfig,
    generator: torch.Generator | None = None,
    how: TrackAugmentation = TRACKFORMER,
) -> tuple[TrackQueries, torch.Tensor]:
    """`matched_tracks`, some dropped and with false ones among them.

    A false track has the id -1 and is a detection query of the reference slice that lies on no node, drawn by the square
    of its score: those above the detection threshold are what a scan's false tracks begin with.
    """
    kept = []
    for n, (rows, ids) in enumerate(_matched(output, targets, config)):
        device = rows.device

        def draw(*shape: int, device=device) -> torch.Tensor:
            return torch.rand(*shape, generator=generator, device=device)

        wanted = max(len(rows), 1)
        n_false = int((draw(wanted) < how.false).sum())
        if len(rows) and draw(1) < how.dropped:
            stays = draw(len(rows)).argsort()[: int(draw(1) * (len(rows) + 1))]
            rows, ids = rows[stays], ids[stays]
        if n_false:
            scores = output.logits[-1, n, output.n_tracks :].detach().sigmoid().square()
            on_node = plane.iou(
                plane.corners(output.boxes[-1, n, output.n_tracks :].detach()), plane.corners(targets[n].boxes)
            )
            scores = scores * (on_node.amax(1) < 0.1 if on_node.shape[1] else 1)
            n_false = min(n_false, int((scores > 0).sum()))
            if n_false:
                false = torch.multinomial(scores, n_false, generator=generator)
                rows, ids = torch.cat([rows, false]), torch.cat([ids, torch.full_like(false, -1)])
        kept.append((rows, ids))
    return _gather(output, kept)


def aged(output: Output, tracks: TrackQueries) -> TrackQueries:
    """The track queries as the decoder leaves them after `output`, in which they were followed."""
    kept = slice(0, output.n_tracks)
    return TrackQueries(output.queries[:, kept].detach(), output.boxes[-1, :, kept].detach(), tracks.present)


def _matched(
    output: Output, targets: list[LNTargets], config: LNTrackerConfig
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Per image the detection queries that are matched, and the nodes they are matched with."""
    first = output.n_tracks
    pairs = match(
        output.logits[-1, :, first:], output.boxes[-1, :, first:], [t.boxes for t in targets], output.size, config
    )
    return [(rows, target.ids[columns]) for (rows, columns), target in zip(pairs, targets, strict=True)]


def _gather(output: Output, kept: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[TrackQueries, torch.Tensor]:
    queries = output.queries[:, output.n_tracks :].detach()
    boxes = output.boxes[-1, :, output.n_tracks :].detach()
    tracks = padded(
        [queries[n, rows] for n, (rows, _) in enumerate(kept)], [boxes[n, rows] for n, (rows, _) in enumerate(kept)]
    )
    return tracks, torch.nn.utils.rnn.pad_sequence([ids for _, ids in kept], True, -1)

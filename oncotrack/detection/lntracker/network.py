"""LN-Tracker: from one slice and the tracks of the previous slice to the boxes of this slice (section 3 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.detection.lntracker.anchors import MLP
from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.detection.lntracker.decoder import Decoded, Decoder, Memory
from oncotrack.detection.lntracker.denoising import denoising_queries
from oncotrack.detection.lntracker.masks import LNMaskHead
from oncotrack.detection.lntracker.proposals import Proposals, score_near, select
from oncotrack.detection.lntracker.proposer import EncodedSlice, Proposer
from oncotrack.detection.lntracker.slice_data import LNTargets, Output, TrackQueries
from oncotrack.errors import InputError


class LNSimilarity(nn.Sequential):
    """Equation 4's phi: an MLP, optionally followed by a norm that gives all embeddings the same length.

    Parameters
    ----------
    width : int
        Channels of a query.
    unit : bool
        Whether embeddings are normalised.
    """

    LARGEST = 6.0  # logit of two equal embeddings of unit length: a similarity of 0.998

    def __init__(self, width: int, unit: bool) -> None:
        super().__init__(MLP(width, width, width, 2), *[nn.LayerNorm(width, elementwise_affine=False)] * unit)
        self.scale = (self.LARGEST / width) ** 0.5 if unit else 1.0

    def forward(self, queries: torch.Tensor) -> torch.Tensor:
        """Embed queries.

        Parameters
        ----------
        queries : (..., C) tensor
            Features of the decoder's last layer.

        Returns
        -------
        (..., C) tensor
            Embeddings whose scalar product is the logit of the similarity.
        """
        return super().forward(queries).float() * self.scale


@dataclass
class DetectionQueries:
    """The best proposals of a slice, as initial queries of the decoder.

    Attributes
    ----------
    logits : (B, K) tensor
        Scores of the proposals.
    boxes : (B, K, 4) tensor
        In pixels.
    content : (B, K, C) tensor
        Features, detached from the encoder.
    """

    logits: torch.Tensor
    boxes: torch.Tensor
    content: torch.Tensor


class LNTracker(Proposer):
    """The whole network.

    Parameters
    ----------
    config : LNTrackerConfig
        See `LNTrackerConfig`.
    """

    def __init__(self, config: LNTrackerConfig) -> None:
        super().__init__(config)
        self.decoder = Decoder(config)
        self.label = nn.Embedding(2, config.width) if config.denoising_queries else None
        self.masks = LNMaskHead(config.width) if config.mask_branch else None
        uses_similarity = config.track_queries and config.similarity_loss
        self.phi = LNSimilarity(config.width, config.unit_similarity) if uses_similarity else None

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        images: torch.Tensor,
        tracks: TrackQueries | None = None,
        targets: list[LNTargets] | None = None,
        generator: torch.Generator | None = None,
    ) -> Output:
        """Detect and track in one slice of each scan of a batch.

        Parameters
        ----------
        images : (B, slices, H, W) tensor
            0 to 1 over the HU window; boxes are predicted for the middle slice.
        tracks : TrackQueries, optional
            From the previous slice; missing on the first slice, ignored if the configuration has no track queries.
        targets : list of LNTargets, optional
            One per image, for the denoising queries in training; no other query receives them.
        generator : torch.Generator, optional
            Source of the denoising's random numbers; torch's default if missing.

        Returns
        -------
        Output
            Predictions of every decoder layer.

        Raises
        ------
        InputError
            The images do not have the configured number of slices.
        """
        return self.decode(self.encode(images), tracks, targets, generator)

    def decode(
        self,
        encoded: EncodedSlice,
        tracks: TrackQueries | None = None,
        targets: list[LNTargets] | None = None,
        generator: torch.Generator | None = None,
    ) -> Output:
        """Detect and track in encoded slices: the second part of `forward`.

        Parameters
        ----------
        encoded : EncodedSlice
            From `encode`.
        tracks, targets, generator : TrackQueries, list of LNTargets, torch.Generator, optional
            See `forward`.

        Returns
        -------
        Output
            Predictions of every decoder layer.
        """
        frame = encoded.padded_size.new_tensor(encoded.size).repeat(2)
        memory = self.decoder.memory(encoded.maps, encoded.padded_size)
        queries = self._detection_queries(encoded.proposals)
        tracks = self._track_queries(tracks, queries.content)
        decoded, detection = self._decode_groups(encoded.proposals, queries, tracks, frame, memory)
        n_tracks = tracks.embedding.shape[1]
        output = Output(
            size=encoded.size,
            logits=decoded.logits,
            boxes=decoded.boxes / frame,
            queries=decoded.queries,
            n_tracks=n_tracks,
            present=tracks.present,
            similarity=None,
            encoder_logits=queries.logits,
            encoder_boxes=queries.boxes / frame,
            dense=encoded.proposals if self.config.dense_supervision else None,
        )
        if self.masks is not None:
            output.masks = self.masks(decoded.queries, encoded.fine)
        if n_tracks and self.phi is not None:
            output.similarity = self.similarity(tracks.embedding, decoded.queries[:, :n_tracks])
        if self.training and targets is not None:
            self._denoise(output, targets, frame, memory, detection, generator)
        return output

    def similarity(self, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        """Compute equation 4's logits, phi(Q_before) phi(Q_after)^T.

        Parameters
        ----------
        before : (..., A, C) tensor
            Queries of one slice.
        after : (..., B, C) tensor
            Queries of another slice.

        Returns
        -------
        (..., A, B) tensor
            Logits of every pair.

        Raises
        ------
        InputError
            The configuration has no similarity loss.
        """
        if self.phi is None:
            raise InputError("This LN-Tracker was built without the similarity of queries.")
        return self.phi(before) @ self.phi(after).transpose(-1, -2)

    def _detection_queries(self, proposals: Proposals) -> DetectionQueries:
        best = select(proposals, self.config.queries, peaks=self.config.dense_supervision)
        return DetectionQueries(
            logits=proposals.logits.gather(1, best),
            boxes=proposals.boxes.gather(1, best[..., None].expand(-1, -1, 4)),
            content=proposals.content.gather(1, best[..., None].expand(-1, -1, self.config.width)).detach(),
        )

    def _track_queries(self, tracks: TrackQueries | None, content: torch.Tensor) -> TrackQueries:
        """Return the track queries in the precision of the decoder, (B, 0, C) if there are none."""
        if tracks is None or not self.config.track_queries:
            batch, _, width = content.shape
            boxes = torch.zeros(batch, 0, 4, device=content.device)
            return TrackQueries(content.new_zeros(batch, 0, width), boxes, boxes[..., 0].bool())
        return TrackQueries(tracks.embedding.to(content.dtype), tracks.boxes.float(), tracks.present)

    def _decode_groups(
        self,
        proposals: Proposals,
        queries: DetectionQueries,
        tracks: TrackQueries,
        frame: torch.Tensor,
        memory: Memory,
    ) -> tuple[Decoded, Decoded]:
        """Decode the tracks and the detections of a slice.

        Returns
        -------
        decoded : Decoded
            All queries, tracks first.
        detection : Decoded
            The detection queries only, which the denoising queries attend to.
        """
        n_tracks = tracks.embedding.shape[1]
        boxes, track_boxes = queries.boxes.detach(), tracks.boxes * frame
        track_known, known = None, None
        if self.config.residual_scores:
            track_known, known = score_near(proposals, track_boxes), queries.logits.detach()
        if not n_tracks:
            detection = self.decoder(queries.content, boxes, memory, known=known)
            return detection, detection
        padding = ~tracks.present[:, None]
        if self.config.joint_attention:
            both = self.decoder(
                torch.cat([tracks.embedding, queries.content], 1),
                torch.cat([track_boxes, boxes], 1),
                memory,
                F.pad(padding, (0, queries.content.shape[1])),
                known=None if track_known is None or known is None else torch.cat([track_known, known], 1),
            )
            return both, both.subset(slice(n_tracks, None))
        detection = self.decoder(queries.content, boxes, memory, known=known)
        tracked = self.decoder(tracks.embedding, track_boxes, memory, padding, detection, track_known)
        return detection.after(tracked), detection

    def _denoise(
        self,
        output: Output,
        targets: list[LNTargets],
        frame: torch.Tensor,
        memory: Memory,
        detection: Decoded,
        generator: torch.Generator | None,
    ) -> None:
        """Decode denoising queries and store them in the output."""
        noise = denoising_queries([target.boxes for target in targets], self.config, generator)
        if noise is None or self.label is None:
            return
        content = self.label(noise.labels).to(output.queries.dtype)
        decoded = self.decoder(content, noise.boxes * frame, memory, noise.hidden, detection)
        output.noise, output.noise_logits, output.noise_boxes = noise, decoded.logits, decoded.boxes / frame

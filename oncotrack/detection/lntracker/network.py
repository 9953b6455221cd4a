"""LN-Tracker: one slice and the tracks of the slice before in, the boxes of this slice out (section 3 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.detection.lntracker.anchors import MLP
from oncotrack.detection.lntracker.backbone import LNBackbone
from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.detection.lntracker.decoder import Decoded, Decoder, Memory
from oncotrack.detection.lntracker.denoising import Noise, disturbed
from oncotrack.detection.lntracker.encoder import Encoder
from oncotrack.detection.lntracker.masks import LNMaskHead
from oncotrack.detection.lntracker.proposals import LNProposalHead, Proposals, score_near, select
from oncotrack.errors import InputError

STRIDE = 32  # slices are padded to its multiples


@dataclass
class TrackQueries:
    """What is handed from a slice to the next; padded with zeros where an image of a batch has fewer.

    Attributes
    ----------
    embedding : (B, T, C)
    boxes : (B, T, 4), centre and edges, 0 to 1 across the slice
    present : (B, T) bool, False where padded
    """

    embedding: torch.Tensor
    boxes: torch.Tensor
    present: torch.Tensor


@dataclass
class LNTargets:
    """The truth of one slice.

    Attributes
    ----------
    boxes : (n, 4), centre and edges, 0 to 1 across the slice
    ids : (n,) long, which node of the scan; the same on every slice
    masks : (n, H, W) bool, the nodes themselves; only for a mask branch
    """

    boxes: torch.Tensor
    ids: torch.Tensor
    masks: torch.Tensor | None = None

    def to(self, device: torch.device) -> LNTargets:
        """The same on a device."""
        masks = None if self.masks is None else self.masks.to(device)
        return LNTargets(self.boxes.to(device), self.ids.to(device), masks)


@dataclass
class Output:
    """What the network says of a slice; boxes are centre and edges, 0 to 1 across it.

    Attributes
    ----------
    size : width and height of the slice in pixels
    logits : (L, B, N), of every decoder layer; the first ``n_tracks`` queries are the tracks
    boxes : (L, B, N, 4)
    queries : (B, N, C), the last layer before the heads
    n_tracks : T
    present : (B, T) bool, which tracks are not padding
    similarity : (B, T, T), logits of equation 4, before by after; None without tracks or without the loss
    encoder_logits, encoder_boxes : (B, K) and (B, K, 4), of the proposals that became detection queries
    masks : (B, N, h, w), logits of the last layer's masks at stride 4; None without a mask branch
    dense : every proposal, boxes in pixels; None unless the supervision is dense
    noise : the denoising queries, None outside of training
    noise_logits, noise_boxes : (L, B, D) and (L, B, D, 4), what became of them
    """

    size: tuple[int, int]
    logits: torch.Tensor
    boxes: torch.Tensor
    queries: torch.Tensor
    n_tracks: int
    present: torch.Tensor
    similarity: torch.Tensor | None
    encoder_logits: torch.Tensor
    encoder_boxes: torch.Tensor
    masks: torch.Tensor | None = None
    dense: Proposals | None = None
    noise: Noise | None = None
    noise_logits: torch.Tensor | None = None
    noise_boxes: torch.Tensor | None = None


class LNSimilarity(nn.Sequential):
    """Equation 4's phi: an MLP, and where wanted a norm that makes every embedding equally long."""

    LARGEST = 6.0  # logit of two equal embeddings of unit length: a similarity of 0.998

    def __init__(self, width: int, unit: bool) -> None:
        super().__init__(MLP(width, width, width, 2), *[nn.LayerNorm(width, elementwise_affine=False)] * unit)
        self.scale = (self.LARGEST / width) ** 0.5 if unit else 1.0

    def forward(self, queries: torch.Tensor) -> torch.Tensor:
        """(..., C) -> (..., C)."""
        return super().forward(queries).float() * self.scale


@dataclass
class Proposed:
    """A slice as far as its proposals.

    Attributes
    ----------
    maps : (B, C, h, w) each, what the decoder reads, finest first
    fine : (B, C, h, w), the map of stride 4; None where the configuration has none
    proposals : of every cell
    size : (2,), width and height of the padded slice in pixels
    inside : width and height of the slice itself
    """

    maps: list[torch.Tensor]
    fine: torch.Tensor | None
    proposals: Proposals
    size: torch.Tensor
    inside: tuple[int, int]


class Proposer(nn.Module):
    """The network as far as its proposals; it can be trained alone first, at a third of the whole network's cost."""

    def __init__(self, config: LNTrackerConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = LNBackbone(config)
        self.encoder = Encoder(config)
        self.proposals = LNProposalHead(config)

    def forward(self, images: torch.Tensor) -> Proposals:
        """(B, slices, H, W), 0 to 1 for the HU window -> the proposals of the middle slice."""
        return self.propose(images).proposals

    def propose(self, images: torch.Tensor) -> Proposed:
        """Read (B, slices, H, W) images.

        Raises
        ------
        InputError
            If the images do not have the configured number of slices.
        """
        if images.ndim != 4 or images.shape[1] != self.config.slices:
            raise InputError(
                f"LN-Tracker reads {self.config.slices} slices at once as (batch, slices, height, width); "
                f"this is {tuple(images.shape)}."
            )
        height, width = images.shape[-2:]
        images = F.pad(images, (0, -width % STRIDE, 0, -height % STRIDE))
        size = images.new_tensor([images.shape[-1], images.shape[-2]], dtype=torch.float32)
        maps, fine = self.encoder(self.backbone(images))
        if self.config.fine_level:
            maps = [fine, *maps]
        proposals = self.proposals(maps[:1] if self.config.fine_level else maps, size, (width, height))
        return Proposed(maps, fine, proposals, size, (width, height))


class LNTracker(Proposer):
    """The network; see `LNTrackerConfig` for its parts."""

    def __init__(self, config: LNTrackerConfig) -> None:
        super().__init__(config)
        self.decoder = Decoder(config)
        self.label = nn.Embedding(2, config.width) if config.denoising_queries else None
        self.masks = LNMaskHead(config.width) if config.mask_branch else None
        uses_similarity = config.track_queries and config.similarity_loss
        self.phi = LNSimilarity(config.width, config.unit_similarity) if uses_similarity else None

    def forward(
        self,
        images: torch.Tensor,
        tracks: TrackQueries | None = None,
        targets: list[LNTargets] | None = None,
        generator: torch.Generator | None = None,
    ) -> Output:
        """Detect and track in one slice of each scan of a batch.

        Parameters
        ----------
        images : (B, slices, H, W), 0 to 1 for the HU window; the slice in question is the middle one
        tracks : of the slice before; none on the first slice, or where the configuration has no track queries
        targets : one per image, for the denoising queries of training; never seen by any other query
        generator : of the denoising's random numbers; torch's own without one

        Raises
        ------
        InputError
            If the images do not have the configured number of slices.
        """
        return self.answer(self.propose(images), tracks, targets, generator)

    def answer(
        self,
        seen: Proposed,
        tracks: TrackQueries | None = None,
        targets: list[LNTargets] | None = None,
        generator: torch.Generator | None = None,
    ) -> Output:
        """What `forward` does once the slice is read."""
        proposals, size = seen.proposals, seen.size
        frame = size.new_tensor(seen.inside).repeat(2)
        best = select(proposals, self.config.queries, peaks=self.config.dense_supervision)
        encoder_logits = proposals.logits.gather(1, best)
        encoder_boxes = proposals.boxes.gather(1, best[..., None].expand(-1, -1, 4))
        content = proposals.content.gather(1, best[..., None].expand(-1, -1, self.config.width)).detach()

        memory = self.decoder.memory(seen.maps, size)
        tracks = self._tracks(tracks, content)
        n_tracks = tracks.embedding.shape[1]
        known = None
        if self.config.residual_scores:
            known = torch.cat([score_near(proposals, tracks.boxes * frame), encoder_logits.detach()], 1)
        decoded, detection = self._decode(content, encoder_boxes.detach(), known, tracks, frame, memory)
        output = Output(
            size=seen.inside,
            logits=decoded.logits,
            boxes=decoded.boxes / frame,
            queries=decoded.queries,
            n_tracks=n_tracks,
            present=tracks.present,
            similarity=None,
            encoder_logits=encoder_logits,
            encoder_boxes=encoder_boxes / frame,
            dense=proposals if self.config.dense_supervision else None,
        )
        if self.masks is not None:
            output.masks = self.masks(decoded.queries, seen.fine)
        if n_tracks and self.phi is not None:
            output.similarity = self.similarity(tracks.embedding, decoded.queries[:, :n_tracks])
        if self.training and targets is not None:
            self._denoise(output, targets, frame, memory, detection, generator)
        return output

    def similarity(self, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        """Equation 4's logits, phi(Q_before) phi(Q_after)^T: (..., A, C) and (..., B, C) -> (..., A, B)."""
        if self.phi is None:
            raise InputError("This LN-Tracker was built without the similarity of queries.")
        return self.phi(before) @ self.phi(after).transpose(-1, -2)

    def _tracks(self, tracks: TrackQueries | None, content: torch.Tensor) -> TrackQueries:
        """The tracks in the decoder's precision, or none."""
        if tracks is None or not self.config.track_queries:
            batch, _, width = content.shape
            boxes = torch.zeros(batch, 0, 4, device=content.device)
            return TrackQueries(content.new_zeros(batch, 0, width), boxes, boxes[..., 0].bool())
        return TrackQueries(tracks.embedding.to(content.dtype), tracks.boxes.float(), tracks.present)

    def _decode(
        self,
        content: torch.Tensor,
        boxes: torch.Tensor,
        known: torch.Tensor | None,
        tracks: TrackQueries,
        frame: torch.Tensor,
        memory: Memory,
    ) -> tuple[Decoded, Decoded]:
        """All queries of a slice, tracks first as in ``known``, and what the denoising queries may see of them."""
        n_tracks = tracks.embedding.shape[1]
        padded = ~tracks.present[:, None]
        if self.config.joint_attention and n_tracks:
            hidden = F.pad(padded, (0, content.shape[1]))
            both = self.decoder(
                torch.cat([tracks.embedding, content], 1),
                torch.cat([tracks.boxes * frame, boxes], 1),
                memory,
                hidden,
                known=known,
            )
            return both, both.part(slice(n_tracks, None))
        of_tracks, of_detections = (None, None) if known is None else (known[:, :n_tracks], known[:, n_tracks:])
        detection = self.decoder(content, boxes, memory, known=of_detections)
        if not n_tracks:
            return detection, detection
        followed = self.decoder(tracks.embedding, tracks.boxes * frame, memory, padded, detection, of_tracks)
        return detection.after(followed), detection

    def _denoise(
        self,
        output: Output,
        targets: list[LNTargets],
        frame: torch.Tensor,
        memory: Memory,
        detection: Decoded,
        generator: torch.Generator | None,
    ) -> None:
        noise = disturbed([target.boxes for target in targets], self.config, generator)
        if noise is None:
            return
        content = self.label(noise.labels).to(output.queries.dtype)
        decoded = self.decoder(content, noise.boxes * frame, memory, noise.hidden, detection)
        output.noise, output.noise_logits, output.noise_boxes = noise, decoded.logits, decoded.boxes / frame

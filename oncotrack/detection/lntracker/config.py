"""LN-Tracker's configuration, with two named instances.

``PAPER`` is the paper's network: ResNet-50 with a 2.5D fusion layer, then Mask DINO's encoder and decoder. The paper does
not state the width of the encoder's feed-forward layers; of Mask DINO's two published settings, 2048 costs 128 GMAC for a
slice of 512 x 512 and 1024 costs 111. With Mask DINO's mask branch it is 141; the paper's table 2 reports 141.08 for the
same detector without tracks and 142.10 with them. The paper mentions LN-DETR as its detector; what that adds to Mask DINO
is not part of its method and is not implemented.
``COMPACT`` is the network that is trained and bundled: narrow, for one CPU core, for nodes of 4 to 25 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

from oncotrack.errors import InputError


@dataclass(frozen=True)
class LNTrackerConfig:
    """Shape of the network, its switches and the weights of its losses.

    Attributes
    ----------
    slices : int
        Neighbouring slices that the network reads at once, as images of three channels.
    stem, stages, blocks, bottleneck : int, (4,) int, (4,) int, bool
        Widths and depths of the ResNet; stages end at strides 4, 8, 16 and 32.
    stem_blocks : int
        Blocks at stride 2 after the stem, of its width; small nodes are 4 pixels across.
    norm : str
        "frozen" (batch norm with constant statistics, for ImageNet weights) or "group".
    groups : int
        Of the encoder's group norms.
    fused_stages : int
        Number of stages that process all images and end in a 2.5D fusion; later ones process the centre only. 0 fuses the
        stem's maps, so that every block sees all slices, at a third of the cost.
    width, heads, points : int
        Channels of encoder and decoder, attention heads, sampling points for each head and level.
    top_down : bool
        Whether coarse maps are added to finer ones before the encoder (Lin et al., FPN, CVPR 2017).
    levels : int
        Pyramid levels of the encoder, the coarsest of the backbone (3: strides 8, 16 and 32).
    fine_level : bool
        Whether there is a map of stride 4, made from the encoder's finest; then proposals come from it only.
    encoder_layers, encoder_ffn, decoder_layers, decoder_ffn : int
        Number of layers and width of their feed-forward networks.
    queries : int
        Detection queries.
    geometry : str
        "image" (sines of image coordinates, boxes refined as logits of them, as in DINO) or "anchor" (a bias from the
        relative position of boxes, boxes refined relative to their anchor: the same in every field of view).
    anchor_pixels : float
        Edge of a proposal on the finest level, doubling from level to level (DINO: 0.05 of 512 pixels).
    dense_supervision : bool
        Whether proposals are learned as a map of node centres on every pixel instead of by matching.
    residual_scores : bool
        Whether detection queries start from their proposal's score, and track queries from that of the best proposal where
        their node was; the decoder learns the difference.
    denoising_queries, box_noise, label_flip : int, float, float
        Contrastive denoising of DINO.
    masked_attention : bool
        Whether track queries are hidden from detection queries (equation 3).
    similarity_loss : bool
        Whether there is the loss of equation 4.
    unit_similarity : bool
        Whether phi normalises the length of all queries first. Without it the product of two small embeddings has almost
        no gradient, and in a short training all similarities stay at one half.
    track_queries : bool
        Whether there are track queries.
    trackformer : bool
        The TrackFormer ablation: attention without mask, and a box that a track query follows is no target of the
        detection queries.
    mask_branch : bool
        Whether Mask DINO's mask head on the map of stride 4 exists.
    l1_pixels : float
        Unit of the L1 loss of boxes in pixels; 0 uses the edges of the image (DETR).
    lambda_cls, lambda_box, lambda_mask : float
        Weights of the losses.
    """

    slices: int = 9
    stem: int = 64
    stages: tuple[int, int, int, int] = (256, 512, 1024, 2048)
    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    bottleneck: bool = True
    stem_blocks: int = 0
    norm: str = "frozen"
    groups: int = 32
    fused_stages: int = 4
    width: int = 256
    heads: int = 8
    points: int = 4
    top_down: bool = False
    levels: int = 3
    fine_level: bool = False
    encoder_layers: int = 6
    encoder_ffn: int = 2048
    decoder_layers: int = 9
    decoder_ffn: int = 2048
    queries: int = 300
    geometry: str = "image"
    anchor_pixels: float = 25.6
    dense_supervision: bool = False
    residual_scores: bool = False
    denoising_queries: int = 100
    box_noise: float = 0.4
    label_flip: float = 0.2
    masked_attention: bool = True
    similarity_loss: bool = True
    unit_similarity: bool = False
    track_queries: bool = True
    trackformer: bool = False
    mask_branch: bool = False
    l1_pixels: float = 0.0
    lambda_cls: float = 1.0
    lambda_box: float = 2.0
    lambda_mask: float = 5.0

    def __post_init__(self) -> None:
        problems = {
            f"slices must be an odd multiple of 3, not {self.slices}": self.slices % 6 != 3,
            f"width {self.width} must be a multiple of the {self.groups} groups and of the {self.heads} heads": self.width
            % self.heads
            or self.width % self.groups,
            f"levels must be 1 to 3 (with the fine level) or 4, not {self.levels}": not 1
            <= self.levels
            <= (3 if self.fine_level or self.mask_branch else 4),
            f"norm must be 'frozen' or 'group', not {self.norm!r}": self.norm not in ("frozen", "group"),
            f"geometry must be 'image' or 'anchor', not {self.geometry!r}": self.geometry not in ("image", "anchor"),
            f"fused_stages must be 0 to 4, not {self.fused_stages}": not 0 <= self.fused_stages <= 4,
            "dense supervision needs the fine level": self.dense_supervision and not self.fine_level,
        }
        wrong = [problem for problem, is_present in problems.items() if is_present]
        if wrong:
            raise InputError(f"This LN-Tracker cannot be built: {'; '.join(wrong)}.")

    @property
    def strides(self) -> tuple[int, ...]:
        """Strides in pixels of the maps that the decoder reads, finest first."""
        encoded = (4, 8, 16, 32)[4 - self.levels :]
        return (encoded[0] // 2, *encoded) if self.fine_level else encoded

    def named(self) -> str:
        """Return the name in `CONFIGS`, also for ablations; "" for other configurations."""
        return next((name for name, known in CONFIGS.items() if known.stages == self.stages), "")

    @property
    def joint_attention(self) -> bool:
        """Whether detection queries attend to track queries."""
        return self.trackformer or not self.masked_attention


PAPER = LNTrackerConfig()

COMPACT = LNTrackerConfig(
    stem=64,
    stages=(128, 192, 256, 256),
    blocks=(1, 1, 1, 1),
    bottleneck=False,
    stem_blocks=1,
    norm="group",
    groups=8,
    fused_stages=0,
    width=128,
    top_down=True,
    fine_level=True,
    encoder_layers=1,
    encoder_ffn=512,
    decoder_layers=3,
    decoder_ffn=512,
    queries=100,
    geometry="anchor",
    unit_similarity=True,
    anchor_pixels=12.0,
    dense_supervision=True,
    residual_scores=True,
    denoising_queries=50,
    l1_pixels=16.0,
)

CONFIGS = {"paper": PAPER, "compact": COMPACT}

"""Configuration of the MR detector, with two named instances.

S. Wang et al., Medical Image Analysis 77, 102345, 2022 (cited as MR). ``PAPER`` is the paper's network. What the paper does
not state follows the implementation that it names (W. Abdulla's Mask R-CNN, 2017): images resampled to 1024 pixels, anchors,
number of sampled regions, thresholds. ``COMPACT`` is the network that is trained and bundled: the same parts, narrow, on
pixels of 1 mm, with the slice's two neighbours as colour channels. It learns from crops, so its global scale is a square of
64 mm.
"""

from __future__ import annotations

from dataclasses import dataclass

from oncotrack.errors import InputError


@dataclass(frozen=True)
class MRConfig:
    """Shape of the network, its switches, and how regions are sampled and kept.

    Attributes
    ----------
    pixel_mm : float
        Edge of a pixel of the network's input; 0 resamples the longer side of a slice to `side` pixels.
    side : int
        See `pixel_mm`.
    slices : int
        1 (the slice only, MR sec. 3) or 3 (with its neighbours).
    stem, stages, blocks, bottleneck, norm : int, (4,) int, (4,) int, bool, str
        The ResNet; stages end at strides 4, 8, 16 and 32; `norm` is "frozen" (constant statistics, for ImageNet or COCO
        weights) or "batch".
    width : int
        Channels of the pyramid.
    anchor_pixels : tuple of float
        Edge of the square anchor on each level of the pyramid, strides 4, 8, ...; a fifth level is pooled.
    ratios : tuple of float
        Height over width of the anchors.
    anchors_sampled, rois_sampled : int
        Anchors and regions of one image that the losses use; at most half of the anchors and a third of the regions are
        positive.
    hard_anchors : float
        Fraction of the negative anchors that are those with the highest node scores; the others are drawn at random.
    shaken_rois : int
        Shifted and scaled copies of every node's box that the second stage learns from in addition to the proposals.
    anchor_positive, anchor_negative : float
        IoU from which an anchor is a node, and below which it is background; the best anchor of a node is always positive.
    proposals, proposals_in_training : int
        Regions that remain after non-maximum suppression.
    candidates : int
        Anchors that enter non-maximum suppression.
    proposal_nms, detection_nms : float
        IoU from which the lower-scored box is dropped.
    detections, least_score : int, float
        Most boxes kept on a slice, and their least score.
    box_size, mask_size : int
        Cells of each side of a region for boxes, and of a predicted mask.
    box_width, mask_layers : int
        Of the heads.
    canonical_pixels : float
        Edge of a region that belongs to stride 16 (T.-Y. Lin et al., FPN, CVPR 2017, eq. 1).
    attention : bool
        Global-local attention (MR eq. 1, 2); without it the network is Mask R-CNN.
    global_scales : tuple of float
        Context of a region: 1 is the whole image, less is a fraction of it around the region (MR, sec. 4.5), more is the
        edge in pixels of a square around the region, which is the same in every field of view.
    attention_width : int
        Of the attention's first convolution.
    mask_branch : bool
        Whether masks are predicted; without them it is the paper's "without pseudo mask".
    uncertainty : bool
        Whether loss weights are learned (MR eq. 6); otherwise they are `task_weights`.
    task_weights : (5,) float
        Of first-stage class and box, second-stage class, box and mask (MR table 3).
    stacking : float
        IoU from which boxes of neighbouring slices are one node (MR sec. 4.8).
    """

    pixel_mm: float = 0.0
    side: int = 1024
    slices: int = 1
    stem: int = 64
    stages: tuple[int, int, int, int] = (256, 512, 1024, 2048)
    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    bottleneck: bool = True
    norm: str = "frozen"
    width: int = 256
    anchor_pixels: tuple[float, ...] = (32.0, 64.0, 128.0, 256.0, 512.0)
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    anchors_sampled: int = 256
    rois_sampled: int = 200
    hard_anchors: float = 0.0
    shaken_rois: int = 0
    anchor_positive: float = 0.7
    anchor_negative: float = 0.3
    proposals: int = 1000
    proposals_in_training: int = 2000
    candidates: int = 6000
    proposal_nms: float = 0.7
    detection_nms: float = 0.3
    detections: int = 100
    least_score: float = 0.05
    box_size: int = 7
    mask_size: int = 28
    box_width: int = 1024
    mask_layers: int = 4
    canonical_pixels: float = 224.0
    attention: bool = True
    global_scales: tuple[float, ...] = (1.0,)
    attention_width: int = 256
    mask_branch: bool = True
    uncertainty: bool = True
    task_weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0)
    stacking: float = 0.1

    def __post_init__(self) -> None:
        problems = {
            f"slices must be 1 or 3, not {self.slices}": self.slices not in (1, 3),
            f"norm must be 'frozen' or 'batch', not {self.norm!r}": self.norm not in ("frozen", "batch"),
            f"there are 4 or 5 levels of anchors, not {len(self.anchor_pixels)}": len(self.anchor_pixels) not in (4, 5),
            f"global scales are shares of the image or pixels, above 0, not {self.global_scales}": not all(
                scale > 0 for scale in self.global_scales
            ),
            "attention needs a global scale": self.attention and not self.global_scales,
            "masks have an even number of cells": self.mask_size % 2,
            "there are five tasks to weigh": len(self.task_weights) != 5,
        }
        wrong = [problem for problem, is_present in problems.items() if is_present]
        if wrong:
            raise InputError(f"This MR detector cannot be built: {'; '.join(wrong)}.")


PAPER = MRConfig()

COMPACT = MRConfig(
    pixel_mm=1.0,
    slices=3,
    stem=16,
    stages=(32, 64, 96, 128),
    blocks=(1, 2, 2, 1),
    bottleneck=False,
    norm="batch",
    width=48,
    anchor_pixels=(8.0, 16.0, 32.0, 64.0),
    anchors_sampled=128,
    rois_sampled=32,
    hard_anchors=0.5,
    shaken_rois=4,
    anchor_positive=0.5,
    proposals=100,
    proposals_in_training=100,
    candidates=200,
    mask_size=16,
    box_width=192,
    mask_layers=2,
    attention_width=32,
    global_scales=(64.0,),
)

CONFIGS = {"paper": PAPER, "compact": COMPACT}

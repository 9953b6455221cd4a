"""Configuration of TLT, with two named ones.

``PAPER`` is the paper's network, from its text and table 2 of its supplement. Details that they leave open were chosen
to match its 5.98 M parameters (6.05 M here): one residual block where the table prints no "x 2", 1x1x1 shortcuts as in
ResNet-18, feed-forward layers four times as wide as the attention, prediction heads of three layers. Also open, and
taken from its authors' code: intensities from -800 to 800 HU, crops of 40 x 200 x 200 mm, dropout, sine positions.
``COMPACT`` is trained and bundled: it is narrow and works on voxels of 2 mm with fine cells. Further switches,
documented below, make it learn from few examples.
"""

from __future__ import annotations

from dataclasses import dataclass

from oncotrack.errors import InputError


@dataclass(frozen=True)
class TLTConfig:
    """Shape of the network, its optional parts and the weights of its losses.

    Attributes
    ----------
    spacing : mm along z, y, x of the crops.
    crop : voxels along z, y, x of a search crop.
    template_crop : voxels of the template that are used in training; the lesion lies in the middle.
    windows : HU ranges, each an input channel of 0 to 1.
    stem, stem_kernel, stem_convs : width and number of the first convolutions, and edge of the very first.
    stages, blocks : widths of the residual stages, each of stride 2, and their numbers of blocks.
    merged : all stages are resampled to the cells of the first one and added, so that small lesions stay localised.
    width, heads, levels, ffn, dropout : of the transformer; one more layer on the search line follows the levels.
    threshold : T of the sparse selection on the resized Gaussian map.
    most_selected : largest number of selected cells, which are thinned evenly; 0 keeps all.
    raam_radius_mm : lower limit of the lesion radius in the anatomical mask.
    null_key : adds a key and a value of zeros to the attention. Without it the attention weight of a single selected
        cell is always 1, and attention alone cannot express that a search cell differs from the lesion.
    lattice : (edge, step); adds to the classification a log prior of each cell from the Gaussian map and from the
        cosine between the features round it and round the click, on a lattice of edge^3 points, step cells apart; ()
        for none.
    regression : "absolute" (a position in the crop) or "offset" (from the cell's own centre).
    window_mm : global regression uses the cells up to this distance from the best one; 0 uses all, as in equation 4.
    label_radius_mm : upper limit of the radius of the label's Gaussian; 0 for no limit.
    lambda_place : weight of the cross-entropy between the softmax over the cells and the label.
    l1_mm : unit of the L1 loss.
    """

    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    crop: tuple[int, int, int] = (40, 200, 200)
    template_crop: tuple[int, int, int] = (40, 200, 200)
    windows: tuple[tuple[float, float], ...] = ((-800.0, 800.0),)
    stem: int = 32
    stem_kernel: int = 7
    stem_convs: int = 2
    stages: tuple[int, ...] = (64, 128, 192)
    blocks: tuple[int, ...] = (2, 1, 1)
    merged: bool = False
    width: int = 192
    heads: int = 8
    levels: int = 3
    ffn: int = 768
    dropout: float = 0.1
    threshold: float = 0.7
    most_selected: int = 0
    raam_radius_mm: float = 0.0
    null_key: bool = False
    lattice: tuple[int, ...] = ()
    regression: str = "absolute"
    window_mm: float = 0.0
    label_radius_mm: float = 0.0
    lambda_place: float = 0.0
    l1_mm: float = 10.0

    def __post_init__(self) -> None:
        for name in ("spacing", "crop", "template_crop", "stages", "blocks", "lattice"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "windows", tuple(tuple(window) for window in self.windows))
        problems = {
            f"width {self.width} must be a multiple of the {self.heads} heads": self.width % self.heads,
            f"width {self.width} must hold a sine and a cosine of every axis: 6 or more": self.width < 6,
            "every stage needs a number of blocks": len(self.stages) != len(self.blocks),
            f"the last stage's {self.stages[-1]} channels must be the transformer's {self.width}": not self.merged
            and self.stages[-1] != self.width,
            f"crops must be multiples of {2 ** len(self.stages)} voxels": any(
                size % 2 ** len(self.stages) for size in (*self.crop, *self.template_crop)
            ),
            f"the template's crop {self.template_crop} must fit in {self.crop}": any(
                small > large for small, large in zip(self.template_crop, self.crop, strict=True)
            ),
            f"regression must be 'absolute' or 'offset', not {self.regression!r}": self.regression
            not in ("absolute", "offset"),
        }
        wrong = [problem for problem, is_present in problems.items() if is_present]
        if wrong:
            raise InputError(f"This TLT cannot be built: {'; '.join(wrong)}.")

    @property
    def stride(self) -> int:
        """Voxels per cell of the features."""
        return 2 if self.merged else 2 ** len(self.stages)

    @property
    def reach_mm(self) -> tuple[float, float, float]:
        """Largest distance of the search from the expected position, mm along z, y, x."""
        z, y, x = (size * spacing / 2 for size, spacing in zip(self.crop, self.spacing, strict=True))
        return z, y, x


PAPER = TLTConfig()

COMPACT = TLTConfig(
    spacing=(2.0, 2.0, 2.0),
    crop=(32, 48, 48),
    template_crop=(24, 32, 32),
    windows=((-1000.0, 600.0), (-160.0, 240.0)),
    stem=16,
    stem_kernel=3,
    stem_convs=1,
    stages=(32, 64, 96),
    blocks=(1, 2, 2),
    merged=True,
    width=48,
    heads=4,
    levels=1,
    ffn=96,
    dropout=0.0,
    most_selected=16,
    raam_radius_mm=12.0,
    null_key=True,
    lattice=(5, 2),
    regression="offset",
    window_mm=10.0,
    label_radius_mm=4.0,
    lambda_place=1.0,
)

CONFIGS = {"paper": PAPER, "compact": COMPACT}

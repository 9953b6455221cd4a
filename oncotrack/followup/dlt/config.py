"""Configuration of DLT, with two named ones.

``PAPER`` is the paper's network. Details that the paper leaves open were chosen: the first three blocks of DenseNet-121
with strides in the plane only (the paper's figure crops kernels of 7 slices from 32), one HU window from -1024 to 1050
(from its authors' earlier detectors), zeros outside the scan, kernels cropped at sub-cell positions by interpolation.
``COMPACT`` is trained and bundled: it is narrow and works on voxels of 3 x 2 x 2 mm, so that the paper's kernels cover
21 x 44 x 44 mm on its finest scale. Further switches, documented below, make it learn from few examples.
"""

from __future__ import annotations

from dataclasses import dataclass

from oncotrack.errors import InputError


@dataclass(frozen=True)
class DLTConfig:
    """Shape of the network, its optional parts and the weights of its losses.

    Attributes
    ----------
    spacing : mm along z, y, x of the crops.
    crop : voxels along z, y, x of a training crop.
    windows : HU ranges, each an input channel of 0 to 1.
    stem, stem_kernel, stem_pool : width of the first convolution (stride 2 in the plane), its kernel edge, and whether
        a pooling of stride 2 follows.
    growth, bottleneck, blocks : of the DenseNet: channels added by a layer, width of its 1x1x1 convolution as a
        multiple of them, and layers of the three blocks.
    width : channels of psi and phi at all three scales.
    anatomy : width inside the anatomy signal encoder.
    gaussian_n : n of equation 2, the width of the anatomy signal in radii.
    fusion : of image and anatomy (equation 3): "multiply", "concatenate", or "none" (without the encoder).
    kernel : size of the kernel K in cells along z, y, x.
    global_kernel : size of the global kernel K_g; empty for none.
    flattening : "learned" or "middle" (the middle slices of K_g).
    centre_shift : largest shift of the click in training, in radii (center augmentation).
    ssl_share : tau of equation 9.
    ssl_registration_error : self-supervised pairs get the registration errors of the batch they are made from. In the
        paper their anatomy signal is centred on the lesion itself, which a short training learns to rely on.
    unit_features : psi is normalised to length 1 in every cell and kernels are divided by their norm, so that
        correlations are mean cosines; every kernel of every scale has a learned gain.
    prior_mm : adds the logarithm of the anatomy signal, with at least this width, times a learned gain to the score; 0
        leaves the anatomy signal to the encoder.
    refine : width of two convolutions that correct the score from all correlations, psi and the anatomy signal; 0 for
        none.
    label_radius_mm : upper limit of the radius of the label's Gaussian; 0 for no limit.
    lambda_place : weight of the cross-entropy between the softmax over the cells and the label.
    """

    spacing: tuple[float, float, float] = (2.0, 0.8, 0.8)
    crop: tuple[int, int, int] = (32, 384, 384)
    windows: tuple[tuple[float, float], ...] = ((-1024.0, 1050.0),)
    stem: int = 64
    stem_kernel: int = 7
    stem_pool: bool = True
    growth: int = 32
    bottleneck: int = 4
    blocks: tuple[int, int, int] = (6, 12, 24)
    width: int = 64
    anatomy: int = 64
    gaussian_n: float = 4.0
    fusion: str = "multiply"
    kernel: tuple[int, int, int] = (3, 3, 3)
    global_kernel: tuple[int, ...] = (7, 11, 11)
    flattening: str = "learned"
    centre_shift: float = 0.25
    ssl_share: float = 0.25
    ssl_registration_error: bool = False
    unit_features: bool = False
    prior_mm: float = 0.0
    refine: int = 0
    label_radius_mm: float = 0.0
    lambda_place: float = 0.0

    def __post_init__(self) -> None:
        for name in ("spacing", "crop", "blocks", "kernel", "global_kernel"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "windows", tuple(tuple(window) for window in self.windows))
        problems = {
            f"fusion must be 'multiply', 'concatenate' or 'none', not {self.fusion!r}": self.fusion
            not in ("multiply", "concatenate", "none"),
            f"flattening must be 'learned' or 'middle', not {self.flattening!r}": self.flattening
            not in ("learned", "middle"),
            f"there must be three blocks, not {len(self.blocks)}": len(self.blocks) != 3,
            f"kernels must have three odd edges, not {self.kernel} and {self.global_kernel}": any(
                edge % 2 == 0 for edge in (*self.kernel, *self.global_kernel)
            )
            or len(self.kernel) != 3
            or len(self.global_kernel) not in (0, 3),
            f"rows and columns of a crop must be multiples of {self.strides[-1]}, not {self.crop[1:]}": any(
                size % self.strides[-1] for size in self.crop[1:]
            ),
        }
        wrong = [problem for problem, is_present in problems.items() if is_present]
        if wrong:
            raise InputError(f"This DLT cannot be built: {'; '.join(wrong)}.")

    @property
    def strides(self) -> tuple[int, int, int]:
        """Voxels per cell in the plane, for the three scales, finest first; along z it is one."""
        first = 4 if self.stem_pool else 2
        return first, 2 * first, 4 * first

    @property
    def fused_width(self) -> int:
        """Channels after equation 3."""
        return self.width * (2 if self.fusion == "concatenate" else 1)

    @property
    def reach_mm(self) -> tuple[float, float, float]:
        """Largest distance of the search from the expected position, mm along z, y, x."""
        z, y, x = (size * spacing / 2 for size, spacing in zip(self.crop, self.spacing, strict=True))
        return z, y, x


PAPER = DLTConfig()

COMPACT = DLTConfig(
    spacing=(3.0, 2.0, 2.0),
    crop=(24, 48, 48),
    windows=((-1000.0, 600.0), (-160.0, 240.0)),
    stem=24,
    stem_kernel=3,
    stem_pool=False,
    growth=12,
    bottleneck=2,
    blocks=(3, 4, 4),
    width=24,
    anatomy=8,
    ssl_share=0.1,
    ssl_registration_error=True,
    unit_features=True,
    prior_mm=12.0,
    refine=12,
    label_radius_mm=5.0,
    lambda_place=1.0,
)

CONFIGS = {"paper": PAPER, "compact": COMPACT}

ABLATIONS: dict[str, dict[str, object]] = {
    "full": {},
    "without-global-kernel": {"global_kernel": (), "centre_shift": 0.0},
    "smaller-global-kernel": {"global_kernel": (7, 7, 7), "centre_shift": 0.0},
    "greater-global-kernel": {"global_kernel": (7, 15, 15), "centre_shift": 0.0},
    "smaller-gaussian": {"gaussian_n": 2.0, "centre_shift": 0.0},
    "greater-gaussian": {"gaussian_n": 8.0, "centre_shift": 0.0},
    "smaller-width": {"width": 32, "centre_shift": 0.0},
    "greater-width": {"width": 128, "centre_shift": 0.0},
    "without-anatomy-encoder": {"fusion": "none", "centre_shift": 0.0},
    "without-learned-flattening": {"flattening": "middle", "centre_shift": 0.0},
    "without-centre-augmentation": {"centre_shift": 0.0},
    "concatenation": {"fusion": "concatenate"},
}
"""Rows of the paper's table 6, in its order, as changes to a config."""

"""Configurations of the three networks for PET/CT: stage one, GLNet and the tagger.

Z. Zhu, D. Jin et al., "Detecting scatteredly-distributed, small, and critically important objects in 3D oncology imaging via
decision stratification", 2020 (cited as OSLN). ``paper`` has the paper's numbers; what it leaves open is named at the
attribute. ``compact`` is trained on two CPU cores: the same parts, narrow, on voxels of 2 x 2 x 2.5 mm.
"""

from __future__ import annotations

from dataclasses import dataclass

from oncotrack.errors import InputError

STREAMS = ("ct", "fusion")
"""Inputs of a segmentation network: the CT alone, or the CT with PET and distance map (early fusion)."""
BACKBONES = ("unet", "se-unet")


@dataclass(frozen=True)
class StageOneConfig:
    """The segmentation networks that generate candidates (OSLN, sec. 3.1, 4.2).

    Attributes
    ----------
    spacing_mm : (3,) float
        Voxel size along x, y, z.
    hu : (2,) float
        Window of the CT, scaled to 0 ... 1.
    pet_mean, pet_std : float
        Of the PET (SUV) over the training set; training sets them.
    distance_scale_mm, distance_limit : float, float
        The distance channel is divided by the first and limited to plus and minus the second (not stated by the paper).
    border_mm : float
        d, the distance from the tumour at which the distal region begins.
    streams : tuple of str
        Of `STREAMS`; both is the paper's late fusion.
    stratified : bool
        Whether proximal and distal voxels have networks of their own; otherwise one for each stream.
    backbone : str
        Of `BACKBONES`.
    channels : tuple of int
        Of the levels of each U-Net.
    patch : (3,) int
        D, H, W of a training sub-volume in voxels.
    window : (3,) int
        D, H, W of a sub-volume at inference; they follow each other along the body.
    overlap : float
        Of two such sub-volumes along the body (not stated by the paper).
    least_mm3 : float
        Smaller candidates are dropped (not stated by the paper, which drops none).
    """

    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 2.5)
    hu: tuple[float, float] = (-200.0, 300.0)
    pet_mean: float = 0.0
    pet_std: float = 1.0
    distance_scale_mm: float = 70.0
    distance_limit: float = 4.0
    border_mm: float = 70.0
    streams: tuple[str, ...] = STREAMS
    stratified: bool = True
    backbone: str = "unet"
    channels: tuple[int, ...] = (64, 128, 256, 512)
    patch: tuple[int, int, int] = (64, 96, 96)
    window: tuple[int, int, int] = (64, 224, 224)
    overlap: float = 0.25
    least_mm3: float = 0.0

    def __post_init__(self) -> None:
        multiple = 2 ** (len(self.channels) - 1)
        problems = {
            f"streams are of {', '.join(STREAMS)}, not {self.streams}": not self.streams
            or not set(self.streams) <= set(STREAMS),
            f"the backbone is one of {', '.join(BACKBONES)}, not {self.backbone}": self.backbone not in BACKBONES,
            f"sub-volumes must be multiples of {multiple} voxels": any(n % multiple for n in self.patch + self.window),
            f"the standard deviation of the PET must be positive, not {self.pet_std}": self.pet_std <= 0,
            f"sub-volumes overlap by less than their size, not {self.overlap}": not 0 <= self.overlap < 1,
        }
        wrong = [problem for problem, is_present in problems.items() if is_present]
        if wrong:
            raise InputError(f"This first stage cannot be built: {'; '.join(wrong)}.")

    @property
    def categories(self) -> tuple[str, ...]:
        """The regions with networks of their own: "proximal" and "distal", or "all"."""
        return ("proximal", "distal") if self.stratified else ("all",)


@dataclass(frozen=True)
class GLNetConfig:
    """The global-local network that refines the candidates (OSLN, sec. 3.2, 4.2).

    Attributes
    ----------
    crop : (3,) int
        D, H, W of the sub-volume around a candidate, in voxels of the first stage.
    margin : int
        Background voxels around a candidate that is larger than the crop.
    jitter : int
        Largest shift of each side of a candidate's box in training, voxels.
    modalities : tuple of str
        Of the local module: ("ct",) or ("ct", "pet").
    channels : (4,) int
        Of the residual blocks (not stated by the paper); each but the first halves the resolution.
    features : int
        Of each block's fully connected layer.
    local : bool
        Whether there is a local module.
    tagger : str
        "lesanet", "compact", or "" for no global module.
    tags : int
        Length of the tag vector.
    mirrored : bool
        Whether training crops are mirrored at random (the paper does not).
    """

    crop: tuple[int, int, int] = (32, 48, 48)
    margin: int = 8
    jitter: int = 3
    modalities: tuple[str, ...] = ("ct", "pet")
    channels: tuple[int, int, int, int] = (32, 64, 128, 256)
    features: int = 256
    local: bool = True
    tagger: str = "lesanet"
    tags: int = 171
    mirrored: bool = False

    def __post_init__(self) -> None:
        problems = {
            "it needs a local module or tags": not (self.local or self.tagger),
            f"its modalities are ct, or ct and pet, not {self.modalities}": self.modalities
            not in (("ct",), ("ct", "pet")),
            f'the tagger is "lesanet", "compact" or "", not "{self.tagger}"': self.tagger
            not in ("lesanet", "compact", ""),
            "tags need a tagger": bool(self.tags) != bool(self.tagger),
        }
        wrong = [problem for problem, is_present in problems.items() if is_present]
        if wrong:
            raise InputError(f"This second stage cannot be built: {'; '.join(wrong)}.")


@dataclass(frozen=True)
class TaggerConfig:
    """The small tagger that is trained on synthetic patients; it is no LesaNet.

    Attributes
    ----------
    patch : int
        Rows and columns of its input, voxels of the first stage: 120 mm.
    slices : int
        CT slices of its input, beside one of the PET.
    channels : tuple of int
        Of its convolutions; each halves the resolution.
    hidden : int
        Units before the tags.
    """

    patch: int = 60
    slices: int = 3
    channels: tuple[int, ...] = (12, 24, 32, 48)
    hidden: int = 64


STAGE_ONE = {
    "paper": StageOneConfig(),
    "compact": StageOneConfig(
        spacing_mm=(2.0, 2.0, 2.5),
        channels=(8, 16, 32),
        patch=(16, 40, 40),
        window=(64, 144, 192),
        least_mm3=40.0,
    ),
}
STAGE_TWO = {
    "paper": GLNetConfig(),
    "compact": GLNetConfig(
        crop=(24, 32, 32), margin=4, jitter=2, channels=(8, 16, 24, 32), features=24, tagger="compact", tags=49,
        mirrored=True,
    ),
}  # fmt: skip

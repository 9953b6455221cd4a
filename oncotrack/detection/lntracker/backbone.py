"""LN-Tracker's 2.5D backbone: neighbouring slices as images of three channels, fused into the centre slice."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.detection.resnet import ResNet
from oncotrack.errors import WeightsError

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours, 0 to 1; slices are normalised with them if the network starts from ImageNet weights."""
Stem = Callable[[torch.Tensor], torch.Tensor]
Stems = Callable[[torch.Tensor, Stem], torch.Tensor]
"""Takes the images of a slice, (n, 3, H, W), and the stem; returns the stem's maps, which the slices of a scan may share."""


class Fusion(nn.Module):
    """2.5D feature fusion: one 1x1 convolution over the maps of all images, replacing the map of the centre.

    It is initialised close to the identity of the centre map, so that pretrained features keep their meaning.

    Parameters
    ----------
    images : int
        Number of images.
    width : int
        Channels of each map.
    """

    def __init__(self, images: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(images * width, width, 1)
        centre = images // 2 * width
        with torch.no_grad():
            self.conv.weight.mul_(0.1)
            self.conv.weight[:, centre : centre + width] += torch.eye(width)[..., None, None]
            nn.init.zeros_(self.conv.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Fuse the maps of all images.

        Parameters
        ----------
        maps : (B, images, C, h, w) tensor
            One map per image.

        Returns
        -------
        (B, C, h, w) tensor
            New map of the centre image.
        """
        # not `maps.flatten(1, 2)`, which would copy maps whose channels are stored last twice
        return F.relu(self.conv(torch.cat(maps.unbind(1), 1)))


class LNBackbone(ResNet):
    """ResNet maps of strides 4, 8, 16 and 32 of the centre slice.

    All images share the weights. After each of the first ``fused_stages`` stages (after the stem if there are none) the
    map of the centre is replaced by the fusion of all maps. The outer images are not processed beyond the last fusion,
    so early fusion is cheap. With frozen norms, slices are normalised as ImageNet weights expect.

    Parameters
    ----------
    config : LNTrackerConfig
        Widths, depths, norms and number of fusions.
    """

    scaling: torch.Tensor | None

    def __init__(self, config: LNTrackerConfig) -> None:
        super().__init__(
            config.stem,
            config.stages,
            config.blocks,
            bottleneck=config.bottleneck,
            norm=config.norm,
            stem_blocks=config.stem_blocks,
        )
        self.images = config.slices // 3
        scaling = (
            torch.tensor((IMAGENET_MEAN, IMAGENET_DEVIATION))[..., None, None] if config.norm == "frozen" else None
        )
        self.register_buffer("scaling", scaling, persistent=False)
        self.fused = range(1, config.fused_stages + 1) or range(1)
        widths = (config.stem, *config.stages)
        self.fusions = nn.ModuleList([Fusion(self.images, widths[number]) for number in self.fused])
        self.initialise()

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, slices: torch.Tensor, stems: Stems | None = None
    ) -> list[torch.Tensor]:
        """Compute the maps of the centre slice.

        Parameters
        ----------
        slices : (B, slices, H, W) tensor
            0 to 1; H and W are multiples of 32.
        stems : callable, optional
            See `Stems`; then B is 1.

        Returns
        -------
        list of (B, C, H / stride, W / stride) tensors
            Strides 4, 8, 16 and 32.
        """
        images = slices.reshape(len(slices) * self.images, 3, *slices.shape[-2:])
        x, _ = self._fuse(self._scaled_stem(images) if stems is None else stems(images, self._scaled_stem), 0)
        x = self.layer0(x)
        maps = []
        for number, stage in enumerate(self.stages, start=1):
            x, centre = self._fuse(stage(x), number)
            maps.append(centre)
        return maps

    def _scaled_stem(self, images: torch.Tensor) -> torch.Tensor:
        if self.scaling is not None:
            mean, deviation = self.scaling.unbind()
            images = (images - mean) / deviation
        return self.stem(images)

    def _fuse(self, x: torch.Tensor, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the input of the stage after stage `number` (0 for the stem), and the centre map; both (n, C, h, w)."""
        if number not in self.fused:
            return x, x
        maps, centre = x.unflatten(0, (-1, self.images)), self.images // 2
        fused = self.fusions[number - self.fused[0]](maps)
        if number == self.fused[-1]:
            return fused, fused
        return torch.cat([maps[:, :centre], fused[:, None], maps[:, centre + 1 :]], 1).flatten(0, 1), fused


def load_imagenet(backbone: LNBackbone, state: Mapping[str, torch.Tensor]) -> None:
    """Load the weights of a ResNet-50 trained on ImageNet; the fusions stay unchanged.

    Parameters
    ----------
    backbone : LNBackbone
        Changed in place.
    state : mapping of str to Tensor
        torchvision's state of a ResNet-50, ``conv1.weight`` to ``layer4.2.bn3.bias``; its last layer is ignored.

    Raises
    ------
    WeightsError
        The weights belong to another network.
    """
    updated = backbone.state_dict()
    for name, value in updated.items():
        if name.startswith("fusions."):
            continue
        if name not in state or state[name].shape != value.shape:
            raise WeightsError(
                f"These are not the weights of the paper's ResNet-50: {name} is missing or has another size. Use "
                "torchvision's resnet50."
            )
        updated[name] = state[name]
    backbone.load_state_dict(updated)

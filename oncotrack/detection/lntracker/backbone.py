"""ResNet in 2.5D: the slices are read as images of three channels and fused into the one in the centre."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F

from oncotrack.detection.lntracker.config import LNTrackerConfig
from oncotrack.errors import WeightsError

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours, 0 to 1, as which a network that begins with its weights reads three slices."""


class FrozenBatchNorm(nn.Module):
    """Batch normalisation whose statistics and weights never change; named as batch norm names them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((width,), value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = self.weight * (self.running_var + 1e-5).rsqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale[:, None, None] + shift[:, None, None]


def norm(kind: str, width: int) -> nn.Module:
    """The norm called `kind`: "frozen", "batch" (running statistics) or "group"."""
    if kind == "batch":
        return nn.BatchNorm2d(width)
    return FrozenBatchNorm(width) if kind == "frozen" else nn.GroupNorm(8, width)


def conv(n_in: int, n_out: int, size: int, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size (or divides it by the stride) and has no bias: a norm follows."""
    return nn.Conv2d(n_in, n_out, size, stride, padding=size // 2, bias=False)


class Basic(nn.Module):
    """Two 3x3 convolutions round a shortcut."""

    def __init__(self, n_in: int, n_out: int, stride: int, kind: str) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(n_in, n_out, 3, stride), norm(kind, n_out)
        self.conv2, self.bn2 = conv(n_out, n_out, 3), norm(kind, n_out)
        self.downsample = _shortcut(n_in, n_out, stride, kind)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Bottleneck(nn.Module):
    """ResNet-50's block: 1x1, 3x3 (which carries the stride) and 1x1 convolutions round a shortcut."""

    def __init__(self, n_in: int, n_out: int, stride: int, kind: str) -> None:
        super().__init__()
        narrow = n_out // 4
        self.conv1, self.bn1 = conv(n_in, narrow, 1), norm(kind, narrow)
        self.conv2, self.bn2 = conv(narrow, narrow, 3, stride), norm(kind, narrow)
        self.conv3, self.bn3 = conv(narrow, n_out, 1), norm(kind, n_out)
        self.downsample = _shortcut(n_in, n_out, stride, kind)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def _shortcut(n_in: int, n_out: int, stride: int, kind: str) -> nn.Module:
    if n_in == n_out and stride == 1:
        return nn.Identity()
    return nn.Sequential(conv(n_in, n_out, 1, stride), norm(kind, n_out))


class Fusion(nn.Module):
    """2.5D feature fusion: one 1x1 convolution over the maps of all images, written to the centre's.

    It begins as the identity of the centre with a little of its neighbours, so that weights from natural images keep
    their meaning.
    """

    def __init__(self, images: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(images * width, width, 1)
        centre = images // 2 * width
        with torch.no_grad():
            self.conv.weight.mul_(0.1)
            self.conv.weight[:, centre : centre + width] += torch.eye(width)[..., None, None]
            self.conv.bias.zero_()

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, images, C, h, w) -> (B, C, h, w)."""
        return F.relu(self.conv(maps.flatten(1, 2)))


class LNBackbone(nn.Module):
    """Maps of strides 4, 8, 16 and 32 of the centre slice.

    The images share all weights. After each of the first ``fused_stages`` stages (after the stem, if none) the centre's
    map is replaced by the fusion of all; the outer images are needed no further than the last fusion, which is what makes
    an early one cheap.
    Convolutions and norms carry the names of the usual ResNet, so that its ImageNet weights fit (`load_imagenet`); with
    frozen norms, which are made for them, slices are scaled as those weights expect.
    """

    def __init__(self, config: LNTrackerConfig) -> None:
        super().__init__()
        self.images = config.slices // 3
        self.is_light = not config.bottleneck
        scaling = (
            torch.tensor((IMAGENET_MEAN, IMAGENET_DEVIATION))[..., None, None] if config.norm == "frozen" else None
        )
        self.register_buffer("scaling", scaling, persistent=False)
        self.conv1 = conv(3, config.stem, 3 if self.is_light else 7, 2)
        self.bn1 = norm(config.norm, config.stem)
        block = Bottleneck if config.bottleneck else Basic
        n_in = config.stem
        self.layer0 = nn.Sequential(*[block(n_in, n_in, 1, config.norm) for _ in range(config.stem_blocks)])
        for number, (n_out, depth) in enumerate(zip(config.stages, config.blocks, strict=True), start=1):
            stride = 2 if self.is_light or number > 1 else 1
            layers = [block(n_in, n_out, stride, config.norm)]
            layers += [block(n_out, n_out, 1, config.norm) for _ in range(depth - 1)]
            self.add_module(f"layer{number}", nn.Sequential(*layers))
            n_in = n_out
        self.fused = range(1, config.fused_stages + 1) or range(1)
        widths = (config.stem, *config.stages)
        self.fusions = nn.ModuleList([Fusion(self.images, widths[number]) for number in self.fused])
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is None:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, slices: torch.Tensor) -> list[torch.Tensor]:
        """(B, slices, H, W), 0 to 1 -> four (B, C, H / stride, W / stride); H and W are multiples of 32."""
        x = slices.reshape(len(slices) * self.images, 3, *slices.shape[-2:])
        if self.scaling is not None:
            mean, deviation = self.scaling
            x = (x - mean) / deviation
        x = F.relu(self.bn1(self.conv1(x)))
        if not self.is_light:
            x = F.max_pool2d(x, 3, 2, 1)
        x, _ = self._fuse(x, 0)
        x = self.layer0(x)
        outputs = []
        for number, stage in enumerate((self.layer1, self.layer2, self.layer3, self.layer4), start=1):
            x, centre = self._fuse(stage(x), number)
            outputs.append(centre)
        return outputs

    def _fuse(self, x: torch.Tensor, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """What stage `number` (0 for the stem) hands on, and the map of the centre, both (n, C, h, w)."""
        if number not in self.fused:
            return x, x
        maps, centre = x.unflatten(0, (-1, self.images)), self.images // 2
        fused = self.fusions[number - self.fused[0]](maps)
        if number == self.fused[-1]:
            return fused, fused
        return torch.cat([maps[:, :centre], fused[:, None], maps[:, centre + 1 :]], 1).flatten(0, 1), fused


def load_imagenet(backbone: LNBackbone, state: Mapping[str, torch.Tensor]) -> None:
    """Begin with the weights of a ResNet-50 that was trained on ImageNet; the fusions stay as they are.

    Parameters
    ----------
    state : mapping
        A ResNet-50 as torchvision names it, ``conv1.weight`` to ``layer4.2.bn3.bias``; its last layer is left out.

    Raises
    ------
    WeightsError
        Weights of another network.
    """
    ours = backbone.state_dict()
    for name, value in ours.items():
        if name.startswith("fusions."):
            continue
        if name not in state or state[name].shape != value.shape:
            raise WeightsError(
                f"These are not the weights of the paper's ResNet-50: {name} is missing or of another size. Take "
                "torchvision's resnet50."
            )
        ours[name] = state[name]
    backbone.load_state_dict(ours)

"""Self-supervised pairs: a scan and the same scan, moved and spoiled by six augmentations (sec. 4.2).

Left open by the paper and chosen here: elastic deformations are random shifts of knots `_KNOTS_MM` apart, the scale
tells how far at most in parts of that distance; crops move the field of view by up to a quarter; the noise's variance
is in units of a soft-tissue window of `_NOISE_UNIT_HU`; blurring is in voxels of the plane.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn import functional as F

from oncotrack.followup.dlt.config import DLTConfig
from oncotrack.followup.lesion_pairs import LesionPairs

PROBABILITY = 0.5
"""Of each augmentation."""
ELASTIC, ROTATION_DEG, SCALE, NOISE_VARIANCE, BLUR_SIGMA = 0.25, 10.0, (0.75, 1.25), 0.05, (0.5, 1.5)
_CROP = 0.25
_KNOTS_MM = 32.0
_NOISE_UNIT_HU = 400.0
_OUTSIDE_HU = -1024.0


def is_self_supervised(share: float, generator: torch.Generator) -> bool:
    """Equation 9: whether a batch learns by L_ssl, ``lambda <= tau`` with `share` as tau."""
    return share > 0 and bool(_uniform(generator, 0.0, 1.0) <= share)


def self_supervised(pairs: LesionPairs, config: DLTConfig, generator: torch.Generator) -> LesionPairs:
    """Pairs of each template and its augmented counterpart.

    The clicked place is the lesion's; the template's click is shifted from it by the center augmentation, and the
    anatomy signal of the counterpart moves with the image (``T_aug(G_t)``).
    """
    click = shifted(pairs.template_centre, pairs.radius_mm, config, generator)
    moved = [
        augmented(image[None], torch.stack([centre, at]), config, generator)
        for image, centre, at in zip(pairs.template, pairs.template_centre, click, strict=True)
    ]
    centre, expected = (torch.stack([places[n] for _, places in moved]) for n in range(2))
    if config.ssl_registration_error:
        expected = expected + pairs.expected - pairs.centre
    return replace(
        pairs,
        search=torch.cat([image for image, _ in moved]),
        template_centre=click,
        centre=centre,
        expected=expected,
        found=torch.ones_like(pairs.found),
    )


def shifted(
    centre: torch.Tensor, radius_mm: torch.Tensor, config: DLTConfig, generator: torch.Generator
) -> torch.Tensor:
    """Center augmentation: (B, 3) voxels, moved evenly within a ball of ``centre_shift`` radii."""
    way = torch.randn(centre.shape, generator=generator, device=centre.device)
    part = torch.rand(len(centre), 1, generator=generator, device=centre.device) ** (1 / 3)
    far_mm = config.centre_shift * radius_mm[:, None] * part * F.normalize(way, dim=1)
    return centre + far_mm / centre.new_tensor(config.spacing)


def augmented(
    image: torch.Tensor, places: torch.Tensor, config: DLTConfig, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """``T_aug`` of one image and of places in it; each of the six augmentations with probability 0.5.

    Parameters
    ----------
    image : (1, 1, D, H, W) HU
    places : (N, 3) voxels z, y, x; the first is what rotation and scale turn about

    Returns
    -------
    image and places, of the same shapes
    """
    pull, bend = _movement(image, places[0], config, generator)
    image, places = _moved(image, places, pull, bend)
    if _happens(generator):
        deviation = _uniform(generator, 0.0, NOISE_VARIANCE) ** 0.5 * _NOISE_UNIT_HU
        image = image + deviation * torch.randn(image.shape, generator=generator, device=image.device)
    if _happens(generator):
        image = _blurred(image, float(_uniform(generator, *BLUR_SIGMA)), config)
    return image, places


def _movement(
    image: torch.Tensor, about: torch.Tensor, config: DLTConfig, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Where a moved voxel comes from: (3, 4) affine on voxels z, y, x, and a bend (1, 3, D, H, W) added to it."""
    spacing, shape = about.new_tensor(config.spacing), about.new_tensor(image.shape[2:])
    bend = image.new_zeros(1, 3, *image.shape[2:])
    if _happens(generator):
        knots = [max(3, round(float(edge)) + 1) for edge in shape * spacing / _KNOTS_MM]
        far = _uniform(generator, 0.0, ELASTIC) * _KNOTS_MM / spacing
        shifts = 2 * torch.rand(1, 3, *knots, generator=generator, device=image.device) - 1
        smooth = F.interpolate(shifts, size=image.shape[2:], mode="trilinear", align_corners=True)
        bend = smooth * far[None, :, None, None, None]
    linear = torch.eye(3, device=image.device)
    if _happens(generator):
        angle = torch.deg2rad(_uniform(generator, -ROTATION_DEG, ROTATION_DEG))
        sine, cosine = float(angle.sin()), float(angle.cos())
        linear = linear @ linear.new_tensor([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]])
    if _happens(generator):
        linear = linear / _uniform(generator, *SCALE)
    away = torch.zeros(3, device=image.device)
    if _happens(generator):
        away = (torch.rand(3, generator=generator, device=image.device) - 0.5) * 2 * _CROP * shape
        # the lesion stays at least an eighth of the field of view from the border
        away = (about - away).clamp(shape / 8, shape * 7 / 8).neg() + about
    mm = linear * spacing[None] / spacing[:, None]
    return torch.cat([mm, (about + away - mm @ about)[:, None]], 1), bend


def _moved(
    image: torch.Tensor, places: torch.Tensor, pull: torch.Tensor, bend: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    shape = image.shape[2:]
    axes = [torch.arange(n, device=image.device, dtype=torch.float32) for n in shape]
    voxels = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    source = voxels @ pull[:, :3].T + pull[:, 3] + bend[0].movedim(0, -1)
    moved = _sampled(image - _OUTSIDE_HU, source) + _OUTSIDE_HU
    back, there = torch.linalg.inv(pull[:, :3]), places
    for _ in range(10):  # a bend is flatter than one, so this settles
        offset = _sampled(bend, there[None, None], "border")[0, :, 0, 0].T
        there = (places - offset - pull[:, 3]) @ back.T
    return moved, there


def _sampled(image: torch.Tensor, places: torch.Tensor, padding: str = "zeros") -> torch.Tensor:
    """(1, C, D, H, W) at (d, h, w, 3) voxels z, y, x."""
    size = places.new_tensor(image.shape[2:])
    grid = ((2 * places + 1) / size - 1).flip(-1)
    grid = grid if grid.ndim == 4 else grid[None]
    return F.grid_sample(image, grid[None], padding_mode=padding, align_corners=False)


def _blurred(image: torch.Tensor, sigma: float, config: DLTConfig) -> torch.Tensor:
    for axis, mm in enumerate(config.spacing):
        width = sigma * config.spacing[2] / mm
        reach = max(1, round(3 * width))
        line = torch.exp(-(torch.arange(-reach, reach + 1, device=image.device) ** 2) / (2 * width**2))
        shape, pad = [1] * 5, [0] * 6
        shape[2 + axis] = len(line)
        pad[2 * (2 - axis)] = pad[2 * (2 - axis) + 1] = reach
        image = F.conv3d(F.pad(image, pad, mode="replicate"), (line / line.sum()).view(shape))
    return image


def _happens(generator: torch.Generator) -> bool:
    return bool(_uniform(generator, 0.0, 1.0) < PROBABILITY)


def _uniform(generator: torch.Generator, low: float, high: float) -> torch.Tensor:
    return low + (high - low) * torch.rand((), generator=generator, device=generator.device)

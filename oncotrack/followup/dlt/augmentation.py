"""Self-supervised pairs: a scan and a copy of it, changed by six augmentations (sec. 4.2).

The paper leaves some values open. Chosen here: elastic deformations are random displacements of knots `_KNOTS_MM`
apart, with a maximum in fractions of that distance; crops move the field of view by up to a quarter; the variance of
the noise is in units of a soft-tissue window of `_NOISE_UNIT_HU`; the blur is in pixels of the plane.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn import functional as F

from oncotrack.followup.dlt.config import DLTConfig
from oncotrack.followup.lesion_pairs import LesionPairs

PROBABILITY = 0.5
"""Probability of each augmentation."""
ELASTIC, ROTATION_DEG, SCALE, NOISE_VARIANCE, BLUR_SIGMA = 0.25, 10.0, (0.75, 1.25), 0.05, (0.5, 1.5)
_CROP = 0.25
_KNOTS_MM = 32.0
_NOISE_UNIT_HU = 400.0
_OUTSIDE_HU = -1024.0


def is_self_supervised(share: float, generator: torch.Generator) -> bool:
    """Draw whether a batch is trained with L_ssl (equation 9): ``lambda <= tau``.

    Parameters
    ----------
    share : float
        tau, 0 to 1.
    generator : torch.Generator
        Source of the random number.
    """
    return share > 0 and bool(_uniform(generator, 0.0, 1.0) <= share)


def make_self_supervised(pairs: LesionPairs, config: DLTConfig, generator: torch.Generator) -> LesionPairs:
    """Return pairs of each template and an augmented copy of it.

    The click in the template is shifted from the lesion by the center augmentation; the anatomy signal of the copy
    moves with the image (``T_aug(G_t)``).

    Parameters
    ----------
    pairs : LesionPairs
        A batch; its search crops are not used.
    config : DLTConfig
        The network's configuration.
    generator : torch.Generator
        Source of the random numbers.
    """
    click = shift_centres(pairs.template_centre, pairs.radius_mm, config, generator)
    augmented = [
        augment(image[None], torch.stack([centre, at]), config, generator)
        for image, centre, at in zip(pairs.template, pairs.template_centre, click, strict=True)
    ]
    centre, expected = (torch.stack([points[n] for _, points in augmented]) for n in range(2))
    if config.ssl_registration_error:
        expected = expected + pairs.expected - pairs.centre
    return replace(
        pairs,
        search=torch.cat([image for image, _ in augmented]),
        template_centre=click,
        centre=centre,
        expected=expected,
        found=torch.ones_like(pairs.found),
    )


def shift_centres(
    centre: torch.Tensor, radius_mm: torch.Tensor, config: DLTConfig, generator: torch.Generator
) -> torch.Tensor:
    """Apply the center augmentation: shift each point uniformly within a ball of ``centre_shift`` radii.

    Parameters
    ----------
    centre : (B, 3) tensor
        Voxels z, y, x.
    radius_mm : (B,) tensor
        Lesion radii.
    config : DLTConfig
        The network's configuration.
    generator : torch.Generator
        Source of the random numbers.
    """
    direction = torch.randn(centre.shape, generator=generator, device=centre.device)
    fraction = torch.rand(len(centre), 1, generator=generator, device=centre.device) ** (1 / 3)
    shift_mm = config.centre_shift * radius_mm[:, None] * fraction * F.normalize(direction, dim=1)
    return centre + shift_mm / centre.new_tensor(config.spacing)


def augment(
    image: torch.Tensor, points: torch.Tensor, config: DLTConfig, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Apply ``T_aug`` to an image and to points in it; each of the six augmentations has probability 0.5.

    Parameters
    ----------
    image : (1, 1, D, H, W) tensor
        HU.
    points : (N, 3) tensor
        Voxels z, y, x; the first one is the centre of rotation and scaling.
    config : DLTConfig
        The network's configuration.
    generator : torch.Generator
        Source of the random numbers.

    Returns
    -------
    image, points
        Of the same shapes.
    """
    affine, displacement = _draw_transform(image, points[0], config, generator)
    image, points = _transform(image, points, affine, displacement)
    if _is_applied(generator):
        deviation = _uniform(generator, 0.0, NOISE_VARIANCE) ** 0.5 * _NOISE_UNIT_HU
        image = image + deviation * torch.randn(image.shape, generator=generator, device=image.device)
    if _is_applied(generator):
        image = _blur(image, float(_uniform(generator, *BLUR_SIGMA)), config)
    return image, points


def _draw_transform(
    image: torch.Tensor, about: torch.Tensor, config: DLTConfig, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw a transform from augmented to original voxels z, y, x: (3, 4) affine and (1, 3, D, H, W) displacement."""
    spacing, shape = about.new_tensor(config.spacing), about.new_tensor(image.shape[2:])
    displacement = image.new_zeros(1, 3, *image.shape[2:])
    if _is_applied(generator):
        knots = [max(3, round(float(edge)) + 1) for edge in shape * spacing / _KNOTS_MM]
        maximum = _uniform(generator, 0.0, ELASTIC) * _KNOTS_MM / spacing
        shifts = 2 * torch.rand(1, 3, *knots, generator=generator, device=image.device) - 1
        smooth = F.interpolate(shifts, size=image.shape[2:], mode="trilinear", align_corners=True)
        displacement = smooth * maximum[None, :, None, None, None]
    linear = torch.eye(3, device=image.device)
    if _is_applied(generator):
        angle = torch.deg2rad(_uniform(generator, -ROTATION_DEG, ROTATION_DEG))
        sine, cosine = float(angle.sin()), float(angle.cos())
        linear = linear @ linear.new_tensor([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]])
    if _is_applied(generator):
        linear = linear / _uniform(generator, *SCALE)
    shift = torch.zeros(3, device=image.device)
    if _is_applied(generator):
        shift = (torch.rand(3, generator=generator, device=image.device) - 0.5) * 2 * _CROP * shape
        # the lesion stays at least an eighth of the field of view from the border
        shift = (about - shift).clamp(shape / 8, shape * 7 / 8).neg() + about
    mm = linear * spacing[None] / spacing[:, None]
    return torch.cat([mm, (about + shift - mm @ about)[:, None]], 1), displacement


def _transform(
    image: torch.Tensor, points: torch.Tensor, affine: torch.Tensor, displacement: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Apply a transform of `_draw_transform` to an image and to points in it."""
    shape = image.shape[2:]
    axes = [torch.arange(n, device=image.device, dtype=torch.float32) for n in shape]
    voxels = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    source = voxels @ affine[:, :3].T + affine[:, 3] + displacement[0].movedim(0, -1)
    transformed = _sample(image - _OUTSIDE_HU, source) + _OUTSIDE_HU
    inverse, mapped = torch.linalg.inv(affine[:, :3]), points
    for _ in range(10):  # a fixed-point iteration; it converges because the displacement's slope is below one
        offset = _sample(displacement, mapped[None, None], "border")[0, :, 0, 0].T
        mapped = (points - offset - affine[:, 3]) @ inverse.T
    return transformed, mapped


def _sample(image: torch.Tensor, points: torch.Tensor, padding: str = "zeros") -> torch.Tensor:
    """Return the values of an image (1, C, D, H, W) at points (d, h, w, 3), voxels z, y, x."""
    size = points.new_tensor(image.shape[2:])
    grid = ((2 * points + 1) / size - 1).flip(-1)
    grid = grid if grid.ndim == 4 else grid[None]
    return F.grid_sample(image, grid[None], padding_mode=padding, align_corners=False)


def _blur(image: torch.Tensor, sigma: float, config: DLTConfig) -> torch.Tensor:
    for axis, mm in enumerate(config.spacing):
        width = sigma * config.spacing[2] / mm
        half = max(1, round(3 * width))
        line = torch.exp(-(torch.arange(-half, half + 1, device=image.device) ** 2) / (2 * width**2))
        shape, pad = [1] * 5, [0] * 6
        shape[2 + axis] = len(line)
        pad[2 * (2 - axis)] = pad[2 * (2 - axis) + 1] = half
        image = F.conv3d(F.pad(image, pad, mode="replicate"), (line / line.sum()).view(shape))
    return image


def _is_applied(generator: torch.Generator) -> bool:
    return bool(_uniform(generator, 0.0, 1.0) < PROBABILITY)


def _uniform(generator: torch.Generator, low: float, high: float) -> torch.Tensor:
    return low + (high - low) * torch.rand((), generator=generator, device=generator.device)

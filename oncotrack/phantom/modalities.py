"""The same anatomy in FDG PET (SUV) and T2-like MR.

Physiological uptake is drawn in the brain, heart, kidneys with their pelves, bladder, liver, spleen, stomach and bowel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from oncotrack.images.geometry import Geometry
from oncotrack.phantom.canvas import Canvas
from oncotrack.phantom.draw import paint_image
from oncotrack.phantom.layers import Step
from oncotrack.phantom.tissues import suv_values, t2_values

PET_MM = 4.0
PET_FWHM_MM = 6.0
MR_SLICE_MM = 6.0


class Modality:
    """Grids of the modalities."""

    @staticmethod
    def grid(modality: str, ct: Geometry) -> Geometry:
        """Return a modality's own grid over the CT's field of view."""
        if modality == "PT":
            return ct.with_spacing(np.maximum(ct.spacing, PET_MM))
        if modality == "MR":
            return ct.with_spacing(np.maximum(ct.spacing, (0.8, 0.8, MR_SLICE_MM)))
        return ct


def pet_image(
    canvas: Canvas,
    steps: Sequence[Step],
    mottle: Tensor,
    generator: torch.Generator,
    rng: np.random.Generator,
    urine_suv: float,
) -> tuple[np.ndarray, Tensor]:
    """Return (D, H, W) float32 SUV with the scanner's blur and noise, and the label map."""
    image, labels = paint_image(canvas, steps, suv_values(urine_suv), 0.0, mottle)
    image.mul_(float(rng.lognormal(0, 0.08)))
    noise = 0.22 * float(rng.uniform(0.7, 1.3)) * image.clamp_min(0.02).sqrt()
    image = image + noise * torch.randn(image.shape, generator=generator, device=image.device) * 2.0
    image = blur(image, PET_FWHM_MM / 2.355 / np.asarray(canvas.geometry.spacing))
    return image.clamp_min_(0).cpu().numpy().astype(np.float32), labels


def mr_image(
    canvas: Canvas, steps: Sequence[Step], mottle: Tensor, generator: torch.Generator, rng: np.random.Generator
) -> tuple[np.ndarray, Tensor]:
    """Return (D, H, W) float32 T2-like signal with a bias field and Rician noise, and the label map."""
    image, labels = paint_image(canvas, steps, t2_values(), 2.0, mottle)
    knots = torch.as_tensor(rng.normal(size=(1, 1, 4, 4, 4)), dtype=torch.float32, device=image.device) * 0.28
    bias = F.interpolate(knots, size=image.shape, mode="trilinear", align_corners=True)[0, 0]
    image = image * torch.exp(bias)
    sigma = 7.0 * float(rng.uniform(0.7, 1.4))
    real, imaginary = (torch.randn(image.shape, generator=generator, device=image.device) * sigma for _ in range(2))
    return torch.sqrt((image + real).square() + imaginary.square()).cpu().numpy().astype(np.float32), labels


def blur(image: Tensor, sigma_voxels: Sequence[float] | np.ndarray) -> Tensor:
    """Return a Gaussian blur of (D, H, W) with a sigma along x, y, z, in voxels."""
    out = image[None, None]
    for axis, sigma in zip((4, 3, 2), sigma_voxels, strict=True):
        reach = max(int(np.ceil(3 * float(sigma))), 1)
        x = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
        kernel = torch.exp(-0.5 * (x / max(float(sigma), 1e-3)) ** 2)
        kernel = (kernel / kernel.sum()).view([-1 if a == axis else 1 for a in range(5)])
        pad = [0] * 6
        pad[2 * (4 - axis)] = pad[2 * (4 - axis) + 1] = reach
        out = F.conv3d(F.pad(out, pad, mode="replicate"), kernel)
    return out[0, 0]

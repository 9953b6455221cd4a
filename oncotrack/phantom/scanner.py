"""Simulation of a CT scanner: table, kernel blur, correlated noise, streaks, a cropped field of view.

Noise has the spectrum of filtered back-projection, a ramp times the kernel's window (Riederer et al. 1978, "The noise
power spectrum in computed X-ray tomography", Phys Med Biol 23). Rays through more tissue are noisier: the noise is the
sum of two parts, one of vertical and one of horizontal frequencies, each scaled by the noise of the rays it comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from oncotrack.images.geometry import Geometry
from oncotrack.networks.threads import map_in_threads, seeds

KERNELS = {"soft": (0.44, 0.5), "medium": (0.5, 0.4), "sharp": (0.6, 0.0)}
"""Per kernel: cut-off of the noise spectrum (1/mm), Gaussian blur of the image (mm)."""


@dataclass(frozen=True)
class Scanner:
    """One scanner protocol.

    Parameters
    ----------
    kernel : str
        A key of `KERNELS`.
    noise_hu : float
        Standard deviation in the middle of an average body.
    streaks : float
        Strength of beam hardening between dense bones; 1 is mild.
    table_gap_mm : float, optional
        Cushion between the patient's back and the table; None for no table.
    table_bend : float
        Curvature of the table at the patient's sides (1/mm).
    circle : bool
        Whether the field of view is a circle.
    padding : float
        HU outside that circle.
    """

    kernel: str = "soft"
    noise_hu: float = 10.0
    streaks: float = 1.0
    table_gap_mm: float | None = None
    table_bend: float = 0.0016
    circle: bool = True
    padding: float = -1024.0

    @classmethod
    def random(cls, rng: np.random.Generator, slice_mm: float) -> Scanner:
        """Draw a plausible protocol; thin slices and sharp kernels are noisier."""
        kernel = str(rng.choice(["soft", "medium", "sharp"], p=[0.55, 0.27, 0.18]))
        base = {"soft": 9.5, "medium": 14.0, "sharp": 24.0}[kernel]
        noise = base * float(rng.lognormal(0, 0.25)) * float(np.clip(np.sqrt(2.5 / slice_mm), 0.7, 1.5))
        return cls(
            kernel,
            noise,
            float(rng.uniform(0.5, 1.5)),
            float(rng.uniform(3, 14)),
            float(rng.uniform(0.0012, 0.0022)),
            bool(rng.random() < 0.7),
        )

    def image(self, hu: Tensor, geometry: Geometry, generator: torch.Generator) -> Tensor:
        """Return (D, H, W) HU as this scanner reconstructs them, rounded to whole HU."""
        hu = self._add_table(hu, geometry)
        rays = _ray_weights(hu, geometry)
        out = self._add_streaks(hu)
        starts = range(0, len(hu), 16)

        def scan(job: tuple[int, torch.Generator]) -> None:
            part = slice(job[0], job[0] + 16)
            out[part] = self._apply_kernel(out[part], geometry.spacing, tuple(r[part] for r in rays), job[1])

        map_in_threads(scan, zip(starts, seeds(generator, len(starts), hu.device), strict=True), hu.device)
        if self.circle:
            out.masked_fill_(~_circle(geometry, hu.device), self.padding)
        return out.round_().clamp_(-1024, 3071)

    def noise(
        self, shape: Sequence[int], geometry: Geometry, generator: torch.Generator, device: str | torch.device = "cpu"
    ) -> Tensor:
        """Return noise alone, (D, H, W) of unit standard deviation, with this kernel's spectrum."""
        weights = torch.ones(shape[0], shape[1], 1, device=device), torch.ones(shape[0], 1, shape[2], device=device)
        return Scanner(self.kernel, 1.0)._apply_kernel(
            torch.zeros(shape, device=device), geometry.spacing, weights, generator
        )

    def _apply_kernel(
        self, hu: Tensor, spacing: Sequence[float], rays: tuple[Tensor, ...], generator: torch.Generator
    ) -> Tensor:
        """Return slices with the kernel's blur and noise; `rays` scale the noise of rows and columns."""
        cut, blur = KERNELS[self.kernel]
        height, width = hu.shape[1:]
        fy = torch.fft.fftfreq(height, spacing[1], device=hu.device)[:, None]
        fx = torch.fft.rfftfreq(width, spacing[0], device=hu.device)[None]
        f = torch.sqrt(fx.square() + fy.square())
        window = f * torch.exp(-((f / cut) ** 2))
        window = window / window.square().mean().sqrt()
        mtf = torch.exp(-2 * (np.pi * blur * f) ** 2) if blur else (1 + 1.2 * f.square()) * torch.exp(-((f / 1.1) ** 2))
        smooth = torch.fft.irfft2(torch.fft.rfft2(hu) * mtf, s=(height, width))
        if not self.noise_hu:
            return smooth
        share_y = (fy.abs() / f.clamp_min(1e-6)) * window
        share_x = (fx / f.clamp_min(1e-6)) * window
        white = torch.randn(2, *hu.shape, generator=generator, device=hu.device)
        spectrum = torch.fft.rfft2(white)
        vertical = torch.fft.irfft2(spectrum[0] * share_y, s=(height, width))
        horizontal = torch.fft.irfft2(spectrum[1] * share_x, s=(height, width))
        return smooth + self.noise_hu * (vertical * rays[0] + horizontal * rays[1])

    def _add_table(self, hu: Tensor, geometry: Geometry) -> Tensor:
        """Return the image with the table in the air below the patient."""
        if self.table_gap_mm is None:
            return hu.clone()
        i = torch.arange(geometry.size[0], device=hu.device, dtype=torch.float32)
        j = torch.arange(geometry.size[1], device=hu.device, dtype=torch.float32)
        m = geometry.ijk_to_ras
        x = m[0, 0] * i[None] + m[0, 3] + m[0, 1] * j[:, None]
        y = m[1, 1] * j[:, None] + m[1, 3] + m[1, 0] * i[None]
        edge = float(geometry.spacing[1])
        body = (hu > -300).any(0) & (x.abs() < 175)
        under = float((y - self.table_bend * x.square())[body].amin()) if bool(body.any()) else float(y.min())
        table = under - self.table_gap_mm
        top = y - table - self.table_bend * x.square()
        bottom = table - 62 + 0.0006 * x.square() - y
        wide = x.abs() - 215
        inside = torch.maximum(torch.maximum(top, bottom), wide)
        flat = torch.full_like(top, -1000.0)
        for level, value in ((0.0, 320.0), (2.0, -950.0)):
            flat = torch.lerp(flat, torch.full_like(flat, value), (0.5 - (inside + level) / edge).clamp(0, 1))
        air = ((hu + 300) / -700).clamp(0, 1)
        return hu + (flat + 1000) * air * (y < table + 60)

    def _add_streaks(self, hu: Tensor) -> Tensor:
        """Return the image with dark bands of a few HU between dense bones in a row (shoulders, spine)."""
        bone = (hu - 250).clamp_(0, 900)
        out = hu
        if self.streaks:
            left = bone.cumsum(-1)
            right = left[..., -1:] - left
            band = torch.minimum(left, right).mul_(-self.streaks * 10 / 9000).clamp_(-16 * self.streaks)
            soft = ((hu + 300) / 250).clamp_(0, 1)
            out = hu + band * soft
        return out


def _ray_weights(hu: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor]:
    """Return the noise strength of horizontal (D, H, 1) and vertical rays (D, 1, W), 1 through 300 and 200 mm of water."""
    water = ((hu + 1000) / 1000).clamp(0, 3)
    across = water.sum(2, keepdim=True) * geometry.spacing[0]
    along = water.sum(1, keepdim=True) * geometry.spacing[1]
    rows = torch.exp((across - 300) * 0.0042).clamp(0.45, 3.0)
    columns = torch.exp((along - 200) * 0.0042).clamp(0.45, 3.0)
    pool = torch.nn.functional.avg_pool1d
    rows = pool(rows.transpose(1, 2), 9, 1, 4, count_include_pad=False).transpose(1, 2)
    return rows, pool(columns, 9, 1, 4, count_include_pad=False)


def _circle(geometry: Geometry, device: torch.device) -> Tensor:
    """Return the (1, H, W) mask of the round field of view."""
    i = (torch.arange(geometry.size[0], device=device) + 0.5) / geometry.size[0] * 2 - 1
    j = (torch.arange(geometry.size[1], device=device) + 0.5) / geometry.size[1] * 2 - 1
    return (i[None].square() + j[:, None].square() <= 1.0)[None]

"""Baseline of the LN-Tracker paper: a 3D U-Net segments nodes, and connected components become boxes.

MONAI's U-Net on LN-Tracker's slices; detection as with nnU-Net (sec. 6.5 of the paper), with less training.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch

from oncotrack.background.jobs import Progress, silent
from oncotrack.detection.components import components, track_of_component
from oncotrack.detection.ct_slices import LNSlices, check_ct
from oncotrack.detection.false_positive_filter import remove_false_positives
from oncotrack.detection.track_findings import findings_from_tracks
from oncotrack.detection.tracks import Track
from oncotrack.errors import MissingPackageError
from oncotrack.findings.finding import Finding, Provenance
from oncotrack.images.volume import Volume
from oncotrack.networks import weights as weights_files


@dataclass(frozen=True)
class UNetConfig:
    """Shape of the U-Net.

    Attributes
    ----------
    channels : tuple of int
        Channels of the levels.
    strides : tuple of (3,) int
        Strides between the levels, z, y, x.
    patch : (3,) int
        D, H, W of the input in voxels.
    """

    channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    strides: tuple[tuple[int, ...], ...] = ((1, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2))
    patch: tuple[int, int, int] = (32, 128, 128)


def network(config: UNetConfig) -> torch.nn.Module:
    """Build the U-Net: (B, 1, D, H, W), 0 to 1 over the HU window, to logits of the same shape.

    Raises
    ------
    MissingPackageError
        MONAI is not installed.
    """
    try:
        from monai.networks.nets.unet import UNet
    except ImportError as error:
        raise MissingPackageError('The U-Net needs the package monai: pip install "oncotrack[train]".') from error
    return UNet(3, 1, 1, config.channels, config.strides, num_res_units=1)  # pyright: ignore[reportArgumentType]


class UNetDetector:
    """Nodes as connected components (26 neighbours) of the U-Net's segmentation.

    The score of a component on a slice is its highest probability there.

    Parameters
    ----------
    weights : path
        Written by ``oncotrack train unet``.
    device : str
        "auto", "cpu", "cuda" or "mps".
    threshold : float
        Least probability of a node's voxels.
    least_mm3 : float
        Smaller components are dropped. Both defaults were chosen on validation seeds, for AS.

    Raises
    ------
    MissingPackageError
        MONAI is not installed.
    WeightsError
        The weights are missing, damaged or of another version.
    """

    name = "unet"

    def __init__(
        self, weights: str | Path, device: str = "auto", threshold: float = 0.05, least_mm3: float = 10.0
    ) -> None:
        trained = weights_files.load_network(weights, self.name, UNetConfig, network, device)
        self.network, self.config, self.device = trained.network, trained.config, trained.device
        self._threshold, self._least_mm3 = threshold, least_mm3
        self._provenance = Provenance(method=self.name, weights_sha256=trained.sha256)

    def detect(self, volume: Volume, progress: Progress = silent, *, time_point: str = "t0") -> list[Finding]:
        """Return the proposed nodes of a CT, see `Detector.detect`."""
        from monai.inferers.utils import sliding_window_inference

        check_ct(volume)
        slices = LNSlices(volume)
        progress(0.0, f"Segmenting nodes in {len(slices)} slices")
        image = torch.from_numpy(slices.slab(0, len(slices)))[None, None]
        with torch.inference_mode():
            logits = sliding_window_inference(
                image, self.config.patch, 1, self.network, overlap=0.25, mode="gaussian", sw_device=self.device,
                device="cpu",
            )  # fmt: skip
        logits = cast("torch.Tensor", logits)
        components = self._components(logits[0, 0].float().sigmoid().numpy(), slices.geometry.voxel_mm3)
        tracks = remove_false_positives(components, slices)
        progress(1.0, f"{len(tracks)} nodes")
        return findings_from_tracks(tracks, slices, time_point, self._provenance)

    def _components(self, probability: np.ndarray, voxel_mm3: float) -> list[Track]:
        """Return the connected components of (D, H, W) probabilities as tracks."""
        return [
            track_of_component(each, np.where(each.mask, probability[each.where], 0).max(axis=(1, 2)))
            for each in components(probability, self._threshold, self._least_mm3 / voxel_mm3)
        ]

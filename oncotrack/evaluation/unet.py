"""The baseline that the paper compares with: a 3D U-Net marks nodes voxel by voxel, and connected parts become boxes.

MONAI's U-Net on LN-Tracker's own slices; nnU-Net's way of detecting (sec. 6.5 of the LN-Tracker paper) on a budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from oncotrack.background.jobs import Progress, silent
from oncotrack.detection.lntracker import nodes
from oncotrack.detection.lntracker.false_positive_filter import plausible
from oncotrack.detection.lntracker.grid import LNSlices, check_ct
from oncotrack.detection.lntracker.tracking import Track
from oncotrack.errors import MissingPackageError
from oncotrack.findings.finding import Finding, Provenance
from oncotrack.images.volume import Volume
from oncotrack.networks import weights as stored


@dataclass(frozen=True)
class UNetConfig:
    """Widths of the levels, strides between them (z, y, x), and the patch it reads, (D, H, W) voxels."""

    channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    strides: tuple[tuple[int, ...], ...] = ((1, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2))
    patch: tuple[int, int, int] = (32, 128, 128)


def network(config: UNetConfig) -> torch.nn.Module:
    """(B, 1, D, H, W), 0 to 1 over the HU window -> (B, 1, D, H, W) logits.

    Raises
    ------
    MissingPackageError
        MONAI is not installed.
    """
    try:
        from monai.networks.nets import UNet
    except ImportError as error:
        raise MissingPackageError('The U-Net needs the package monai: pip install "oncotrack[train]".') from error
    return UNet(3, 1, 1, config.channels, config.strides, num_res_units=1)


class UNetDetector:
    """Nodes as connected parts (26 neighbours) of what the U-Net marks; on a slice a part scores its highest probability.

    Parameters
    ----------
    weights : path
        What ``oncotrack train unet`` wrote.
    threshold : float
        Probability from which a voxel is marked.
    least_mm3 : float
        Smaller parts are dropped. Both were chosen on validation seeds, for AS.
    """

    name = "unet"

    def __init__(
        self, weights: str | Path, device: str = "auto", threshold: float = 0.05, least_mm3: float = 10.0
    ) -> None:
        trained = stored.load_network(weights, self.name, UNetConfig, network, device)
        self.network, self.config, self.device = trained.network, trained.config, trained.device
        self._threshold, self._least_mm3 = threshold, least_mm3
        self._provenance = Provenance(method=self.name, weights_sha256=trained.sha256)

    def detect(self, volume: Volume, progress: Progress = silent, *, time_point: str = "t0") -> list[Finding]:
        """See `Detector.detect`."""
        from monai.inferers import sliding_window_inference

        check_ct(volume)
        slices = LNSlices(volume)
        progress(0.0, f"Marking nodes in {len(slices)} slices")
        image = torch.from_numpy(slices.slab(0, len(slices)))[None, None]
        with torch.inference_mode():
            logits = sliding_window_inference(
                image, self.config.patch, 1, self.network, overlap=0.25, mode="gaussian", sw_device=self.device,
                device="cpu",
            )  # fmt: skip
        parts = self._parts(logits[0, 0].float().sigmoid().numpy(), float(np.prod(slices.geometry.spacing)))
        tracks = plausible(parts, slices)
        progress(1.0, f"{len(tracks)} nodes")
        return nodes.findings_of(tracks, slices, time_point, self._provenance)

    def _parts(self, probability: np.ndarray, voxel_mm3: float) -> list[Track]:
        labels, _ = ndimage.label(probability > self._threshold, np.ones((3, 3, 3)))
        tracks = []
        for number, where in enumerate(ndimage.find_objects(labels), 1):
            part = labels[where] == number
            if part.sum() * voxel_mm3 < self._least_mm3:
                continue
            track, sure = Track(), np.where(part, probability[where], 0).max(axis=(1, 2))
            z0, y0, x0 = (axis.start for axis in where)
            for z in np.flatnonzero(part.any(axis=(1, 2))):
                rows, columns = np.flatnonzero(part[z].any(1)), np.flatnonzero(part[z].any(0))
                box = (columns[0] + x0, rows[0] + y0, columns[-1] + x0 + 1, rows[-1] + y0 + 1)
                track.boxes[int(z) + z0], track.scores[int(z) + z0] = np.array(box, np.float32), float(sure[z])
            tracks.append(track)
        return tracks

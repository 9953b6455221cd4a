"""The MR detector: one MR in, the abnormal nodes of the whole scan out, slice by slice and stacked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from oncotrack.background.jobs import Progress, silent
from oncotrack.detection.lntracker import nodes
from oncotrack.detection.mr.config import CONFIGS, MRConfig
from oncotrack.detection.mr.network import MaskRCNN, padded
from oncotrack.detection.mr.slice_nodes import SliceNode, mask_of, slice_nodes, stacked_nodes, track_of, with_mask
from oncotrack.detection.mr.slices import MRGrid, check_mr
from oncotrack.findings.finding import Finding, Provenance
from oncotrack.findings.tracklet import Tracklet
from oncotrack.images.volume import Volume
from oncotrack.networks import weights as stored
from oncotrack.networks.boxes import iou

THRESHOLD = 0.5
"""Score from which a node is shown, where the weights do not tell another (``threshold``)."""


class MRDetector:
    """Mask R-CNN with global-local attention, with its weights.

    Parameters
    ----------
    device : str
        "auto", "cpu", "cuda" or "mps".
    config : str
        Whose bundled weights to take.
    weights : path, optional
        Other weights.
    threshold : float, optional
        Boxes below this score are dropped; that of the weights when missing.

    Raises
    ------
    InputError
        Unknown config or device.
    WeightsError
        The weights are missing, damaged or of another version.
    """

    name = "mr"

    def __init__(
        self,
        device: str = "auto",
        config: str = "compact",
        weights: str | Path | None = None,
        threshold: float | None = None,
    ) -> None:
        stored.check_config("The MR detector", config, CONFIGS)
        path = weights or stored.bundled(self.name, config)
        trained = stored.load_network(path, self.name, MRConfig, MaskRCNN, device)
        self.network, self.device, self.about = trained.network, trained.device, trained.about
        self._threshold = float(self.about.get("threshold", THRESHOLD)) if threshold is None else threshold
        self._said = ""
        self._provenance = Provenance(method=f"{self.name} {config}", weights_sha256=trained.sha256)

    def detect(self, volume: Volume, progress: Progress = silent, *, time_point: str = "t0") -> list[Finding]:
        """See `Detector.detect`. Axes, volume and mask are those of the stacked masks where the network gives masks."""
        check_mr(volume)
        slices = MRGrid(volume, self.network.config)
        whole = stacked_nodes(self.read(slices, progress), self.network.config.stacking)
        provenance = replace(self._provenance, when=Provenance().when)
        findings = nodes.findings_of([track_of(node) for node in whole], slices, time_point, provenance)
        if self.network.mask_head is not None:
            findings = [
                finding.with_observation(time_point, with_mask(finding.at(time_point), mask_of(node, slices)))
                for finding, node in zip(findings, whole, strict=True)
            ]
        progress(1.0, f"{len(findings)} nodes")
        return findings

    def retrack(
        self,
        volume: Volume,
        tracklet: Tracklet,
        slice_index: int,
        progress: Progress = silent,
        *,
        up: bool = True,
        down: bool = True,
    ) -> Tracklet:
        """See `Detector.retrack`. On the next slice the box that overlaps most is taken, as stacking does."""
        check_mr(volume)
        slices = MRGrid(volume, self.network.config)
        index, box = nodes.box_on_working_slice(tracklet, slice_index, slices)
        found = dict(nodes.on_slices_of(tracklet, track_of({index: SliceNode(box, 1.0)}), slices))
        higher, lower = range(index + 1, len(slices)), range(index - 1, -1, -1)
        if not nodes.goes_with(tracklet, slices):
            higher, lower = lower, higher
        for way in [higher] * up + [lower] * down:
            followed = self._followed(np.asarray(box, np.float32), slices, way, progress)
            if followed:
                found |= nodes.on_slices_of(tracklet, track_of(followed), slices)
        return nodes.joined(tracklet, found, slice_index, up, down)

    def read(self, slices: MRGrid, progress: Progress = silent) -> list[list[SliceNode]]:
        """What is found on each slice, before stacking; best first."""
        found = []
        for n, nodes_here in self._each(slices, range(len(slices))):
            progress(n / len(slices), f"Slice {n + 1} of {len(slices)}{self._said}")
            found.append([node for node in nodes_here if node.score >= self._threshold])
        return found

    def _followed(
        self, box: np.ndarray, slices: MRGrid, way: Iterable[int], progress: Progress
    ) -> dict[int, SliceNode]:
        """From slice to slice the node that overlaps most with the one before, as long as there is one."""
        followed: dict[int, SliceNode] = {}
        for n, found in self._each(slices, way):
            progress(0.5, f"Following, slice {n + 1} of {len(slices)}{self._said}")
            if not found:
                break
            overlap = iou(torch.as_tensor(box)[None], torch.as_tensor(np.stack([node.box for node in found])))[0]
            if overlap.max() <= self.network.config.stacking:
                break
            followed[n] = found[int(overlap.argmax())]
            box = followed[n].box
        return followed

    def _each(self, slices: MRGrid, indices: Iterable[int]) -> Iterator[tuple[int, list[SliceNode]]]:
        """One slice after the other; when the accelerator's memory is full, the rest is read on the CPU."""
        shape = slices.geometry.shape[1:]
        for n in indices:
            image = padded(torch.from_numpy(slices.stack(n))[None])
            try:
                (found,) = self.network.detect(image.to(self.device))
            except torch.cuda.OutOfMemoryError:
                if self.device.type == "cpu":
                    raise
                self.device = torch.device("cpu")
                self._said = " (on the CPU: the accelerator's memory is full)"
                self.network.to(self.device)
                (found,) = self.network.detect(image)
            yield n, slice_nodes(found, shape)

"""The MR detector: finds the abnormal lymph nodes of a whole MR, slice by slice, and stacks them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from oncotrack.background.jobs import Progress, silent
from oncotrack.detection import track_findings
from oncotrack.detection.mr.config import CONFIGS, MRConfig
from oncotrack.detection.mr.network import MaskRCNN, pad_image
from oncotrack.detection.mr.slice_nodes import SliceNode, mask_of, slice_nodes, stack_nodes, track_of
from oncotrack.detection.mr.slices import MRGrid, check_mr
from oncotrack.detection.node_masks import with_mask
from oncotrack.findings.finding import Finding, Provenance
from oncotrack.findings.tracklet import Tracklet
from oncotrack.images.volume import Volume
from oncotrack.networks import weights as weights_files
from oncotrack.networks.boxes import iou

THRESHOLD = 0.5
"""Score above which a node is proposed, if the weights do not define another (``threshold``)."""


class MRDetector:
    """Mask R-CNN with global-local attention, with its weights.

    Parameters
    ----------
    device : str
        "auto", "cpu", "cuda" or "mps".
    config : str
        Named configuration whose bundled weights are loaded.
    weights : path, optional
        Weights file to load instead.
    threshold : float, optional
        Only boxes above this score are kept; that of the weights if missing.

    Raises
    ------
    InputError
        Unknown configuration or device.
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
        weights_files.check_config("The MR detector", config, CONFIGS)
        path = weights or weights_files.bundled(self.name, config)
        trained = weights_files.load_network(path, self.name, MRConfig, MaskRCNN, device)
        self.network, self.device, self.about = trained.network, trained.device, trained.about
        self._threshold = float(self.about.get("threshold", THRESHOLD)) if threshold is None else threshold
        self._device_note = ""
        self._provenance = Provenance(method=f"{self.name} {config}", weights_sha256=trained.sha256)

    def detect(self, volume: Volume, progress: Progress = silent, *, time_point: str = "t0") -> list[Finding]:
        """Return the proposed nodes of an MR, see `Detector.detect`.

        If the network predicts masks, axes, volume and mask of each node are those of its stacked masks.

        Parameters
        ----------
        volume : Volume
            T2-weighted MR.
        progress : callable
            Receives the completed fraction (0 to 1) and a message.
        time_point : str
            Time point of the observations.

        Returns
        -------
        list of Finding
            Highest score first.
        """
        check_mr(volume)
        slices = MRGrid(volume, self.network.config)
        nodes = stack_nodes(self.read(slices, progress), self.network.config.stacking)
        provenance = replace(self._provenance, when=Provenance().when)
        tracks = [track_of(node) for node in nodes]
        findings = track_findings.findings_from_tracks(tracks, slices, time_point, provenance)
        if self.network.mask_head is not None:
            findings = [
                finding.with_observation(time_point, with_mask(finding.observations[time_point], mask_of(node, slices)))
                for finding, node in zip(findings, nodes, strict=True)
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
        """Track a node again from one box, see `Detector.retrack`, by the largest overlap from slice to slice.

        Parameters
        ----------
        volume : Volume
            T2-weighted MR.
        tracklet : Tracklet
            The node's present boxes.
        slice_index : int
            Slice of the starting box.
        progress : callable
            Receives the completed fraction (0 to 1) and a message.
        up, down : bool
            Whether to replace the boxes on higher and on lower slice numbers.

        Returns
        -------
        Tracklet
            On the same slices.
        """
        check_mr(volume)
        slices = MRGrid(volume, self.network.config)
        index, box = track_findings.box_on_working_slice(tracklet, slice_index, slices)
        found = track_findings.boxes_on_slices_of(tracklet, track_of({index: SliceNode(box, 1.0)}), slices)
        for indices in track_findings.retracking_ranges(tracklet, slices, index, up, down):
            followed = self._follow(np.asarray(box, np.float32), slices, indices, progress)
            if followed:
                found |= track_findings.boxes_on_slices_of(tracklet, track_of(followed), slices)
        return track_findings.replace_boxes(tracklet, found, slice_index, up, down)

    def read(self, slices: MRGrid, progress: Progress = silent) -> list[list[SliceNode]]:
        """Detect the nodes of every slice, without stacking.

        Parameters
        ----------
        slices : MRGrid
            The scan.
        progress : callable
            Receives the completed fraction (0 to 1) and a message.

        Returns
        -------
        list of list of SliceNode
            For each slice, best first.
        """
        found = []
        for n, nodes in self._slice_nodes(slices, range(len(slices))):
            progress(n / len(slices), f"Slice {n + 1} of {len(slices)}{self._device_note}")
            found.append([node for node in nodes if node.score > self._threshold])
        return found

    def _follow(
        self, box: np.ndarray, slices: MRGrid, indices: Iterable[int], progress: Progress
    ) -> dict[int, SliceNode]:
        """Follow a box over slices by the largest overlap, until no node overlaps with it."""
        followed: dict[int, SliceNode] = {}
        for n, found in self._slice_nodes(slices, indices):
            progress(0.5, f"Following, slice {n + 1} of {len(slices)}{self._device_note}")
            if not found:
                break
            overlap = iou(torch.as_tensor(box)[None], torch.as_tensor(np.stack([node.box for node in found])))[0]
            if overlap.max() <= self.network.config.stacking:
                break
            followed[n] = found[int(overlap.argmax())]
            box = followed[n].box
        return followed

    def _slice_nodes(self, slices: MRGrid, indices: Iterable[int]) -> Iterator[tuple[int, list[SliceNode]]]:
        """Yield the nodes of each slice; if the accelerator's memory is full, the rest is read on the CPU."""
        shape = (slices.geometry.size[1], slices.geometry.size[0])
        for n in indices:
            image = pad_image(torch.from_numpy(slices.stack(n))[None])
            try:
                (found,) = self.network.detect(image.to(self.device))
            except torch.cuda.OutOfMemoryError:
                if self.device.type == "cpu":
                    raise
                self.device = torch.device("cpu")
                self._device_note = " (on the CPU: the accelerator's memory is full)"
                self.network.to(self.device)
                (found,) = self.network.detect(image)
            yield n, slice_nodes(found, shape)

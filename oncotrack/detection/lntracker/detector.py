"""LN-Tracker as a detector: one CT in, the nodes of the whole scan out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from oncotrack.background.jobs import Progress, silent
from oncotrack.detection.lntracker import nodes
from oncotrack.detection.lntracker.config import CONFIGS, LNTrackerConfig
from oncotrack.detection.lntracker.false_positive_filter import plausible
from oncotrack.detection.lntracker.grid import LNSlices, check_ct
from oncotrack.detection.lntracker.network import LNTracker
from oncotrack.detection.lntracker.tracking import THRESHOLDS, Detected, Follower, Thresholds, Track, stacked
from oncotrack.findings.finding import Finding, Provenance
from oncotrack.findings.tracklet import Tracklet
from oncotrack.images.volume import Volume
from oncotrack.networks import weights as stored
from oncotrack.networks.boxes import centre_size, iou

_log = logging.getLogger(__name__)


class LNTrackerDetector:
    """The tracking transformer with its weights.

    Parameters
    ----------
    device : str
        "auto", "cpu", "cuda" or "mps".
    config : str
        Whose bundled weights to take.
    weights : path, optional
        Other weights.
    thresholds : Thresholds, optional
        Those of the weights' own config when missing.
    stacking : bool
        Detect on every slice alone and stack boxes, the baseline that the paper compares with; always so where the
        network has no track queries.

    Raises
    ------
    InputError
        Unknown config or device.
    WeightsError
        The weights are missing, damaged or of another version.
    """

    name = "lntracker"

    def __init__(
        self,
        device: str = "auto",
        config: str = "compact",
        weights: str | Path | None = None,
        thresholds: Thresholds | None = None,
        stacking: bool = False,
    ) -> None:
        stored.check_config("LN-Tracker", config, CONFIGS)
        path = weights or stored.bundled(self.name, config)
        self._said = ""
        try:
            trained = stored.load_network(path, self.name, LNTrackerConfig, LNTracker, device)
        except torch.cuda.OutOfMemoryError:
            trained = stored.load_network(path, self.name, LNTrackerConfig, LNTracker, "cpu")
            self._said = self._warn_memory_is_full()
        self.network, self.device, self.about = trained.network, trained.device, trained.about
        config = trained.config.named() or config
        self.thresholds = thresholds or THRESHOLDS[config]
        self._stacking = stacking or not trained.config.track_queries
        self._provenance = Provenance(method=f"{self.name} {config}", weights_sha256=trained.sha256)

    def detect(self, volume: Volume, progress: Progress = silent, *, time_point: str = "t0") -> list[Finding]:
        """See `Detector.detect`. The scan is read from its lowest slice up, a few slices in memory at a time."""
        check_ct(volume)
        slices = LNSlices(volume)
        return self._findings(self._tracks(slices, self._stacking, progress), slices, time_point, progress)

    def detect_both(
        self, volume: Volume, progress: Progress = silent, *, time_point: str = "t0"
    ) -> tuple[list[Finding], list[Finding]]:
        """`detect` by tracking and by stacking. Both come of one reading where detections do not depend on tracks."""
        check_ct(volume)
        slices = LNSlices(volume)
        if self._stacking:
            ways = [self._tracks(slices, True, progress)] * 2
        elif self.network.config.joint_attention:
            ways = [self._tracks(slices, stacking, progress) for stacking in (False, True)]
        else:
            follower = Follower(self.network, self.thresholds)
            stacks = self._stacked(follower, slices, progress)
            ways = [follower.finish(), stacks]
        return tuple(self._findings(tracks, slices, time_point, progress) for tracks in ways)

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
        """See `Detector.retrack`. The query that follows is that of the detection nearest to the box."""
        check_ct(volume)
        slices = LNSlices(volume)
        index, box = nodes.box_on_working_slice(tracklet, slice_index, slices)
        seed = self._seed(slices, index, box)
        found = dict(nodes.on_slices_of(tracklet, seed, slices))
        higher, lower = range(index + 1, len(slices)), range(index - 1, -1, -1)
        if not nodes.goes_with(tracklet, slices):
            higher, lower = lower, higher
        ways = [higher] * up + [lower] * down
        for way in ways:
            follower = Follower(self.network, self.thresholds, born=False)
            track = replace(seed, boxes=dict(seed.boxes), scores=dict(seed.scores))
            follower.active = [track]
            follower.to(self.device)
            for n, stack in slices.stacks(way):
                progress(abs(n - index) / max(len(way), 1), f"Following, slice {n + 1} of {len(slices)}{self._said}")
                self._read(follower, n, stack)
                if not follower.active:
                    break
            found |= nodes.on_slices_of(tracklet, track, slices)
        return nodes.joined(tracklet, found, slice_index, up, down)

    def _tracks(self, slices: LNSlices, stacking: bool, progress: Progress) -> list[Track]:
        """The nodes of a scan, stacked or followed."""
        follower = Follower(self.network, self.thresholds, born=not stacking)
        if stacking:
            return self._stacked(follower, slices, progress)
        for _ in self._detected(follower, slices, progress):
            pass
        return follower.finish()

    def _stacked(self, follower: Follower, slices: LNSlices, progress: Progress) -> list[Track]:
        """What the slices show alone, stacked, while `follower` reads them."""
        return stacked((seen.index, follower.alone(seen)) for seen in self._detected(follower, slices, progress))

    def _detected(self, follower: Follower, slices: LNSlices, progress: Progress) -> Iterator[Detected]:
        for n, stack in slices.stacks(range(len(slices))):
            known = f", {len(follower.active)} nodes" if follower.active else ""
            progress(n / len(slices), f"Slice {n + 1} of {len(slices)}{known}{self._said}")
            yield self._read(follower, n, stack)

    def _findings(self, tracks: list[Track], slices: LNSlices, time_point: str, progress: Progress) -> list[Finding]:
        tracks = plausible([track for track in tracks if track.score >= self.thresholds.node], slices)
        progress(1.0, f"{len(tracks)} nodes")
        return nodes.findings_of(tracks, slices, time_point, replace(self._provenance, when=Provenance().when))

    def _read(self, follower: Follower, index: int, stack: np.ndarray) -> Detected:
        """One slice; when the accelerator's memory is full, the rest of the scan is read on the CPU."""
        try:
            return follower.read(index, stack)
        except torch.cuda.OutOfMemoryError:
            if self.device.type == "cpu":
                raise
            self._move_to_cpu()
            follower.to(self.device)
            return follower.read(index, stack)

    def _move_to_cpu(self) -> None:
        self.device, self._said = torch.device("cpu"), self._warn_memory_is_full()
        self.network.to(self.device)

    @staticmethod
    def _warn_memory_is_full() -> str:
        """Log that the accelerator's memory is full; return what progress messages add."""
        _log.warning("The accelerator's memory is full; LN-Tracker continues on the CPU.")
        return " (on the CPU: the accelerator's memory is full)"

    def _seed(self, slices: LNSlices, index: int, box: np.ndarray) -> Track:
        """A track that begins with a reader's box."""
        stack = slices.stack(index)
        every = replace(self.thresholds, detection=-1.0, same_box=1.0, near_box=1.0)
        follower = Follower(self.network, every, born=False)
        detections = follower.alone(self._read(follower, index, stack))
        wanted = torch.as_tensor(box, dtype=torch.float32)
        boxes = torch.stack([torch.as_tensor(d.boxes[index]) for d in detections])
        overlap = iou(wanted[None], boxes)[0]
        apart = (centre_size(boxes)[:, :2] - centre_size(wanted[None])[:, :2]).norm(dim=1)
        nearest = detections[int(overlap.argmax() if overlap.max() > 0 else apart.argmin())]
        height, width = stack.shape[-2:]
        share = centre_size(wanted[None])[0] / torch.tensor([width, height, width, height])
        track = Track()
        track.boxes[index], track.scores[index] = np.asarray(box, np.float32), nearest.scores[index]
        track.embedding, track.box = nearest.embedding, share.to(self.device)
        return track

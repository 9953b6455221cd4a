"""LN-Tracker as a detector: finds the lymph nodes of a whole CT."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from oncotrack.background.jobs import Progress, silent
from oncotrack.detection import track_findings
from oncotrack.detection.ct_slices import LNSlices, check_ct
from oncotrack.detection.false_positive_filter import remove_false_positives
from oncotrack.detection.lntracker.config import CONFIGS, LNTrackerConfig
from oncotrack.detection.lntracker.network import LNTracker
from oncotrack.detection.lntracker.tracking import THRESHOLDS, FollowedTrack, Follower, SliceQueries, Thresholds
from oncotrack.detection.midline import Midline
from oncotrack.detection.tracks import Track, stack_boxes
from oncotrack.findings.finding import Finding, Provenance
from oncotrack.findings.tracklet import Tracklet
from oncotrack.images.volume import Volume
from oncotrack.networks import weights as weights_files
from oncotrack.networks.boxes import centre_size, iou
from oncotrack.networks.devices import has_bfloat16

_log = logging.getLogger(__name__)


class LNTrackerDetector:
    """LN-Tracker with its weights.

    Parameters
    ----------
    device : str
        "auto", "cpu", "cuda" or "mps".
    config : str
        Named configuration whose bundled weights are loaded.
    weights : path, optional
        Weights file to load instead.
    thresholds : Thresholds, optional
        Those of the weights' configuration if missing.
    stacking : bool
        Detect on every slice separately and stack the boxes, the paper's baseline, which ``oncotrack bench detect``
        measures; always so if the network has no track queries.

    Raises
    ------
    InputError
        Unknown configuration or device.
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
        weights_files.check_config("LN-Tracker", config, CONFIGS)
        path = weights or weights_files.bundled(self.name, config)
        self._device_note = ""
        try:
            trained = weights_files.load_network(path, self.name, LNTrackerConfig, LNTracker, device)
        except torch.cuda.OutOfMemoryError:
            trained = weights_files.load_network(path, self.name, LNTrackerConfig, LNTracker, "cpu")
            self._device_note = self._warn_memory_is_full()
        self.network, self.device, self.about = trained.network, trained.device, trained.about
        if has_bfloat16(self.device):
            self.network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (faster in bfloat16)
        config = trained.config.named() or config
        self.thresholds = thresholds or THRESHOLDS[config]
        self._stacking = stacking or not trained.config.track_queries
        self._provenance = Provenance(method=f"{self.name} {config}", weights_sha256=trained.sha256)

    def detect(self, volume: Volume, progress: Progress = silent, *, time_point: str = "t0") -> list[Finding]:
        """Return the proposed nodes of a CT, see `Detector.detect`; slices are read from the lowest up, a few at a time.

        Parameters
        ----------
        volume : Volume
            CT in HU.
        progress : callable
            Receives the completed fraction (0 to 1) and a message.
        time_point : str
            Time point of the observations.

        Returns
        -------
        list of Finding
            Highest score first.
        """
        check_ct(volume)
        return self.propose(LNSlices(volume), progress, time_point)

    def propose(
        self, slices: LNSlices, progress: Progress = silent, time_point: str = "t0", midline: Midline | None = None
    ) -> list[Finding]:
        """Return the proposed nodes of a CT whose slices were made before, see `detect`.

        Parameters
        ----------
        slices : LNSlices
            The CT.
        progress : callable
            Receives the completed fraction (0 to 1) and a message.
        time_point : str
            Time point of the observations.
        midline : Midline, optional
            Of the scan; found when missing.
        """
        return self._findings(self._tracks(slices, self._stacking, progress), slices, time_point, progress, midline)

    def detect_both(
        self, volume: Volume, progress: Progress = silent, *, time_point: str = "t0"
    ) -> tuple[list[Finding], list[Finding]]:
        """Detect by tracking and by stacking; the scan is read once if detections do not depend on tracks.

        Parameters
        ----------
        volume : Volume
            CT in HU.
        progress : callable
            Receives the completed fraction (0 to 1) and a message.
        time_point : str
            Time point of the observations.

        Returns
        -------
        tracked, stacked : list of Finding
            Highest score first.
        """
        check_ct(volume)
        slices = LNSlices(volume)
        if self._stacking:
            tracked = stacked = self._tracks(slices, True, progress)
        elif self.network.config.joint_attention:
            tracked, stacked = (self._tracks(slices, stacking, progress) for stacking in (False, True))
        else:
            follower = Follower(self.network, self.thresholds)
            stacked = self._stack_detections(follower, slices, progress)
            tracked = follower.finish()
        return (
            self._findings(tracked, slices, time_point, progress),
            self._findings(stacked, slices, time_point, progress),
        )

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
        """Track a node again from one box, see `Detector.retrack`, with the query of the detection nearest to the box.

        Parameters
        ----------
        volume : Volume
            CT in HU.
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
        check_ct(volume)
        slices = LNSlices(volume)
        index, box = track_findings.box_on_working_slice(tracklet, slice_index, slices)
        start = self._track_from_box(slices, index, box)
        found = track_findings.boxes_on_slices_of(tracklet, start, slices)
        for indices in track_findings.retracking_ranges(tracklet, slices, index, up, down):
            follower = Follower(self.network, self.thresholds, allow_new=False)
            track = replace(start, boxes=dict(start.boxes), scores=dict(start.scores))
            follower.active = [track]
            follower.to(self.device)
            for n, stack in slices.stacks(indices):
                progress(
                    abs(n - index) / max(len(indices), 1),
                    f"Following, slice {n + 1} of {len(slices)}{self._device_note}",
                )
                self._process(follower, n, stack)
                if not follower.active:
                    break
            found |= track_findings.boxes_on_slices_of(tracklet, track, slices)
        return track_findings.replace_boxes(tracklet, found, slice_index, up, down)

    def _tracks(self, slices: LNSlices, stacking: bool, progress: Progress) -> Sequence[Track]:
        """Return the nodes of a scan, stacked or tracked."""
        follower = Follower(self.network, self.thresholds, allow_new=not stacking)
        if stacking:
            return self._stack_detections(follower, slices, progress)
        for _ in self._detections(follower, slices, progress):
            pass
        return follower.finish()

    def _stack_detections(self, follower: Follower, slices: LNSlices, progress: Progress) -> list[Track]:
        """Stack the detections of the single slices while `follower` processes them."""
        return stack_boxes(
            (detected.index, follower.single_slice_tracks(detected))
            for detected in self._detections(follower, slices, progress)
        )

    def _detections(self, follower: Follower, slices: LNSlices, progress: Progress) -> Iterator[SliceQueries]:
        def announce(n: int) -> None:
            nodes = len(follower.active)
            count = f", {nodes} node{'s' * (nodes != 1)}" if nodes else ""
            progress(n / len(slices), f"Slice {n + 1} of {len(slices)}{count}{self._device_note}")

        stacks = slices.stacks(range(len(slices)))
        if self.device.type != "cpu":
            for n, stack in stacks:
                announce(n)
                yield self._process(follower, n, stack)
            return
        with closing(follower.encoder.ahead(stacks)) as encoded_slices:
            for n, encoded in encoded_slices:
                announce(n)
                yield follower.follow(n, encoded)

    def _findings(
        self,
        tracks: Sequence[Track],
        slices: LNSlices,
        time_point: str,
        progress: Progress,
        midline: Midline | None = None,
    ) -> list[Finding]:
        tracks = remove_false_positives([track for track in tracks if track.score >= self.thresholds.node], slices)
        progress(1.0, f"{len(tracks)} nodes")
        provenance = replace(self._provenance, when=Provenance().when)
        return track_findings.findings_from_tracks(tracks, slices, time_point, provenance, midline)

    def _process(self, follower: Follower, index: int, stack: np.ndarray) -> SliceQueries:
        """Process one slice; if the accelerator's memory is full, continue the scan on the CPU."""
        try:
            return follower.process(index, stack)
        except torch.cuda.OutOfMemoryError:
            if self.device.type == "cpu":
                raise
            self._move_to_cpu()
            follower.to(self.device)
            return follower.process(index, stack)

    def _move_to_cpu(self) -> None:
        self.device, self._device_note = torch.device("cpu"), self._warn_memory_is_full()
        self.network.to(self.device)

    @staticmethod
    def _warn_memory_is_full() -> str:
        """Log that the accelerator's memory is full; return what progress messages add."""
        _log.warning("The accelerator's memory is full; LN-Tracker continues on the CPU.")
        return " (on the CPU: the accelerator's memory is full)"

    def _track_from_box(self, slices: LNSlices, index: int, box: np.ndarray) -> FollowedTrack:
        """Return a track that starts with a given box, (4,) x0, y0, x1, y1 in pixels, and the nearest detection's query."""
        stack = slices.stack(index)
        accept_all = replace(self.thresholds, detection=-1.0, same_box=1.0, near_box=1.0)
        follower = Follower(self.network, accept_all, allow_new=False)
        detections = follower.single_slice_tracks(self._process(follower, index, stack))
        target = torch.as_tensor(box, dtype=torch.float32)
        boxes = torch.stack([torch.as_tensor(d.boxes[index]) for d in detections])
        overlap = iou(target[None], boxes)[0]
        distance = (centre_size(boxes)[:, :2] - centre_size(target[None])[:, :2]).norm(dim=1)
        nearest = detections[int(overlap.argmax() if overlap.max() > 0 else distance.argmin())]
        height, width = stack.shape[-2:]
        relative = centre_size(target[None])[0] / torch.tensor([width, height, width, height])
        return FollowedTrack(
            boxes={index: np.asarray(box, np.float32)},
            scores={index: nearest.scores[index]},
            embedding=nearest.embedding,
            box=relative.to(self.device),
        )

"""What every detector does, and the detectors by name."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding
from oncotrack.findings.tracklet import Tracklet
from oncotrack.images.volume import Volume

DETECTORS = ("lntracker", "mr")
DEFAULT_DETECTOR = "lntracker"
CAUTION = "Trained on synthetic scans, for CT also on nodes put into real ones: check every node, and look for those it missed."
"""What a reader of the bundled detector's findings must know."""


class Detector(Protocol):
    """Finds lymph nodes in a scan."""

    name: str

    def detect(self, volume: Volume, progress: Progress = silent, *, time_point: str = "t0") -> list[Finding]:
        """Proposed findings of a scan, best score first.

        Each is a lymph node with one observation at `time_point`: centre, box, tracklet, score, axes (the edges of the
        largest slice box), side, provenance. Positions in RAS mm of the scan.

        Raises
        ------
        InputError
            The image is not what this detector reads, or shows no body.
        """
        ...

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
        """Follow the box on one slice of a tracklet anew, up and down its slice numbers.

        In a direction that is not asked for the boxes stay as they are.

        Raises
        ------
        InputError
            There is no box on that slice.
        """
        ...


def detector_for(volume: Volume) -> str:
    """Which detector reads a scan: the MR detector where its file says that it is MR, else the default."""
    return "mr" if volume.modality == "MR" else DEFAULT_DETECTOR


def detector(
    name: str = DEFAULT_DETECTOR, device: str = "auto", config: str = "compact", weights: str | Path | None = None
) -> Detector:
    """The detector called `name`, with its bundled weights or those of a file.

    Raises
    ------
    InputError
        No such detector or device.
    WeightsError
        Its weights are missing or damaged.
    """
    if name == "lntracker":
        from oncotrack.detection.lntracker.detector import LNTrackerDetector

        return LNTrackerDetector(device=device, config=config, weights=weights)
    if name == "mr":
        from oncotrack.detection.mr.detector import MRDetector

        return MRDetector(device=device, config=config, weights=weights)
    raise InputError(f'There is no detector "{name}". Choose one of: {", ".join(DETECTORS)}.')

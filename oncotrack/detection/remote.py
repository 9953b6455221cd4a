"""Detectors that run in the work process, see `oncotrack.background.work_process`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oncotrack.background.jobs import Progress, silent
from oncotrack.background.work_process import Remote, call_method, in_work_process
from oncotrack.findings.finding import Finding
from oncotrack.findings.tracklet import Tracklet
from oncotrack.images.volume import Volume


class RemoteDetector(Remote):
    """Stands for a detector that is loaded in the work process.

    Parameters
    ----------
    make : callable
        A function of a module that makes it.
    *args : hashable
        Its arguments.
    """

    def detect(self, *images_and_progress: Any, time_point: str = "t0") -> list[Finding]:
        """Return the proposed findings of a scan.

        Parameters
        ----------
        *images_and_progress : Volume or Progress
            The scan, what belongs to it, and what is called with the progress.
        time_point : str
            As in `NodeDetector.detect`.
        """
        *images, progress = images_and_progress
        return call_method(self, "detect", *images, progress=progress, time_point=time_point)

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
        """Track a node again from its box on one slice.

        Parameters
        ----------
        volume, tracklet, slice_index, progress, up, down
            As in `Detector.retrack`.
        """
        return call_method(self, "retrack", volume, tracklet, slice_index, progress=progress, up=up, down=down)


def remote_detector(make: Callable[..., Any], *args: Any) -> RemoteDetector:
    """Load a detector in the work process, and return what stands for it here.

    Parameters
    ----------
    make : callable
        A function of a module that makes it.
    *args : hashable
        Its arguments.

    Raises
    ------
    WeightsError
        Its weights are missing.
    """
    detector = RemoteDetector(make, *args)
    _load(detector)
    return detector


@in_work_process
def _load(detector: Any) -> None:
    """Make the detector, which the arguments of the call do."""

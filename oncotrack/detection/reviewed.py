"""The detectors of a CT as readers use them: proposals of LN-Tracker, of the fat blob detector or of both, reviewed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oncotrack.background.jobs import Progress, part_of, silent
from oncotrack.detection.anatomy.anatomy import Anatomy
from oncotrack.detection.ct_node_mask import mask_of_tracklet
from oncotrack.detection.ct_slices import LNSlices, check_ct
from oncotrack.detection.fatblobs import FatBlobDetector
from oncotrack.detection.midline import Midline
from oncotrack.detection.node_masks import with_mask
from oncotrack.detection.second_look.model import SecondLook
from oncotrack.detection.second_look.review import joined, review
from oncotrack.findings.finding import Finding
from oncotrack.findings.tracklet import Tracklet
from oncotrack.images.volume import Volume

if TYPE_CHECKING:
    from oncotrack.detection.lntracker.detector import LNTrackerDetector

PROPOSERS = {"lntracker": (True, False), "fatblobs": (False, True), "combined": (True, True)}
"""Names of the detectors, and whether LN-Tracker and the fat blob detector propose."""


class ReviewedDetector:
    """A detector of lymph nodes in CT whose proposals have a region and a calibrated probability.

    Parameters
    ----------
    name : str
        One of `PROPOSERS`.
    device, config, weights
        As for `LNTrackerDetector`, which is loaded when it is first needed, at once if it proposes.
    model : SecondLook, optional
        The bundled one when missing.

    Raises
    ------
    InputError
        Unknown configuration or device.
    WeightsError
        The weights or the second look are missing or damaged.
    """

    def __init__(
        self,
        name: str,
        device: str = "auto",
        config: str = "compact",
        weights: str | Path | None = None,
        model: SecondLook | None = None,
    ) -> None:
        self.name = name
        self._uses_network, self._uses_blobs = PROPOSERS[name]
        self._model = model or SecondLook.bundled(name)
        self._loading = (device, config, weights)
        self._loaded: LNTrackerDetector | None = None
        if self._uses_network:
            _ = self.network

    @property
    def network(self) -> LNTrackerDetector:
        """LN-Tracker, which also follows nodes that a reader boxed."""
        if self._loaded is None:
            from oncotrack.detection.lntracker.detector import LNTrackerDetector

            self._loaded = LNTrackerDetector(*self._loading)
        return self._loaded

    def detect(self, volume: Volume, progress: Progress = silent, *, time_point: str = "t0") -> list[Finding]:
        """Return the proposed nodes of a CT with region, probability and mask, most probable first; see `NodeDetector.detect`.

        Long axis, short axis and volume are measured on the mask.

        Parameters
        ----------
        volume : Volume
            CT in HU.
        progress : callable
            Receives the completed fraction (0 to 1) and a message.
        time_point : str
            Time point of the observations.
        """
        proposals, anatomy = self.propose(volume, progress, time_point)
        found = review(proposals, volume, anatomy, self._model, time_point)
        return [_measured(finding, volume, time_point) for finding in found]

    def propose(
        self, volume: Volume, progress: Progress = silent, time_point: str = "t0"
    ) -> tuple[list[tuple[Finding, float, float]], Anatomy]:
        """Return the proposals before their review, see `joined`, and the anatomy of the scan.

        Parameters
        ----------
        volume : Volume
            CT in HU.
        progress : callable
            Receives the completed fraction (0 to 1) and a message.
        time_point : str
            Time point of the observations.
        """
        check_ct(volume)
        slices = LNSlices(volume)
        progress(0.0, "Finding the anatomy")
        midline = Midline.of(volume)
        anatomy = Anatomy.of(slices, midline)
        share = 0.9 if self._uses_network else 0.0
        network = (
            self.network.propose(slices, part_of(progress, 0.0, share), time_point, midline)
            if self._uses_network
            else []
        )
        blobs = (
            FatBlobDetector().propose(slices, anatomy, part_of(progress, share, 1.0), time_point, midline)
            if self._uses_blobs
            else []
        )
        return joined(network, blobs, time_point), anatomy

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
        """Track a node again from one box with LN-Tracker, see `Detector.retrack`.

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
        return self.network.retrack(volume, tracklet, slice_index, progress, up=up, down=down)


def _measured(finding: Finding, volume: Volume, time_point: str) -> Finding:
    """Return a finding with its mask, and long axis, short axis and volume measured on it."""
    observation = finding.observations[time_point]
    assert observation.tracklet is not None, "every detector gives slice boxes"
    mask = mask_of_tracklet(volume, observation.tracklet)
    return finding.with_observation(time_point, with_mask(observation, mask))

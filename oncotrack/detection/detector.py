"""The interface of all lymph node detectors, and the detectors by name."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding
from oncotrack.findings.tracklet import Tracklet
from oncotrack.images.volume import Volume

DETECTORS = ("lntracker", "fatblobs", "combined", "mr")
DEFAULT_DETECTOR = "lntracker"
"""For CT. It measured better than "fatblobs" and "combined"; see the card of the second look."""
CAUTION = (
    "Trained on synthetic scans and, for CT, on synthetic nodes inserted into real scans: check every node, and look for "
    "missed ones."
)
"""Warning shown with every result of the bundled detectors."""


class NodeDetector(Protocol):
    """Lymph node detector for one scan: what evaluation and timing need."""

    name: str

    def detect(self, volume: Volume, progress: Progress = silent, *, time_point: str = "t0") -> list[Finding]:
        """Return the proposed findings of a scan, highest score first.

        Each is a lymph node with one observation at `time_point`: centre, box, tracklet, score, axes (the edges of the
        largest slice box), body side, provenance. Positions are RAS mm of the scan.

        Parameters
        ----------
        volume : Volume
            The scan, any orientation and spacing.
        progress : callable
            Receives the completed fraction (0 to 1) and a message.
        time_point : str
            Identifier of the time point that the observations belong to.

        Returns
        -------
        list of Finding
            Lymph nodes in the state "proposed".

        Raises
        ------
        InputError
            The image is not of the modality that this detector reads, or shows no body.
        """
        ...


class Detector(NodeDetector, Protocol):
    """Lymph node detector whose tracks a reader can correct."""

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
        """Track a node again from its box on one slice, towards higher and lower slice numbers.

        Boxes in a direction that is not requested stay unchanged.

        Parameters
        ----------
        volume : Volume
            The scan.
        tracklet : Tracklet
            The node's present boxes.
        slice_index : int
            Slice of the tracklet whose box is the starting point.
        progress : callable
            Receives the completed fraction (0 to 1) and a message.
        up, down : bool
            Whether to replace the boxes on higher and on lower slice numbers.

        Returns
        -------
        Tracklet
            On the same slices as `tracklet`.

        Raises
        ------
        InputError
            The tracklet has no box on that slice.
        """
        ...


def detector_for(volume: Volume) -> str:
    """Return the name of the detector for a scan: "mr" if its modality is MR, otherwise the default detector.

    Parameters
    ----------
    volume : Volume
        The scan.

    Returns
    -------
    str
        One of `DETECTORS`.
    """
    return detector_for_modality(volume.modality)


def detector_for_modality(modality: str) -> str:
    """Return the name of the detector for scans of a DICOM modality, see `detector_for`.

    Parameters
    ----------
    modality : str
        "CT", "MR", ...
    """
    return "mr" if modality == "MR" else DEFAULT_DETECTOR


def detector(
    name: str = DEFAULT_DETECTOR, device: str = "auto", config: str = "compact", weights: str | Path | None = None
) -> Detector:
    """Build a detector by its name.

    Parameters
    ----------
    name : str
        One of `DETECTORS`.
    device : str
        "auto", "cpu", "cuda" or "mps".
    config : str
        Named configuration whose bundled weights are loaded.
    weights : path, optional
        Weights file to load instead of the bundled one.

    Returns
    -------
    Detector
        In evaluation mode, on the device.

    Raises
    ------
    InputError
        Unknown detector, configuration or device.
    WeightsError
        The weights are missing or damaged.
    """
    if name in DETECTORS and name != "mr":
        from oncotrack.detection.reviewed import ReviewedDetector

        return ReviewedDetector(name, device, config, weights)
    if name == "mr":
        from oncotrack.detection.mr.detector import MRDetector

        return MRDetector(device=device, config=config, weights=weights)
    if name == "petct":
        raise InputError(
            "The PET/CT detector reads a CT, a PET and the primary tumour. Open all three.", parameter="method"
        )
    raise InputError(f'There is no detector "{name}". Choose one of: {", ".join(DETECTORS)}.', parameter="method")

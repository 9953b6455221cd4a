"""The detection task: the detector runs on the worker thread, and its proposals are added to the list as one step of undo."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from oncotrack.background.jobs import Progress
from oncotrack.background.work_process import is_work_process_used
from oncotrack.detection.detector import DETECTORS, Detector, detector_for
from oncotrack.detection.detector import detector as make_detector
from oncotrack.detection.shown import least_confidence
from oncotrack.errors import InputError, MissingPackageError
from oncotrack.findings.finding import Finding
from oncotrack.findings.tracklet_edits import Rerun, add_proposals, has_decisions
from oncotrack.images.volume import Volume
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.session.single_scan_selection import SingleScanSelection

PETCT = "petct"
"""Name of the detector that reads CT, PET and primary tumour."""


def _detector(make: Callable[..., Any], *args: Any) -> Any:
    """Return a detector; it runs in the work process where one is used."""
    if is_work_process_used():
        from oncotrack.detection.remote import remote_detector

        return remote_detector(make, *args)
    return make(*args)


def petct_detector() -> Any:
    """Return the detector for PET/CT with the bundled weights."""
    from oncotrack.detection.petct.detector import PETCTDetector

    return PETCTDetector()


FACTORIES: Mapping[str, Callable[[], Any]] = {
    **{name: partial(_detector, make_detector, name) for name in DETECTORS},
    PETCT: partial(_detector, petct_detector),
}
"""Factories of the detectors, by name; `detector_for` chooses one by the scan's modality, and the first is the fallback. That
of `PETCT` is used where a PET belongs to the scan."""


class DetectTasks:
    """Factory of the task that detects lymph nodes in a scan.

    Parameters
    ----------
    nodes : FindingNodes
    scan : SingleScanSelection
    detectors : mapping of name to factory
        The one for the scan's modality is used, else the first. A factory may load weights: it is called once, on the
        worker thread.
    go_to : callable
        Shows a finding by its uid, after detection.
    beside : callable
        Returns what the detector for PET/CT reads beside the CT, PET (SUV by body weight) and mask of the primary tumour; ()
        where no PET belongs to the scan. InputError without the tumour.
    show_from : callable
        Receives the least probability that is shown at first, after detection.
    """

    def __init__(
        self,
        nodes: FindingNodes,
        scan: SingleScanSelection,
        detectors: Mapping[str, Callable[[], Any]],
        go_to: Callable[[str], None],
        beside: Callable[[], tuple[Volume, ...]] = tuple,
        show_from: Callable[[float], None] = lambda _least: None,
    ) -> None:
        self._nodes, self._scan, self._go_to, self._beside = nodes, scan, go_to, beside
        self._factories, self._show_from = detectors, show_from
        self._made: dict[str, Any] = {}

    def detector(self, image: Volume) -> Detector:
        """Return the detector for a scan; loading it may take seconds, so call it on the worker's thread.

        Raises
        ------
        OncoTrackError
            PyTorch or the weights are missing.
        """
        name = detector_for(image)
        return self._make(name if name in self._factories else next(iter(self._factories)))

    def _make(self, name: str) -> Any:
        """Return a detector by its name, made on the first call."""
        if name not in self._made:
            try:
                self._made[name] = (self._factories.get(name) or FACTORIES[name])()
            except ImportError as error:
                raise MissingPackageError(
                    "The detector needs PyTorch, which is not installed. Install it and try again; nodes can be added "
                    "and edited by hand meanwhile."
                ) from error
        return self._made[name]

    def detect(self, rerun: Rerun | None) -> Task:
        """Return the task of `DetectionScene.detect`."""
        image, time_point = self._scan.image(), self._scan.time_point
        before, beside = self._nodes.findings.findings, self._beside()
        if rerun is None and has_decisions(self._nodes.findings, time_point):
            raise InputError(
                "Nodes of this scan were accepted, edited or rejected. Choose whether a new run keeps or replaces them."
            )

        def work(progress: Progress) -> list[Finding]:
            progress(0.0, "Loading the detector")
            detector = self._make(PETCT) if beside else self.detector(image)
            return detector.detect(image, *beside, progress, time_point=time_point)

        def apply(proposed: list[Finding]) -> tuple[Finding, ...]:
            if not self._scan.is_still(image) or time_point != self._scan.time_point:
                raise InputError("The scan was changed meanwhile, so the result was discarded. Detect again.")
            findings = self._nodes.findings
            with findings.group("detect lymph nodes"):
                self._scan.name_time_point()
                changed = {each.uid for each in findings if each not in before}
                added = add_proposals(findings, time_point, proposed, rerun or Rerun.KEEP, changed)
            self._show_from(least_confidence(added, time_point))
            if added:
                self._go_to(added[0].uid)
            return added

        return Task("Searching for lymph nodes", work, apply)

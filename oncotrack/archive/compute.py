"""The computation of one patient: what is not yet on disk is read, computed and written, stage by stage."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from threading import Lock

from oncotrack.archive import stages
from oncotrack.archive.cases import BASE_BYTES, Case
from oncotrack.archive.patient_folder import PatientFolder
from oncotrack.archive.plan import EXPORT, Keys, Plan
from oncotrack.archive.rows import rows_of
from oncotrack.archive.scans import read_scan, series_of
from oncotrack.background.jobs import Progress, silent
from oncotrack.detection.detector import Detector, detector
from oncotrack.errors import UNEXPECTED, Cancelled, InputError, OncoTrackError, OutputError
from oncotrack.findings.finding_list import FindingList
from oncotrack.findings.scans import visit_labels
from oncotrack.followup.chain import VisitPairs
from oncotrack.followup.methods import tracker
from oncotrack.followup.tracker import Tracker
from oncotrack.images.volume import Volume

_log = logging.getLogger(__name__)
_FULL = errno.ENOSPC, errno.EDQUOT


@dataclass(frozen=True)
class Outcome:
    """What became of a patient.

    Attributes
    ----------
    patient : str
        The patient.
    seconds : dict of str to float
        How long each stage took that was computed now.
    stage, problem : str
        What failed, and why in a sentence; "" for a patient that was computed.
    stops_all : bool
        Whether the disk is full, so that no other patient can be written either.
    not_compared : int
        Number of pairs of visits that could not be registered.
    """

    patient: str
    seconds: dict[str, float] = field(default_factory=dict)
    stage: str = ""
    problem: str = ""
    stops_all: bool = False
    not_compared: int = 0


class Turns:
    """Who computes in this process: one patient at a time, while at most one other patient is read.

    Parameters
    ----------
    memory : int
        Bytes that this process may use.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._computing, self._waiting = Lock(), Lock()
        self._used = 0

    @contextmanager
    def reading(self, case: Case) -> Iterator[None]:
        """Wait until a patient may be read: no other one waits, and the one being computed leaves enough memory."""
        if BASE_BYTES + case.bytes > self._memory:
            raise InputError(
                f"The scans of this patient need about {_gigabytes(BASE_BYTES + case.bytes)} of memory, and a worker may use "
                f"{_gigabytes(self._memory)}. Use fewer workers, or workers with more memory."
            )
        with self._waiting:
            if BASE_BYTES + self._used + case.bytes > self._memory:
                with self._computing:  # the present patient is done
                    pass
            yield

    @contextmanager
    def computing(self, case: Case) -> Iterator[None]:
        """Wait for the turn to compute."""
        with self._computing:
            self._used = case.bytes
            try:
                yield
            finally:
                self._used = 0


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


def compute(
    case: Case, plan: Plan, keys: Keys, out: Path, turns: Turns | None = None, progress: Progress = silent
) -> Outcome:
    """Compute what is missing of a patient's results; a failure is written to the patient's folder and returned.

    Parameters
    ----------
    case : Case
        The patient.
    plan : Plan
        What is computed.
    keys : Keys
        The keys of the results.
    out : Path
        Folder of the results, which exists.
    turns : Turns, optional
        Of this process; without them nothing else is computed in it.
    progress : Progress
        Called often; it may cancel.

    Raises
    ------
    Cancelled
        `progress` cancelled; what is written stays.
    """
    folder = PatientFolder(out, case)
    work = _Work(case, plan, keys, folder, turns or Turns(2**62), progress)
    try:
        if not out.is_dir():
            raise OutputError(f"{out} does not exist on this computer. Workers need the folder of the results, too.")
        work.run()
        return Outcome(case.patient, work.seconds, not_compared=work.not_compared)
    except Cancelled:
        raise
    except OncoTrackError as error:
        cause = error.__cause__
        problem, is_full = str(error), isinstance(cause, OSError) and cause.errno in _FULL
    except MemoryError:
        problem, is_full = "There was not enough memory. Use fewer workers, or workers with more memory.", False
    except Exception as error:
        _log.exception("A patient failed unexpectedly")
        problem, is_full = f"{UNEXPECTED} ({type(error).__name__})", False
    try:
        folder.fail(work.stage, problem)
    except OncoTrackError as error:
        is_full = is_full or (isinstance(error.__cause__, OSError) and error.__cause__.errno in _FULL)
    return Outcome(case.patient, work.seconds, work.stage, problem, is_full)


class _Work:
    """One patient being computed."""

    def __init__(
        self, case: Case, plan: Plan, keys: Keys, folder: PatientFolder, turns: Turns, progress: Progress
    ) -> None:
        self._case, self._plan, self._keys, self._folder = case, plan, keys, folder
        self._turns, self._progress = turns, progress
        self._volumes: list[Volume] = []
        self._pairs: VisitPairs | None = None
        self.stage, self.not_compared = "read", 0
        self.seconds: dict[str, float] = {}

    def run(self) -> None:
        """Compute and write everything that is missing."""
        with ExitStack() as turn:
            if self._needs_images:
                with self._turns.reading(self._case):
                    self._read()
                    turn.enter_context(self._turns.computing(self._case))
            self._compute()

    @property
    def _needs_images(self) -> bool:
        keys = self._keys
        wanted = [*(("detect", key) for key in keys.detect), ("follow", keys.follow), ("measure", keys.measure)]
        return any(key and not self._folder.stage(name, key).is_file() for name, key in wanted)

    def _read(self) -> None:
        with self._timed("read"):
            for scan, label in zip(self._case.scans, visit_labels(len(self._case.scans)), strict=True):
                self._progress(0.0, "Reading")
                self._volumes.append(replace(read_scan(self._case.root, scan), name=label.capitalize()))
            self._pairs = VisitPairs(self._volumes) if len(self._volumes) > 1 else None

    def _compute(self) -> None:
        plan, keys, folder, progress = self._plan, self._keys, self._folder, self._progress
        detected = []
        for index, key in enumerate(keys.detect):
            detected.append(self._load_or_make("detect", key, lambda index=index: self._detect(index)))
        visits, proposals = stages.together(detected)
        found = FindingList(visits, proposals[0])
        if keys.follow:
            found = self._load_or_make(
                "follow",
                keys.follow,
                lambda: stages.follow(visits, proposals, self._pairs, lambda: the_tracker(plan.method), progress),
            )
        if keys.measure:
            found = self._load_or_make(
                "measure", keys.measure, lambda: stages.measure(found, self._volumes, self._pairs, progress)
            )
        if keys.respond:
            found = self._load_or_make("respond", keys.respond, lambda: stages.respond(found, plan))
        if keys.export:
            self._export(found)
        rows = rows_of(self._case, plan, keys, found, self._earlier_seconds() | self.seconds)
        self.not_compared = len(rows["failures"])
        folder.finish(found, rows, keys, (*plan.jobs, EXPORT))

    def _load_or_make(self, name: str, key: str, make: Callable[[], FindingList]) -> FindingList:
        def timed() -> FindingList:
            with self._timed(name):
                return make()

        return self._folder.load_or_make(name, key, timed)

    def _detect(self, index: int) -> FindingList:
        found = the_detector(self._plan.detector_of(self._case.scans[index]), self._plan.device)
        return stages.detect(self._volumes[index], found, self._plan.most, self._progress)

    def _export(self, found: FindingList) -> None:
        """Write the DICOM objects into a folder named by their key, once."""
        from oncotrack.archive.dicom import export

        folder = self._folder.dicom / self._keys.export
        if not folder.is_dir():
            with self._timed(EXPORT):
                series = [series_of(self._case.root, scan) for scan in self._case.scans]
                export(found, series, self._plan, folder, self._progress)

    def _earlier_seconds(self) -> dict[str, float]:
        """Return how long the stages took that were computed by an earlier run."""
        rows = self._folder.rows()
        earlier = rows["patients"][0] if rows else {}
        return {
            name.removesuffix("_seconds"): value
            for name, value in earlier.items()
            if name.endswith("_seconds") and value
        }

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        self.stage, started = name, time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


@cache
def the_detector(name: str, device: str) -> Detector:
    """Return a detector, whose weights are loaded once in a process.

    Parameters
    ----------
    name, device : str
        As for `detector`.
    """
    return detector(name, device)


@cache
def the_tracker(name: str) -> Tracker:
    """Return a follow-up method, whose weights are loaded once in a process.

    Parameters
    ----------
    name : str
        As for `tracker`.
    """
    return tracker(name)

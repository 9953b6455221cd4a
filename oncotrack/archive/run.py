"""A run over the patients of an archive: what is missing is computed on a cluster, and the tables are written."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oncotrack.archive.cases import Case
from oncotrack.archive.cluster import Cluster, computed, connect, dashboard
from oncotrack.archive.compute import Outcome
from oncotrack.archive.patient_folder import PatientFolder
from oncotrack.archive.plan import KeyMaker, Keys, Plan
from oncotrack.archive.rows import Rows
from oncotrack.archive.summary_page import write_summary
from oncotrack.archive.tables import write_tables
from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import InputError, MissingPackageError, OutputError

_LOCK = ".oncotrack.lock"
_ENDED = (
    "Its worker process ended several times while it computed this patient, most likely for want of memory. Use fewer "
    "workers, or workers with more memory."
)


@dataclass
class Summary:
    """What a run did.

    Attributes
    ----------
    patients, known, computed, failed : int
        Number of patients in all, done before, computed now, and failed now.
    incomplete : int
        Number of those computed now of which some visits could not be compared.
    seconds : float
        Duration of the run.
    stage_seconds : dict of str to float
        Seconds of all workers by stage.
    reasons : Counter of str
        Number of failed patients by reason.
    written : list of Path
        The tables and the page.
    """

    patients: int
    known: int = 0
    computed: int = 0
    failed: int = 0
    incomplete: int = 0
    seconds: float = 0.0
    stage_seconds: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    written: list[Path] = field(default_factory=list)


def run_archive(
    cases: Sequence[Case],
    plan: Plan,
    out: Path,
    cluster: Cluster | None = None,
    *,
    threads: int = 0,
    progress: Progress = silent,
    tell: Callable[[str], None] = lambda _text: None,
) -> Summary:
    """Compute what is missing of an archive's results, and write the tables.

    Parameters
    ----------
    cases : sequence of Case
        The patients.
    plan : Plan
        What is computed.
    out : Path
        Folder of the results; a folder of an earlier run is continued.
    cluster : Cluster, optional
        Where; without it in this process, one patient after the other.
    threads : int
        Threads that compute a patient; 0 for this computer's cores divided by the workers, or one on another cluster.
    progress : Progress
        Called after every patient; may cancel.
    tell : callable
        Called with messages to the user.

    Raises
    ------
    InputError
        There is no patient to read.
    OutputError
        The results cannot be written, or another run writes into the folder.
    OncoTrackError
        The cluster cannot be used, or was lost.
    """
    if not cases:
        raise InputError("The index holds no series to read. Its column reason says why; change the rules.")
    started = time.monotonic()
    try:
        (out / "patients").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error.strerror or error}. Choose another folder.") from error
    maker = KeyMaker(plan)
    with locked(out):
        missing = [(case, keys) for case in cases if not PatientFolder(out, case).is_done(keys := maker.keys(case))]
        summary = Summary(len(cases), known=len(cases) - len(missing))
        try:
            if missing:
                report = _Report(summary, missing, started, progress)
                for case, outcome in _outcomes(missing, plan, out, cluster, threads, tell):
                    report.add(case, outcome)
                    if outcome.stops_all:
                        raise OutputError(
                            f"The disk of {out} is full. What was computed is kept: make room, and run the same command again."
                        )
        finally:
            summary.seconds = time.monotonic() - started
        summary.written = [*write_tables(out, all_rows(cases, out, maker)), write_summary(out)]
    return summary


def all_rows(cases: Sequence[Case], out: Path, maker: KeyMaker) -> Iterator[Rows]:
    """Yield the rows of every patient that is done or has failed, by table.

    Parameters
    ----------
    cases : sequence of Case
        The patients.
    out : Path
        Folder of the results.
    maker : KeyMaker
        Makes the keys; results of other keys are left out.
    """
    for case in cases:
        folder = PatientFolder(out, case)
        rows = folder.rows()
        if rows is not None and rows["patients"][0]["key"] == maker.keys(case).all:
            yield rows
        elif (failure := folder.failure()) is not None:
            yield {"failures": [failure]}


def _outcomes(
    missing: Sequence[tuple[Case, Keys]],
    plan: Plan,
    out: Path,
    cluster: Cluster | None,
    threads: int,
    tell: Callable[[str], None],
) -> Iterator[tuple[Case, Outcome]]:
    """Yield every patient with what became of it, in the order of completion."""
    if cluster is None:
        from oncotrack.archive.compute import compute

        if threads:
            from oncotrack.networks.threads import use_threads

            use_threads(threads)
        for case, keys in missing:
            yield case, compute(case, plan, keys, out)
        return
    from oncotrack.archive.workers import Preparation, Task, patient

    plugin = Preparation(threads or cluster.threads, missing[0][0], plan)
    with connect(cluster, plugin) as client:
        if page := dashboard(client):
            tell(f"Dask's page on the workers: {page}")
        tasks = (Task(case, plan, keys, out.absolute()) for case, keys in missing)
        for task, result in computed(client, patient, tasks, lambda task: f"{task.case.folder} {task.keys.all}"):
            if isinstance(result, BaseException):
                PatientFolder(out, task.case).fail("worker", _ENDED)
                result = Outcome(task.case.patient, stage="worker", problem=_ENDED)
            yield task.case, result


class _Report:
    """Counts what became of the patients, and says how long the others take."""

    def __init__(
        self, summary: Summary, missing: Sequence[tuple[Case, Keys]], started: float, progress: Progress
    ) -> None:
        self._summary, self._started, self._progress = summary, started, progress
        self._count = len(missing)
        self._voxels = sum(case.voxels for case, _keys in missing)
        self._done = 0

    def add(self, case: Case, outcome: Outcome) -> None:
        """Count a patient."""
        summary = self._summary
        summary.computed += not outcome.problem
        summary.failed += bool(outcome.problem)
        summary.incomplete += outcome.not_compared > 0
        summary.stage_seconds.update(outcome.seconds)
        if outcome.problem:
            summary.reasons[outcome.problem] += 1
        self._done += case.voxels
        count, passed = summary.computed + summary.failed, time.monotonic() - self._started
        remaining = passed * (self._voxels - self._done) / max(self._done, 1)
        failed = f", {summary.failed} failed" if summary.failed else ""
        self._progress(
            count / self._count,
            f"{count} of {self._count} patients{failed}, {rate_text(count, passed)}, {duration_text(remaining)} left",
        )


def rate_text(count: int, seconds: float) -> str:
    """Return a rate, "42 patients an hour".

    Parameters
    ----------
    count : int
        Patients.
    seconds : float
        Time that they took.
    """
    return f"{3600 * count / max(seconds, 1e-9):.0f} patients an hour"


def duration_text(seconds: float) -> str:
    """Return a duration, "2 h 5 min", "5 min" or "40 s".

    Parameters
    ----------
    seconds : float
        The duration.
    """
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min" if minutes >= 2 else f"{round(seconds)} s"


@contextmanager
def locked(out: Path) -> Iterator[Any]:
    """Hold the results of an archive for this run.

    Parameters
    ----------
    out : Path
        Folder of the results.

    Raises
    ------
    OutputError
        Another run holds them.
    """
    try:
        import filelock
    except ImportError as error:
        raise MissingPackageError(
            'Running an archive needs the package filelock. Install it with: pip install "oncotrack[archive]"'
        ) from error
    lock = filelock.FileLock(out / _LOCK, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise OutputError(f"Another run is writing into {out}. Wait for its end, or choose another folder.") from error
    except NotImplementedError:  # a disk that cannot lock files
        yield None
        return
    try:
        yield lock
    finally:
        lock.release()

"""How long a run will take, from patients that were computed: those of the folder, or a sample that is computed now."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from oncotrack.archive.cases import BASE_BYTES, Case
from oncotrack.archive.compute import compute
from oncotrack.archive.patient_folder import PatientFolder
from oncotrack.archive.plan import EXPORT, JOBS, KeyMaker, Keys, Plan
from oncotrack.background.jobs import Progress, silent

_STAGES = ("read", *JOBS, EXPORT)
_LEAST = 3  # patients of an earlier run from which the time is taken


@dataclass(frozen=True)
class Estimate:
    """What a run would do.

    Attributes
    ----------
    patients, known : int
        Number of patients in all, and of those that are done.
    scans : int
        Number of scans to read.
    stages : dict of str to int
        Number of results that are missing, by stage.
    seconds_per_patient : float
        Seconds that a patient takes one worker; 0 where nothing is missing.
    seconds : float
        Duration with the workers.
    measured : int
        Number of patients that this was measured on.
    largest_bytes : int
        Memory that a worker needs for the largest patient.
    """

    patients: int
    known: int
    scans: int
    stages: dict[str, int]
    seconds_per_patient: float
    seconds: float
    measured: int
    largest_bytes: int


def estimate(
    cases: Sequence[Case],
    plan: Plan,
    out: Path,
    workers: int,
    sample: int,
    progress: Progress = silent,
    *,
    threads: int = 0,
) -> Estimate:
    """Return what a run would do and how long it would take; nothing is written into the folder of the results.

    The time a voxel is taken from patients of an earlier run of the same jobs, else from a sample that is computed in a
    temporary folder: patients of middle size, one after the other, the first of which is not counted because it loads weights.

    Parameters
    ----------
    cases : sequence of Case
        The patients.
    plan : Plan
        What is computed.
    out : Path
        Folder of the results; need not exist.
    workers : int
        Number of workers.
    sample : int
        Number of patients to measure.
    progress : Progress
        Called before each patient; may cancel.
    threads : int
        Threads that compute a patient in each worker; 0 for all that this process uses.
    """
    maker = KeyMaker(plan)
    keys = {case.patient: maker.keys(case) for case in cases}
    missing = [case for case in cases if not PatientFolder(out, case).is_done(keys[case.patient])]
    names: list[str] = [*plan.jobs, *([EXPORT] if plan.exports else [])]
    stages = dict.fromkeys(names, 0)
    for case in missing:
        for name, key in _wanted(keys[case.patient]):
            stages[name] += not PatientFolder(out, case).stage(name, key).exists()
    measured = [(case, taken) for case in cases if (taken := _seconds(PatientFolder(out, case), plan))]
    if missing and len(measured) < _LEAST:
        if threads:
            from oncotrack.networks.threads import use_threads

            use_threads(threads)
        measured = _measured(missing, plan, keys, sample, progress)
    voxels = sum(case.voxels for case, _seconds in measured)
    total = (
        sum(seconds for _case, seconds in measured) / voxels * sum(case.voxels for case in missing) if voxels else 0.0
    )
    return Estimate(
        patients=len(cases),
        known=len(cases) - len(missing),
        scans=sum(len(case.scans) for case in missing),
        stages=stages,
        seconds_per_patient=total / len(missing) if missing else 0.0,
        seconds=total / min(workers, max(len(missing), 1)),
        measured=len(measured),
        largest_bytes=BASE_BYTES + max(case.bytes for case in cases),
    )


def _wanted(keys: Keys) -> Iterable[tuple[str, str]]:
    yield from (("detect", key) for key in keys.detect)
    yield from ((name, key) for name in (*JOBS[1:], EXPORT) if (key := getattr(keys, name)))


def _seconds(folder: PatientFolder, plan: Plan) -> float:
    """Return how long a patient took in an earlier run; 0 where not all jobs were done."""
    rows = folder.rows()
    if rows is None:
        return 0.0
    taken = {name: rows["patients"][0].get(f"{name}_seconds") for name in _STAGES}
    return sum(filter(None, taken.values())) if all(taken[name] for name in ("read", plan.jobs[0])) else 0.0


def _measured(
    missing: Sequence[Case], plan: Plan, keys: dict[str, Keys], sample: int, progress: Progress
) -> list[tuple[Case, float]]:
    """Return patients of middle size with the seconds that each took when computed now."""
    ordered = sorted(missing, key=lambda case: case.voxels)
    first = max(0, (len(ordered) - sample - 1) // 2)
    chosen = ordered[first : first + sample + 1]
    taken = []
    with tempfile.TemporaryDirectory(prefix="oncotrack-") as name:
        for number, case in enumerate(chosen):
            progress(number / len(chosen), f"Measuring patient {number + 1} of {len(chosen)}")
            started = time.perf_counter()
            if not compute(case, plan, keys[case.patient], Path(name)).problem:
                taken.append((case, time.perf_counter() - started))
    return taken[1:] or taken

"""The index of an archive: its headers read by several processes, its series grouped into patients and visits."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from oncotrack.archive.entries import Entry
from oncotrack.archive.folders import entries_of, walk
from oncotrack.archive.selection import Rules, choose
from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import InputError
from oncotrack.findings.patient import Patient, differing

_AHEAD = 8  # folders that wait for each process; the others are not yet submitted


@dataclass(frozen=True)
class Index:
    """The series of an archive.

    Attributes
    ----------
    root : Path
        The archive.
    entries : tuple of Entry
        All series, those that are not read included.
    read_folders, known_folders : int
        Folders whose files were read, and folders that had not changed since the index before.
    """

    root: Path
    entries: tuple[Entry, ...]
    read_folders: int = 0
    known_folders: int = 0


def index_archive(
    root: Path,
    rules: Rules | None = None,
    before: Sequence[Entry] = (),
    *,
    processes: int = 0,
    progress: Progress = silent,
) -> Index:
    """Read the headers of an archive and choose what is read of each study.

    Parameters
    ----------
    root : Path
        A folder with DICOM files at any depth.
    rules : Rules, optional
        How the series of a study is chosen.
    before : sequence of Entry
        The entries of an earlier index of the same archive; folders that have not changed are not read again.
    processes : int
        Number of processes; 0 for one for each core.
    progress : Progress
        Called after each folder; may raise `Cancelled`.

    Raises
    ------
    InputError
        The root is no folder, or it holds no files.
    """
    if not root.is_dir():
        raise InputError(f"{root} is not a folder. Give the folder that holds the archive.")
    states = dict(walk(root))
    if not states:
        raise InputError(f"{root} holds no files. Give the folder that holds the archive.")
    stale = _stale(before, states)
    entries = [entry for entry in before if not stale & entry.names]
    new = {folder: state for folder, state in states.items() if folder in stale}
    entries += _read(root, new, processes or os.cpu_count() or 1, progress)
    entries = _chosen(_joined(root, entries, states), rules or Rules())
    order = sorted(entries, key=lambda entry: (entry.patient, entry.date, entry.time, entry.study_uid, entry.number))
    return Index(root, tuple(order), len(new), len(states) - len(new))


def _stale(before: Sequence[Entry], states: dict[str, str]) -> set[str]:
    """Return the folders to read: new ones, changed ones, and those over which a series of such a folder is spread."""
    stale = states.keys() - {name for entry in before for name in entry.names}
    for entry in before:
        if "|".join(states.get(name, "") for name in entry.folder.split("|")) != entry.folder_state:
            stale |= entry.names
    while more := {name for entry in before if stale & entry.names for name in entry.names} - stale:
        stale |= more
    return stale


def _read(root: Path, states: dict[str, str], processes: int, progress: Progress) -> list[Entry]:
    """Return the entries of folders, read by several processes."""
    if processes == 1 or len(states) < 2:
        entries = []
        for n, (folder, state) in enumerate(states.items()):
            entries += entries_of(root, [folder], [state])
            progress((n + 1) / len(states), f"{n + 1} of {len(states)} folders")
        return entries
    waiting, entries, done = iter(states.items()), [], 0
    with ProcessPoolExecutor(processes, get_context("forkserver" if os.name == "posix" else "spawn")) as pool:
        running: set[Future[list[Entry]]] = set()
        try:
            while True:
                while len(running) < processes * _AHEAD and (each := next(waiting, None)):
                    running.add(pool.submit(entries_of, root, [each[0]], [each[1]]))
                if not running:
                    return entries
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for job in finished:
                    entries += job.result()
                done += len(finished)
                progress(done / len(states), f"{done} of {len(states)} folders")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _joined(root: Path, entries: list[Entry], states: dict[str, str]) -> list[Entry]:
    """Return the entries, each series that lies in several folders as one."""
    folders: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.series_uid:
            folders[entry.series_uid].add(entry.folder)
    spread = {uid: sorted(set("|".join(found).split("|"))) for uid, found in folders.items() if len(found) > 1}
    joined = [entry for entry in entries if entry.series_uid not in spread]
    for uid, parts in spread.items():
        joined += entries_of(root, parts, [states[part] for part in parts], only=uid)
    return joined


def _chosen(entries: Iterable[Entry], rules: Rules) -> list[Entry]:
    """Return the entries with the series that are read, numbered by visit."""
    patients: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        patients[entry.patient].append(entry)
    return [entry for found in patients.values() for entry in _visits(found, rules)]


def _visits(entries: list[Entry], rules: Rules) -> list[Entry]:
    """Return the series of one patient; the earliest study is visit 0."""
    if not entries[0].patient:
        return entries  # folders without DICOM
    people = {Patient(each.patient_id, each.patient_name, each.birth_date, each.sex) for each in entries}
    if differing(list(people)):
        why = f"The Patient ID {entries[0].patient} is used for people of different names, birth dates or sexes."
        return [
            replace(entry, visit=-1, reason=f"{why} Correct the archive, or index each apart.") for entry in entries
        ]
    studies: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        studies[entry.study_uid].append(entry)
    chosen = [choose(study, rules) for study in studies.values()]
    dated = sorted((e.date, e.time, e.study_uid) for study in chosen for e in study if e.is_read)
    numbers = {uid: number for number, (_date, _time, uid) in enumerate(dated)}
    return [replace(e, visit=numbers[e.study_uid]) if e.is_read else e for study in chosen for e in study]

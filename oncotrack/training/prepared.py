"""Folders of prepared training data: written once, reused by later runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from oncotrack.atomic import write_text
from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import TrainingError

Made = TypeVar("Made")


def prepare(
    folder: Path,
    jobs: Iterable[tuple[str, Callable[[], Made]]],
    about: str,
    write: Callable[[str, Callable[[], Made]], list[Path]],
    progress: Progress = silent,
    unit: str = "scan",
) -> list[Path]:
    """Run the jobs of a folder, unless it is complete.

    Parameters
    ----------
    folder : Path
        Receives ``about.txt``, the description and the file names, when all jobs are done.
    jobs : iterable of (str, callable)
        A key for the file name, and a function that makes the data.
    about : str
        Description of the data; a folder with another description is refused.
    write : callable
        Receives key and function, and returns the files of the job; existing files are not made again.
    progress : callable
        Receives the completed fraction (0 to 1) and a message.
    unit : str
        What a job prepares, for the message.

    Returns
    -------
    list of Path
        The files, in the order of the jobs.

    Raises
    ------
    TrainingError
        The folder holds other data.
    """
    mark = folder / "about.txt"
    if mark.is_file():
        existing, *names = mark.read_text(encoding="utf-8").splitlines()
        if existing != about:
            raise TrainingError(f"{folder} holds other scans ({existing}). Choose another folder, or delete this one.")
        return [folder / name for name in names]
    paths: list[Path] = []
    for number, (key, make) in enumerate(jobs, 1):
        progress(0.0, f"Preparing {unit} {number}")
        paths += write(key, make)
    write_text(mark, "\n".join([about, *(path.name for path in paths)]) + "\n")
    return paths

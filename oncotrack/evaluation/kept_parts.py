"""Results of the parts of a long evaluation, kept in a file so that an interrupted evaluation goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from oncotrack.background.jobs import Progress
from oncotrack.errors import InputError, OutputError, RegistrationError

Scans = TypeVar("Scans")
_NOT_REGISTERED = "not registered"


class KeptParts:
    """A file with a line of JSON for what is evaluated and one for each part that is done.

    Parameters
    ----------
    path : Path, optional
        The file, which is made or continued; without it nothing is kept.
    about : str
        What is evaluated. A file of another evaluation is refused.

    Raises
    ------
    InputError
        The file cannot be read, or is of another evaluation.
    OutputError
        It cannot be written.
    """

    def __init__(self, path: Path | None = None, about: str = "") -> None:
        self._path = path
        self._known: dict[str, Any] = {}
        if path is None:
            return
        if not path.exists():
            self._write(json.dumps({"about": about}))
            return
        try:
            first, *lines = path.read_text(encoding="utf-8").split("\n")
            known = json.loads(first).get("about")
        except (OSError, ValueError, AttributeError) as error:
            raise InputError(f"{path} holds no parts of an evaluation. Name another file.") from error
        if known != about:
            raise InputError(f"{path} holds parts of another evaluation ({known}). Name another file.")
        for line in lines:
            try:
                self._known.update([json.loads(line)])
            except ValueError:  # a line that was being written when the evaluation was ended
                continue
        if lines and lines[-1]:
            self._write("")

    def part(self, name: str, make: Callable[[], Any]) -> Any:
        """Return the result of a part, as it was kept or as it is made now.

        Parameters
        ----------
        name : str
            Of the part.
        make : callable
            Returns its result, made of what JSON can hold.
        """
        if name not in self._known:
            self._known[name] = make()
            if self._path is not None:
                self._write(json.dumps([name, self._known[name]]))
        return self._known[name]

    def _write(self, line: str) -> None:
        assert self._path is not None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise OutputError(f"{self._path} cannot be written: {error.strerror or error}.") from error


def evaluated_parts(
    parts: Iterable[tuple[str, Callable[[], Scans | None]]],
    evaluate: Callable[[Scans], dict[str, Any]],
    count: int,
    kept: KeptParts,
    progress: Progress,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Evaluate the scans of each part that was not kept.

    Parameters
    ----------
    parts : iterable of (str, callable)
        Names, and functions that return the scans, or None where there is nothing to evaluate.
    evaluate : callable
        Returns the result of a part's scans, made of what JSON can hold, or raises RegistrationError.
    count : int
        Number of parts, for the progress; 0 if unknown.
    kept : KeptParts
        Where the results are kept.
    progress : Progress
        Called before each part.

    Returns
    -------
    list of dict
        The results of the parts that could be evaluated.
    list of str
        Names of the parts whose scans could not be registered.
    """

    def result(make: Callable[[], Scans | None]) -> Any:
        scans = make()
        try:
            return None if scans is None else evaluate(scans)
        except RegistrationError:
            return _NOT_REGISTERED

    done, unregistered = [], []
    for n, (name, make) in enumerate(parts):
        progress(n / max(count, n + 1), name)
        found = kept.part(name, lambda make=make: result(make))
        if found == _NOT_REGISTERED:
            unregistered.append(name)
        elif found:
            done.append(found)
    return done, unregistered

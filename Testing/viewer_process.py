"""Processes of the viewer for the browser tests; they are forked from one that has imported the libraries already."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path
from typing import Any

LIBRARIES = [
    "oncotrack.web.compose",
    "oncotrack.registration.register",
    "itk.elxParameterObjectPython",
    "itk.itkElastixRegistrationMethodPython",
    "itk.itkPyBufferPython",
    "torch",
]
"""What a viewer imports before its first match, some five seconds of a core."""
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(LIBRARIES)


class ViewerProcess:
    """`oncotrack.web.serve` in its own process.

    Parameters
    ----------
    scans : list of str
    log : Path
        Gets its output.
    prelude : str
        Python that is run first.
    environment : mapping
        Variables to set.
    **options
        Of `serve`.
    """

    def __init__(self, scans: list[str], log: Path, prelude: str, environment: dict[str, str], **options: Any) -> None:
        log.write_text("")
        self._process = _FORKS.Process(target=_serve, args=(scans, str(log), prelude, environment, options))
        self._process.start()

    @property
    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    def send_signal(self, signal: int) -> None:
        """Send it a signal."""
        os.kill(self._process.pid, signal)

    def wait(self, seconds: float) -> int:
        """Wait for its end and return its exit code."""
        self._process.join(seconds)
        if self.exit_code is None:
            raise TimeoutError(f"the viewer still runs after {seconds} s")
        return self.exit_code


def _serve(scans: list[str], log: str, prelude: str, environment: dict[str, str], options: dict[str, Any]) -> None:
    """Run the viewer in this process, with its output in a file."""
    os.environ.update(environment)
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.stdout.reconfigure(line_buffering=True)
    os.environ["PYTHONUNBUFFERED"] = "1"
    exec(prelude, {})  # a test's own text
    from oncotrack.web import serve

    serve(*scans, **options)

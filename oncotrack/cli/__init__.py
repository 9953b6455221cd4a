"""The command ``oncotrack``: one file for each command, imported when the command is called."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line.

    The exit code is 0 on success, 2 after an error with a message, and 130 when the user pressed Ctrl+C.
    """
    from oncotrack.cli.commands import READING, option_hint, overview
    from oncotrack.errors import MissingPackageError, OncoTrackError

    if sys.argv[1:] == ["--help"]:  # answered before typer is imported, which takes longer than all the rest
        sys.stdout.write(overview("oncotrack"))
        return
    try:
        try:
            import typer  # noqa: F401
        except ModuleNotFoundError as error:
            raise MissingPackageError('The commands need the package typer: pip install "oncotrack[cli]"') from error
        from oncotrack.background.isolation import use_helper

        command = next(iter(sys.argv[1:]), "")
        if command not in ("bench", "train"):
            # the process that reads scans imports what it needs while this one does
            use_helper(now=command in READING)
        from oncotrack.cli.app import app

        app(prog_name="oncotrack")
    except OncoTrackError as error:
        sys.stderr.write(f"oncotrack: {error}{option_hint(error)}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        _report_interrupt()
    except SystemExit as end:
        if end.code == _INTERRUPTED:  # typer turns Ctrl+C into this exit code
            _report_interrupt()
        raise


_INTERRUPTED = 130


def _report_interrupt() -> None:
    """Report Ctrl+C and exit."""
    sys.stderr.write("oncotrack: stopped by Ctrl+C. No file was left incomplete.\n")
    sys.exit(_INTERRUPTED)

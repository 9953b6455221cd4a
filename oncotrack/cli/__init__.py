"""The command ``oncotrack``: one file a command, imported when it is called."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line: exit 0 when done, 2 with one sentence when something is wrong, 130 when interrupted."""
    from oncotrack.cli.app import app
    from oncotrack.errors import OncoTrackError

    try:
        app()
    except OncoTrackError as error:
        sys.stderr.write(f"oncotrack: {error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("oncotrack: stopped; nothing was changed.\n")
        sys.exit(130)

"""The findings on disk after every change, so that a crash loses nothing."""

from __future__ import annotations

import logging
from datetime import datetime
from pathlib import Path

from oncotrack.errors import OncoTrackError, OutputError
from oncotrack.findings import FindingList

NAME = "findings.autosave.json"
_log = logging.getLogger(__name__)


class Autosave:
    """One file beside the output, written atomically while there are unsaved findings and removed once they are saved.

    Parameters
    ----------
    folder : Path
        Where the output goes.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._written = ""
        self.is_offered = self.path.is_file()

    def keep(self, findings: FindingList) -> None:
        """Bring the file up to date; while an earlier session's is offered, it is set aside first.

        Raises
        ------
        OutputError
            The folder cannot be written to.
        """
        if findings.is_saved:
            if self._written:
                self.path.unlink(missing_ok=True)
                self._written = ""
            return
        text = findings.to_json()
        if text == self._written:
            return
        if self.is_offered:
            self.set_aside()
        findings.save(self.path)
        self._written = text

    def take(self) -> str:
        """The text that an earlier session left; it is not offered again.

        Raises
        ------
        InputError
            The file is damaged.
        """
        FindingList.open(self.path)
        self.is_offered = False
        return self.path.read_text(encoding="utf-8")

    def summary(self) -> str:
        """What is offered, in words; "" when there is nothing, or nothing that can be read."""
        if not self.is_offered:
            return ""
        try:
            count = len(FindingList.open(self.path))
        except OncoTrackError:
            _log.warning("The autosave %s cannot be read and is set aside.", self.path)
            self.set_aside()
            return ""
        when = datetime.fromtimestamp(self.path.stat().st_mtime).strftime("%d %B, %H:%M")
        return f"{count} finding{'s' * (count != 1)} of {when} were not saved."

    def set_aside(self) -> None:
        """Keep an earlier session's file under another name and offer it no more."""
        self.is_offered = False
        if not self.path.is_file():
            return
        stamp = datetime.fromtimestamp(self.path.stat().st_mtime).strftime("%Y%m%d-%H%M%S")
        try:
            self.path.replace(self.path.with_name(f"findings.{stamp}.autosave.json"))
        except OSError as error:
            raise OutputError(f"{self.path} could not be set aside: {error.strerror}.") from error

"""Autosave: the findings are written to disk after every change, so that a crash loses nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from oncotrack.errors import OncoTrackError, OutputError
from oncotrack.findings.finding import TimePoint
from oncotrack.findings.finding_list import FindingList

NAME = "findings.autosave.json"
_log = logging.getLogger(__name__)


class Autosave:
    """One file in the results folder, written atomically while there are unsaved findings and removed once they are saved.

    Findings in the autosave of an earlier session can be restored if they belong to the open scans.

    Parameters
    ----------
    folder : Path
        Where results are written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._written = ""
        self._left = self._read()

    @property
    def is_offered(self) -> bool:
        """Whether there is an autosave of an earlier session that was neither restored nor discarded."""
        return self._left is not None

    def keep(self, findings: FindingList) -> None:
        """Update the file; an autosave of an earlier session is first renamed as a backup.

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
            self.discard()
        findings.save(self.path)
        self._written = text

    def restore(self) -> str:
        """Return the autosaved findings of an earlier session as JSON, and stop offering them."""
        text, self._left = self._left.to_json() if self._left else "", None
        return text

    def offer(self, unmatched_time_points: Callable[[FindingList], tuple[TimePoint, ...]]) -> dict[str, str | bool]:
        """Describe the autosaved findings of an earlier session.

        Parameters
        ----------
        unmatched_time_points : callable
            Returns the time points of a list whose scans are not open.

        Returns
        -------
        dict
            `text` for the reader, and `fits`, whether they can be restored; empty when there are none.
        """
        if self._left is None:
            return {}
        count = len(self._left)
        when = datetime.fromtimestamp(self.path.stat().st_mtime).strftime("%d %B, %H:%M")
        text = f"{count} finding{'s' * (count != 1)} of {when} {'were' if count != 1 else 'was'} not saved"
        others = unmatched_time_points(self._left)
        if not others:
            return {"text": f"{text}.", "fits": True}
        names = " and ".join(time_point.image or time_point.label for time_point in others)
        return {"text": f"{text}, but on other scans ({names}). Open those scans to restore them.", "fits": False}

    def discard(self) -> None:
        """Stop offering the autosave of an earlier session; its file is kept as a backup under another name.

        Raises
        ------
        OutputError
            The file cannot be renamed.
        """
        self._left = None
        if not self.path.is_file():
            return
        stamp = datetime.fromtimestamp(self.path.stat().st_mtime).strftime("%Y%m%d-%H%M%S")
        try:
            self.path.replace(self.path.with_name(f"findings.{stamp}.autosave.json"))
        except OSError as error:
            raise OutputError(f"{self.path} could not be renamed to keep a backup: {error.strerror}.") from error

    def _read(self) -> FindingList | None:
        if not self.path.is_file():
            return None
        try:
            return FindingList.open(self.path)
        except OncoTrackError:
            _log.warning("The autosave %s cannot be read; it is kept as a backup.", self.path)
            self.discard()
            return None

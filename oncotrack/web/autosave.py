"""The findings on disk after every change, so that a crash loses nothing."""

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
    """One file beside the output, written atomically while there are unsaved findings and removed once they are saved.

    What an earlier session left is offered, to be taken up when it belongs to the open scans.

    Parameters
    ----------
    folder : Path
        Where the output goes.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._written = ""
        self._left = self._read()

    @property
    def is_offered(self) -> bool:
        """Whether an earlier session left something."""
        return self._left is not None

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
        """The text that an earlier session left; it is not offered again."""
        text, self._left = self._left.to_json() if self._left else "", None
        return text

    def offer(self, unmatched_time_points: Callable[[FindingList], tuple[TimePoint, ...]]) -> dict[str, str | bool]:
        """What an earlier session left, in words, and whether it fits; empty when there is nothing.

        `unmatched_time_points` tells which time points of a list are not those of the open scans.
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
        return {"text": f"{text}, but on other scans ({names}). Open those to take them up.", "fits": False}

    def set_aside(self) -> None:
        """Keep an earlier session's file under another name and offer it no more."""
        self._left = None
        if not self.path.is_file():
            return
        stamp = datetime.fromtimestamp(self.path.stat().st_mtime).strftime("%Y%m%d-%H%M%S")
        try:
            self.path.replace(self.path.with_name(f"findings.{stamp}.autosave.json"))
        except OSError as error:
            raise OutputError(f"{self.path} could not be set aside: {error.strerror}.") from error

    def _read(self) -> FindingList | None:
        if not self.path.is_file():
            return None
        try:
            return FindingList.open(self.path)
        except OncoTrackError:
            _log.warning("The autosave %s cannot be read and is set aside.", self.path)
            self.set_aside()
            return None

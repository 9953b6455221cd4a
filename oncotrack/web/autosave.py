"""Autosave: the findings are written to disk after every change, so that a crash loses nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from oncotrack.atomic import set_aside
from oncotrack.errors import InputError
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

    Attributes
    ----------
    problem : str
        A sentence for the reader about an autosave that cannot be read and was renamed; "" when there was none.

    Raises
    ------
    OutputError
        There is an autosave that can be neither read nor renamed.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.problem = ""
        self._written, self._of = "", None
        self._left = self._read()

    @property
    def is_offered(self) -> bool:
        """Whether there is an autosave of an earlier session that was neither restored nor discarded."""
        return self._left is not None

    def keep(self, findings: FindingList) -> None:
        """Update the file; an autosave of an earlier session, or of a list that was replaced, is first renamed as a backup.

        Raises
        ------
        OutputError
            The folder cannot be written to.
        """
        if self._written and self._of is not findings:
            self._written = ""
            self._set_aside()
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
        self._written, self._of = text, findings

    def restore(self) -> str:
        """Return the autosaved findings of an earlier session as JSON, and stop offering them."""
        text, self._left = "" if self._left is None else self._left.to_json(), None
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
        was = "was" if len(self._left) + len(self._left.measurements) == 1 else "were"
        text = f"{count_text(self._left)} of {changed_on(self.path)} {was} not saved"
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
        self._set_aside()

    def _set_aside(self) -> Path | None:
        return set_aside(self.path) if self.path.is_file() else None

    def _read(self) -> FindingList | None:
        if not self.path.is_file():
            return None
        try:
            return FindingList.open(self.path)
        except InputError as error:
            kept = self._set_aside()
            _log.warning("An autosave could not be read and was renamed")
            self.problem = f"Findings of an earlier session could not be read: {error} They were kept as {kept}."
            return None


def count_text(findings: FindingList) -> str:
    """Return how much a list holds: "1 finding", "3 findings and 2 measurements"."""
    counts = ((len(findings), "finding"), (len(findings.measurements), "measurement"))
    return " and ".join(f"{n} {word}{'s' * (n != 1)}" for n, word in counts if n or word == "finding")


def changed_on(path: Path) -> str:
    """Return when a file was last changed: "29 November, 14:02"."""
    return datetime.fromtimestamp(path.stat().st_mtime).strftime("%d %B, %H:%M")

"""Sending of the DICOM objects of a run to an archive (PACS), each patient's once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from oncotrack.archive.cases import Case
from oncotrack.archive.patient_folder import PatientFolder
from oncotrack.archive.plan import KeyMaker, Plan
from oncotrack.atomic import write_text
from oncotrack.background.jobs import Progress, silent
from oncotrack.pacs.outbox import Outbox, Sent

if TYPE_CHECKING:
    from oncotrack.pacs.archive import Archive


def send_results(
    cases: Sequence[Case],
    plan: Plan,
    out: Path,
    archive: Archive,
    progress: Progress = silent,
    outbox: Outbox | None = None,
) -> Sent:
    """Put the DICOM objects of every patient into the outbox of an archive, once, and send what waits in it.

    Parameters
    ----------
    cases : sequence of Case
        The patients.
    plan : Plan
        What was computed.
    out : Path
        Folder of the results.
    archive : Archive
        Where to send.
    progress : Progress
        Called before each object.
    outbox : Outbox, optional
        That of the archive when missing.

    Raises
    ------
    OutputError
        The outbox cannot be written, or another program is sending from it.
    """
    maker, waiting = KeyMaker(plan), outbox or Outbox(archive.name)
    for case in cases:
        folder = PatientFolder(out, case)
        key = maker.keys(case).export
        objects = sorted((folder.dicom / key).glob("*.dcm"))
        marker = folder.stage("sent", f"{archive.name}-{key}")
        if objects and not marker.is_file():
            waiting.add(objects)
            write_text(marker, "{}\n")
    return waiting.send(archive, progress)

"""Retrieving of series into a folder: completely, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

from oncotrack.atomic import folder_beside
from oncotrack.background.jobs import Progress, silent
from oncotrack.errors import OutputError
from oncotrack.findings.names import file_stems
from oncotrack.pacs.archive import Archive, ArchiveError, SeriesEntry


def retrieve_series(archive: Archive, series: SeriesEntry, folder: str | Path, progress: Progress = silent) -> Path:
    """Retrieve a series into a folder of its own.

    Instances that arrive twice are kept once. When the archive breaks off, instances are missing, the disk is full or
    the reader cancels, nothing is left behind; a series that was retrieved before is replaced by the new copy.

    Parameters
    ----------
    archive : Archive
        The archive.
    series : SeriesEntry
        The series.
    folder : path
        Folder of the retrieved series.
    progress : Progress
        Called after each instance.

    Returns
    -------
    Path
        The folder of the series, named by the end of its UID.

    Raises
    ------
    ArchiveError
        The archive does not answer, or sends fewer instances than it lists.
    OutputError
        The folder cannot be written.
    """
    target = Path(folder).absolute() / file_stems([f"{series.modality}-{series.uid[-24:]}"])[0]
    progress(0.0, "Asking the archive for the images")
    expected = set(archive.find_instances(series.study_uid, series.uid))
    temporary = folder_beside(target)
    found: set[str] = set()
    try:
        for dataset in archive.retrieve(series.study_uid, series.uid):
            uid = str(dataset.SOPInstanceUID)
            if uid in found:
                continue
            dataset.save_as(temporary / f"{len(found):05d}.dcm", enforce_file_format=True)
            found.add(uid)
            progress(len(found) / max(len(expected), len(found)), f"Image {len(found)} of {len(expected)}")
        missing = expected - found
        if missing or not found:
            raise ArchiveError(
                f"The archive {archive.name} sent {len(found)} of {len(expected)} images of the series"
                f"{f' {series.description}' if series.description else ''}; nothing was kept. Retrieve it again."
            )
        _replace(temporary, target)
    except OSError as error:
        raise OutputError(
            f"{target} could not be written: {error.strerror or error}. Nothing was kept; free disk space, or choose "
            "another folder."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _replace(temporary: Path, target: Path) -> None:
    """Put a folder in the place of another one."""
    if target.exists():
        old = temporary.with_name(f"{temporary.name}-old")
        target.rename(old)
        temporary.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        temporary.rename(target)

"""The archive of a name in the settings."""

from __future__ import annotations

from oncotrack.pacs.archive import Archive
from oncotrack.pacs.archives import ArchiveSettings


def connect(name: str, settings: ArchiveSettings) -> Archive:
    """Return an archive; nothing is sent yet.

    Parameters
    ----------
    name : str
        Its name in the settings.
    settings : ArchiveSettings
        Its settings.

    Raises
    ------
    MissingPackageError
        The package of its protocol is not installed.
    """
    if settings.kind == "dicomweb":
        from oncotrack.pacs.dicomweb import DicomWebArchive

        return DicomWebArchive(name, settings)
    from oncotrack.pacs.dimse import DimseArchive

    return DimseArchive(name, settings)

"""Files of DICOM objects: which ones a folder holds, and the sentences on those that are damaged."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from oncotrack.background.isolation import isolated
from oncotrack.dicom_objects.report_reader import Reading, segments_of, when_of
from oncotrack.errors import InputError

KINDS = {"SEG": "segmentation", "SR": "report", "RTSTRUCT": "structure set", "PR": "presentation state"}
"""What is read, by DICOM modality; segmentations first, because reports refer to them."""
_log = logging.getLogger(__name__)


@contextmanager
def damage_noted(name: str, reading: Reading) -> Iterator[None]:
    """Enter an object that cannot be read into the problems.

    Parameters
    ----------
    name : str
        Name of its file.
    reading : Reading
        Has the problems.
    """
    try:
        yield
    except InputError as error:
        reading.problems.append(str(error))
    except Exception as error:  # pydicom raises whatever it likes on damaged bytes
        _log.debug("A DICOM object could not be read", exc_info=error)
        reading.problems.append(f"{name} is damaged: it could not be read to its end. Export it again.")


def find_objects(paths: Iterable[str | Path], reading: Reading) -> list[tuple[Path, Dataset]]:
    """Return the files that hold objects, each with its data set; copies of one object are read once.

    Parameters
    ----------
    paths : iterable of path
        Files, or folders of files.
    reading : Reading
        What cannot be read is added to its problems.

    Raises
    ------
    InputError
        There is no object to read.
    """
    found: dict[str, tuple[Path, Dataset]] = {}
    others: list[str] = []
    for path in map(Path, paths):
        if not path.is_file() and not path.is_dir():  # a pipe would be waited for
            what = "is a pipe or a device" if path.exists() else "does not exist"
            raise InputError(f"{path} {what}. Choose a DICOM file or a folder.")
        files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        for file in files:
            try:
                header = dcmread(file, stop_before_pixels=True)
            except Exception:  # no DICOM, or bytes on which pydicom raises whatever it likes
                if not path.is_dir():
                    raise InputError(f"{file} is no DICOM file. Choose a DICOM report or segmentation.") from None
                continue
            with damage_noted(file.name, reading):
                if str(header.get("Modality")) in KINDS:
                    _ = predecessors(header), segments_of(header), when_of(header)  # they can be read
                    found.setdefault(str(header.SOPInstanceUID), (file, header))
                elif not path.is_dir():
                    others.append(f"{file.name} ({header.SOPClassUID.name if 'SOPClassUID' in header else 'unknown'})")
    if others:
        reading.problems.append(
            f"Not read: {', '.join(others)}. Reports, segmentations, structure sets and presentation states can be read."
        )
    if not found:
        kinds = "report, segmentation, structure set, presentation state"
        raise InputError(
            " ".join(
                [
                    f"There is no {kinds.replace(', presentation', ' or presentation')} in these files.",
                    *reading.problems,
                ]
            )
        )
    return list(found.values())


def predecessors(header: Dataset) -> list[str]:
    """Return the UIDs of the reports that a report replaces.

    Parameters
    ----------
    header : Dataset
        The report.
    """
    return [
        str(reference.ReferencedSOPInstanceUID)
        for study in header.get("PredecessorDocumentsSequence") or []
        for series in study.get("ReferencedSeriesSequence") or []
        for reference in series.get("ReferencedSOPSequence") or []
    ]


@isolated
def modality_of(path: Path) -> str:
    """Return the modality that a DICOM file states, "" for none.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    InputError
        It is no DICOM file.
    """
    try:
        if not path.is_file():
            raise FileNotFoundError
        return str(dcmread(path, stop_before_pixels=True).get("Modality") or "")
    except Exception as error:  # as above
        raise InputError(f"{path} is no DICOM file, or damaged. Choose another file, or export it again.") from error

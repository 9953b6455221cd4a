"""The series of one folder of an archive, from the headers of its files alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

from oncotrack.archive.entries import Entry
from oncotrack.images.dicom.groups import normal_of
from oncotrack.images.dicom.headers import read_header
from oncotrack.images.dicom.listing import list_series
from oncotrack.images.dicom.study import Series

_AXIAL = 0.9  # cosine of the angle between the normal of the slices and the body's axis


def walk(root: Path) -> Iterator[tuple[str, str]]:
    """Yield each folder with files, relative to the root, and the state of its files; hidden ones are left out.

    Parameters
    ----------
    root : Path
        The archive.
    """
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if not name.startswith("."))
        if any(not name.startswith(".") for name in files):
            relative = Path(folder).relative_to(root).as_posix()
            yield relative, state_of(files_of(Path(folder)))


def entries_of(root: Path, folders: Sequence[str], states: Sequence[str], only: str = "") -> list[Entry]:
    """Return the series whose files lie in some folders, subfolders excluded.

    Parameters
    ----------
    root : Path
        The archive.
    folders, states : sequence of str
        One folder, or all those over which a series is spread, as `walk` gives them.
    only : str
        Series Instance UID; when given, other series are left out.
    """
    memo: dict[bytes, bytes] = {}
    paths = [path for folder in folders for path in files_of(root / folder)]
    found = [file for path in paths if (file := read_header(path, memo)) is not None]
    name, state = "|".join(folders), "|".join(states)
    listed = list_series(found, {}, root / folders[0]) if found else []
    listed = [series for series in listed if not only or series.uid == only]
    if not listed and not only:
        return [Entry(name, state, reason="The folder holds no DICOM files.")]
    return [_entry(series, name, state) for series in listed]


def files_of(folder: Path) -> list[Path]:
    """Return the files of a folder, without hidden ones and DICOMDIRs, by name; subfolders are left out.

    Parameters
    ----------
    folder : Path
        The folder.
    """
    with os.scandir(folder) as found:
        return [Path(each.path) for each in sorted(found, key=lambda each: each.name) if _is_image(each)]


def state_of(paths: Sequence[Path]) -> str:
    """Return the digest of the names, sizes and times of files.

    Parameters
    ----------
    paths : sequence of Path
        The files.
    """
    digest = blake2b(digest_size=16)
    for path in paths:
        known = path.stat()
        digest.update(f"{path.name}\0{known.st_size}\0{known.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _entry(series: Series, folder: str, state: str) -> Entry:
    size, step = series.size or (0, 0, 0), series.spacing[2] if series.spacing else 0.0
    frames = series.frames
    axial = bool(frames and frames[0].orientation and abs(normal_of(frames[0])[2]) > _AXIAL)
    return Entry(
        folder=folder,
        folder_state=state,
        content=state_of(series.files),
        patient=series.patient_id or f"folder {folder.split('/')[0]}",
        patient_id=series.patient_id,
        patient_name=series.patient_name,
        birth_date=series.birth_date,
        sex=series.sex,
        study_uid=series.study_uid,
        series_uid=series.uid,
        key=series.key,
        modality=series.modality,
        kind=series.kind,
        description=series.description,
        kernel=series.kernel,
        contrast=series.contrast,
        image_type=series.image_type,
        date=series.date,
        time=series.time,
        number=-1 if series.number is None else series.number,
        slices=series.slices,
        columns=size[0],
        rows=size[1],
        thickness_mm=series.thickness or 0.0,
        step_mm=step,
        is_axial=axial,
        is_volume=series.is_volume,
        problem=series.problem or series.needs_resampling,
    )


def _is_image(entry: os.DirEntry) -> bool:
    return not entry.name.startswith(".") and entry.name.upper() != "DICOMDIR" and entry.is_file()

"""The rows of an index: one for each series of an archive, and one for each folder without any."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oncotrack.background.isolation import isolated
from oncotrack.errors import InputError, MissingPackageError

if TYPE_CHECKING:
    import pyarrow

VERSION = "1"
"""Version of the columns; stands in the file's metadata."""


@dataclass(frozen=True)
class Entry:
    """One series of an archive.

    Attributes
    ----------
    folder : str
        Where its files lie, relative to the root of the archive, with forward slashes; several joined by "|".
    folder_state : str
        Digest of the names, sizes and times of the files in the folder, by which a later run sees what has changed.
    content : str
        The same digest for the files of this series alone.
    patient : str
        By what the archive tells patients apart: the Patient ID, or the first folder where the files have none.
    patient_id, patient_name, birth_date, sex : str
        Of the files.
    study_uid, series_uid, key : str
        Study and Series Instance UID, and the UID with a number where it holds several volumes.
    modality, kind, description, kernel, contrast, image_type : str
        Of the files; `kind` in words.
    date, time : str
        YYYYMMDD and HHMMSS.
    number : int
        Series number; -1 where there is none.
    slices : int
        Number of images.
    columns, rows : int
        Pixels of a slice; 0 where it is no volume.
    thickness_mm, step_mm : float
        Slice thickness and distance between slices; 0.0 where they are unknown.
    is_axial, is_volume : bool
        Whether the slices are axial, and whether it can be read as a volume.
    problem : str
        Why it cannot be read as a volume, a sentence.
    visit : int
        Number of the patient's visit, from 0; -1 for a series that is not read.
    reason : str
        Why it is read, or why not, a sentence.
    """

    folder: str
    folder_state: str
    content: str = ""
    patient: str = ""
    patient_id: str = ""
    patient_name: str = ""
    birth_date: str = ""
    sex: str = ""
    study_uid: str = ""
    series_uid: str = ""
    key: str = ""
    modality: str = ""
    kind: str = ""
    description: str = ""
    kernel: str = ""
    contrast: str = ""
    image_type: str = ""
    date: str = ""
    time: str = ""
    number: int = -1
    slices: int = 0
    columns: int = 0
    rows: int = 0
    thickness_mm: float = 0.0
    step_mm: float = 0.0
    is_axial: bool = False
    is_volume: bool = False
    problem: str = ""
    visit: int = -1
    reason: str = ""

    @property
    def is_read(self) -> bool:
        """Whether this series was chosen to be read."""
        return self.visit >= 0

    @property
    def names(self) -> set[str]:
        """The folders of its files, relative to the root."""
        return set(self.folder.split("|"))


def arrow() -> Any:
    """Return the package pyarrow.

    Raises
    ------
    MissingPackageError
        It is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingPackageError(
            'An archive\'s tables need the package pyarrow. Install it with: pip install "oncotrack[archive]"'
        ) from error
    return pyarrow


def write_index(path: Path, entries: list[Entry], root: Path) -> Path:
    """Write an index as Parquet, atomically, with the root of its folders in the file's metadata."""
    from oncotrack.atomic import replacing

    pa = arrow()
    columns = {field.name: [getattr(entry, field.name) for entry in entries] for field in fields(Entry)}
    table = pa.table(columns, schema=_schema(pa, {"oncotrack_index": VERSION, "root": str(root)}))
    with replacing(path) as temporary:
        pa.parquet.write_table(table, temporary, compression="zstd")
    return path


def read_index(path: Path) -> tuple[list[Entry], Path]:
    """Return the entries of an index and the root of its folders.

    Raises
    ------
    InputError
        The file does not exist or is no index of this version.
    """
    arrow()
    if not path.is_file():
        what = "is no file" if path.exists() else "does not exist"
        raise InputError(f"{path} {what}. Make an index of the archive first (oncotrack archive index).")
    about, columns = _columns(path)
    if about.get("oncotrack_index") != VERSION or set(columns) != {field.name for field in fields(Entry)}:
        raise InputError(f"{path} is not an index of this version of OncoTrack. Make it again.")
    rows = zip(*columns.values(), strict=True)
    return [Entry(**dict(zip(columns, row, strict=True))) for row in rows], Path(about["root"])


@isolated
def _columns(path: Path) -> tuple[dict[str, str], dict[str, list[Any]]]:
    """Return what a Parquet file says about itself, and its columns."""
    pa = arrow()
    try:
        table = pa.parquet.read_table(path)
        about = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        return about, table.to_pydict()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a Parquet file. Make the index again.") from error


def _schema(pa: Any, about: dict[str, str]) -> pyarrow.Schema:
    types = {"str": pa.string(), "int": pa.int32(), "float": pa.float64(), "bool": pa.bool_()}
    return pa.schema([(field.name, types[str(field.type)]) for field in fields(Entry)], metadata=about)

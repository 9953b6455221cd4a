"""Opening of scans from folders, archives and files, and the list of series to choose from where there are several.

It needs neither Slicer nor a toolkit; the browser, the Slicer modules and the command line show the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from oncotrack.background.isolation import isolated_stack
from oncotrack.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from oncotrack.images.dicom import Series, Study
    from oncotrack.images.volume import Volume

_ASKING = ("series", "resample")  # parameters of the errors that a choice of the reader resolves


@dataclass(frozen=True)
class ScanSource:
    """What to open.

    Attributes
    ----------
    path : Path
        DICOM folder, DICOMDIR, zip archive, or a file.
    series : str
        Which series: its number, its UID or words of its description; "" when there is one volume, or to be asked.
    resample : bool
        Whether slices that are not regular may be resampled to a straight grid.
    suv : bool
        Whether it is a PET, which is read in SUV by body weight; a file that is no DICOM holds SUV already.
    weight_kg : float, optional
        The patient's weight for the SUV, instead of the one in the file.
    """

    path: Path
    series: str = ""
    resample: bool = False
    suv: bool = False
    weight_kg: float | None = None


@dataclass(frozen=True)
class SeriesRow:
    """One series in words; "" where nothing is known.

    Attributes
    ----------
    key : str
        Chooses this series, see `Study.choose`.
    number : int
        Its number in the list, from 1.
    modality, description, date : str
        Columns of the list.
    slices : int
        Number of slices or images; 0 for what is no scan.
    spacing, thickness, kernel, contrast : str
        Columns of the list.
    patient : str
        Name and ID, where the list holds several patients.
    problem : str
        Why it is no volume and cannot be opened.
    resampling : str
        Why it can only be opened when it is resampled.
    """

    key: str
    number: int
    modality: str
    description: str
    date: str
    slices: int
    spacing: str
    thickness: str
    kernel: str
    contrast: str
    patient: str
    problem: str
    resampling: str

    @property
    def title(self) -> str:
        """Number, modality and description."""
        return f"{self.number}. {self.modality} {self.description}"

    @property
    def details(self) -> str:
        """Date, slices and what else sets series apart, on one line."""
        what = "image" if self.problem else "slice"
        slices = f"{self.slices} {what}{'' if self.slices == 1 else 's'}" if self.slices else ""
        thickness = f"thickness {self.thickness}" if self.thickness else ""
        contrast = f"contrast {self.contrast}" if self.contrast else ""
        words = (self.patient, self.date, slices, self.spacing, thickness, self.kernel, contrast)
        return " · ".join(word for word in words if word)


@dataclass(frozen=True)
class SeriesChoice:
    """The question which series of a study to open, or whether it may be resampled.

    Attributes
    ----------
    source : ScanSource
        What was to be opened.
    rows : tuple of SeriesRow
        The list, volumes first.
    study : Study or None
        The study; None for a file of one image that has to be resampled.
    """

    source: ScanSource
    rows: tuple[SeriesRow, ...]
    study: Study | None = field(default=None, repr=False)

    @property
    def question(self) -> str:
        """What the reader is asked, a sentence or two."""
        name, volumes = self.source.path.name, [row for row in self.rows if not row.problem]
        if self.source.series:
            return f'"{self.source.series}" does not identify exactly one series of {name}. Choose the one to open.'
        if len(volumes) == 1 and volumes[0].resampling:
            return f"{name} can only be opened if it is resampled."
        count = f"{len(volumes)} volumes" if len(volumes) != 1 else "1 volume and a damaged series"
        return f"{name} holds {count}. Choose the one to open."

    def read(self, key: str) -> Volume:
        """Read the series that the reader chose; choosing one that needs it allows that it is resampled.

        Raises
        ------
        InputError
            It is no volume, or a slice is damaged.
        """
        row = next(row for row in self.rows if row.key == key)
        series = row.key if self.study else None
        return _load(self.source, self.study or self.source.path, series, resample=bool(row.resampling))

    def thumbnail(self, key: str) -> np.ndarray | None:
        """Return a small grey picture of a series, (H, W) uint8; None when it has none."""
        from oncotrack.scene.files.thumbnails import thumbnail

        found = next((series for series in self.study.series if series.key == key), None) if self.study else None
        return thumbnail(found) if found else None


@isolated_stack
def open_scan(source: ScanSource) -> Volume | SeriesChoice:
    """Read a scan, or return the question that the reader must answer first.

    Raises
    ------
    InputError
        It cannot be read whatever the reader chooses.
    """
    from oncotrack.images.dicom import load_study
    from oncotrack.images.files import is_image_file

    path, study = Path(source.path).expanduser(), None
    try:
        if is_image_file(path):
            return _load(source, path, source.series or None, resample=source.resample)
        study = load_study(path)
        return _load(source, study, source.series or None, resample=source.resample)
    except InputError as error:
        if error.parameter not in _ASKING:
            raise
        return SeriesChoice(source, rows_of(study) if study else (_file_row(path, str(error)),), study)


def _load(source: ScanSource, what: Path | Study, series: str | None, *, resample: bool) -> Volume:
    from oncotrack.images.files import load, load_suv

    if not source.suv:
        return load(what, series, resample=resample)
    if not isinstance(what, Path):
        return load_suv(what, series, resample=resample, weight_kg=source.weight_kg)
    pet = load(what, series, resample=resample)
    metadata = pet.metadata | {"suv": pet.metadata.get("suv") or "BW"}
    return replace(pet, modality=pet.modality or "PT", metadata=metadata)


def rows_of(study: Study) -> tuple[SeriesRow, ...]:
    """Return the list of a study in words."""
    patients = {_patient(series) for series in study.series}
    rows = tuple(_row(number, series) for number, series in enumerate(study.series, 1))
    return rows if len(patients) > 1 else tuple(replace(row, patient="") for row in rows)


def _row(number: int, series: Series) -> SeriesRow:
    from oncotrack.images.dicom.kinds import LOCALIZER, is_scan

    description = ", ".join(word for word in (series.description, series.part) if word)
    return SeriesRow(
        key=series.key,
        number=number,
        modality=series.modality,
        description=description or (series.kind if series.kind != series.modality else "") or "no description",
        date=_day(series.date),
        slices=series.slices if is_scan(series.kind) or series.kind == LOCALIZER else 0,
        spacing=" x ".join(f"{step:.3g}" for step in series.spacing) + " mm"
        if series.is_volume and series.spacing
        else "",
        thickness=f"{series.thickness:.3g} mm" if series.thickness else "",
        kernel=series.kernel,
        contrast=series.contrast,
        patient=_patient(series),
        problem=series.problem.removeprefix("Not a volume: "),
        resampling=series.needs_resampling if series.is_volume else "",
    )


def _file_row(path: Path, reason: str) -> SeriesRow:
    return SeriesRow("1", 1, "", path.name, "", 0, "", "", "", "", "", "", reason)


def _patient(series: Series) -> str:
    name = series.patient_name.replace("^", " ").strip() or "unnamed"
    return f"{name}, ID {series.patient_id}" if series.patient_id else name


def _day(date: str) -> str:
    return f"{date[:4]}-{date[4:6]}-{date[6:8]}" if len(date) == 8 and date.isdigit() else date

"""What a folder, file or archive of DICOM holds: a study and its series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from oncotrack.errors import InputError
from oncotrack.images.dicom.kinds import LOCALIZER, is_scan

if TYPE_CHECKING:
    from oncotrack.images.dicom.frames import Frame
    from oncotrack.images.dicom.grid import Grid

_LISTED = 12
_SCANS = {"PT": "PET"}


@dataclass(frozen=True)
class Series:
    """One DICOM series, or one part of it where one UID holds several volumes.

    Parameters
    ----------
    uid : str
        Series Instance UID.
    key : str
        The UID, with a number added where one UID was split; unique in a study.
    modality : str
        DICOM modality: "CT", "MR", "PT", "SEG", ...
    name : str
        Short name of the volume in messages and outputs.
    path : Path
        What was opened: the folder, file or archive.
    kind : str
        What it is in words: "CT", "localizer", "segmentation", "dose report", ...
    description : str
        Series description.
    part : str
        What sets this part apart from the others of its UID ("acquisition 2", "phase 30 %"), or "".
    date, time : str
        Date (YYYYMMDD) and time (HHMMSS) of the acquisition, else of the series, else of the study.
    number : int or None
        Series number of the scanner.
    patient_id, patient_name, birth_date, sex : str
        The patient.
    study_uid, frame_of_reference : str
        Study Instance UID and Frame of Reference UID.
    slices : int
        Number of slices, or of images where it is no volume.
    size : (3,) int or None
        Voxels along i, j, k; None where it is no volume.
    spacing : (3,) float or None
        Millimetres along i, j, k; None where it is no volume.
    thickness : float or None
        Slice thickness in mm.
    kernel, contrast : str
        Convolution kernel and contrast agent.
    image_type : str
        Image Type, its values joined with a backslash.
    files : tuple of Path
        The files, sorted along the slices; those of a zip archive lie in a temporary folder.
    is_volume : bool
        Whether it can be read as a volume.
    problem : str
        Why it is no volume, a sentence; "" where it is one.
    is_damaged : bool
        Whether the problem is a fault of the files: a missing or damaged slice. A complete export may be a volume.
    needs_resampling : str
        Why it can only be read when it is resampled to a regular grid (tilted gantry, mixed slice distances), a
        sentence; "" where the slices are regular.
    deviation : float
        Largest distance of a slice from its position on the regular grid, mm.
    notes : tuple of str
        What was left out or corrected, sentences: copies that were dropped, a position corrected.
    """

    uid: str
    key: str
    modality: str
    name: str = ""
    path: Path = Path()
    kind: str = ""
    description: str = ""
    part: str = ""
    date: str = ""
    time: str = ""
    number: int | None = None
    patient_id: str = ""
    patient_name: str = ""
    birth_date: str = ""
    sex: str = ""
    study_uid: str = ""
    frame_of_reference: str = ""
    slices: int = 0
    size: tuple[int, int, int] | None = None
    spacing: tuple[float, float, float] | None = None
    thickness: float | None = None
    kernel: str = ""
    contrast: str = ""
    image_type: str = ""
    files: tuple[Path, ...] = field(default=(), repr=False)
    is_volume: bool = False
    problem: str = ""
    is_damaged: bool = False
    needs_resampling: str = ""
    deviation: float = 0.0
    notes: tuple[str, ...] = ()
    frames: tuple[Frame, ...] = field(default=(), repr=False, compare=False)
    """The images in the order of the slices; for the reader."""
    grid: Grid | None = field(default=None, repr=False, compare=False)
    """Where the slices lie; for the reader."""
    keep: object = field(default=None, repr=False, compare=False)
    """The temporary folder of a zip archive, which lives as long as the series is used."""

    def __str__(self) -> str:
        """Return one line for lists: kind, description, part, slices and spacing, and why it is no volume."""
        description = f'"{self.description}"' if self.description else ""
        name = " ".join(word for word in (self.kind or self.modality, description, self.part) if word)
        size = f"{self.slices} image{'s' if self.slices != 1 else ''}"
        if self.is_volume and self.spacing:
            size = f"{self.slices} slice{'s' if self.slices != 1 else ''} of {self.spacing[2]:.4g} mm"
        problem = self.problem.rstrip(".") if is_scan(self.kind) else ""
        return f"{name}, {size}" + (f" ({problem[:1].lower()}{problem[1:]})" if problem else "")


@dataclass(frozen=True)
class Study:
    """The series of a folder, file or archive, volumes first.

    Parameters
    ----------
    path : Path
        What was opened.
    series : tuple of Series
        The series; the first has number 1 for `choose`.
    """

    path: Path
    series: tuple[Series, ...]

    @property
    def volumes(self) -> tuple[Series, ...]:
        """The series that can be read as volumes."""
        return tuple(series for series in self.series if series.is_volume)

    def choose(self, wanted: int | str | None = None, modality: str | None = None) -> Series:
        """Return the wanted series.

        Localizers and single images are not taken by themselves when there are volumes of several slices. A damaged
        series counts: it is not passed over in silence for another one.

        Parameters
        ----------
        wanted : int or str, optional
            Its number in `series`, counted from 1; its UID or key; or words of its description. When missing, the one
            volume of the study is taken.
        modality : str, optional
            Only series of this DICOM modality ("CT", "MR", "PT").

        Raises
        ------
        InputError
            No such series, several of them (they are listed with their numbers), or it is no volume (the reason).
        """
        found = [series for series in self.series if not modality or series.modality == modality]
        if wanted is not None and str(wanted).strip():
            found = self._named(str(wanted).strip(), found, modality)
        possible = [series for series in found if series.is_volume or series.is_damaged]
        likely = [series for series in possible if series.slices > 1 and series.kind != LOCALIZER] or possible
        if len(likely) == 1 and likely[0].is_volume:
            return likely[0]
        if len(likely) > 1:
            word = _SCANS.get(modality or "", modality)
            what = f"{word} volumes" if word else "volumes"
            if any(series.is_damaged for series in likely):
                what = f"{word} series" if word else "possible series"
            raise InputError(
                f"{self.path} holds {len(likely)} {what}: {self._listed(likely)}. Choose one by its number, its UID or "
                "words from its description.",
                parameter="series",
            )
        raise InputError(self._reason(likely or found, modality or ""))

    def _named(self, wanted: str, among: list[Series], modality: str | None) -> list[Series]:
        if wanted.isdigit() and 1 <= int(wanted) <= len(self.series):
            chosen = self.series[int(wanted) - 1]
            if chosen not in among:
                raise InputError(
                    f"{self.path}: series {wanted} is not of modality {_SCANS.get(modality or '', modality)}: "
                    f"{chosen}.",
                    parameter="series",
                )
            return [chosen]
        words = wanted.casefold().split()
        exact = [series for series in among if wanted in (series.key, series.uid)]
        same = [series for series in among if series.description.casefold().split() == words]
        part = [s for s in among if all(word in f"{s.description} {s.part}".casefold() for word in words)]
        for found in (exact, same, part):
            if found:
                return found
        raise InputError(
            f'{self.path} holds no {_SCANS.get(modality or "", modality) or ""} series "{wanted}". '.replace("  ", " ")
            + f"It holds: {self._listed(self.series)}.",
            parameter="series",
        )

    def _listed(self, series: Sequence[Series]) -> str:
        differing = [key for key in ("patient_id", "date") if len({getattr(each, key) for each in series}) > 1]
        lines = []
        for each in series[:_LISTED]:
            words = [str(each), *(value for key in differing if (value := getattr(each, key)))]
            lines.append(f"{self.series.index(each) + 1}) {', '.join(words)}")
        return "; ".join(lines) + (f"; and {len(series) - _LISTED} more" if len(series) > _LISTED else "")

    def _reason(self, found: Sequence[Series], modality: str) -> str:
        modality = _SCANS.get(modality, modality)
        if len(found) == 1:
            return f"{self.path}: {found[0].problem}"
        if found:
            return f"{self.path} holds no {modality or 'series'} that can be read as a volume: {self._listed(found)}."
        return f"{self.path} holds no {modality}. It holds: {self._listed(self.series)}."

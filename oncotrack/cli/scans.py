"""Reading of scans for the commands: the wanted series is taken, and which one it is goes to standard error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from oncotrack.background.isolation import isolated_stack
from oncotrack.cli.output import print_message
from oncotrack.errors import InputError

if TYPE_CHECKING:
    from oncotrack.images.dicom import Study
    from oncotrack.images.volume import Volume

READ = ("CT", "MR")
"""Modalities that the methods were made for."""


def read_scan(
    path: Path, series: str | None = None, *, resample: bool = False, modality: str = "", option: str = "series"
) -> Volume:
    """Read a scan, and print which series of several was taken and what was done to it.

    Without `series` and `modality`, series of other modalities than `READ` are passed over where a study holds volumes
    of just one of these. `option` is the name of the command's option that chooses the series.
    """
    try:
        volume = _read(path, series, resample, modality)
    except InputError as error:
        if error.parameter == "series":
            error.parameter = option
        raise
    for sentence in sentences(volume):
        print_message(f"{path}: {sentence}")
    return volume


@isolated_stack
def _read(path: Path, series: str | None, resample: bool, modality: str) -> Volume:
    from oncotrack.images.dicom import load_study
    from oncotrack.images.files import is_image_file, load

    if not path.exists() or is_image_file(path):
        return load(path, series, resample=resample)
    study = load_study(path)
    return load(study, series, modality=None if series else modality or _only_modality(study), resample=resample)


def sentences(volume: Volume) -> list[str]:
    """Return which series of several was taken, what was done to it, and what is doubtful in it."""
    texts = (volume.metadata.get(key) or "" for key in ("chosen", "resampled", "notice", "notes"))
    return [line for text in texts for line in text.splitlines()]


def read_visits(
    scans: Sequence[Path], series: str | None, followup_series: Sequence[str] | None, *, resample: bool = False
) -> list[Volume]:
    """Read a baseline and its follow-ups, which are of the same modality; `series` is that of the baseline.

    `followup_series` has one entry for each follow-up, one for all of them, or none.
    """
    wanted = series_of_followups(len(scans) - 1, followup_series)
    baseline = read_scan(scans[0], series, resample=resample)
    return [baseline] + [
        read_scan(path, each, resample=resample, modality=baseline.modality, option="followup_series")
        for path, each in zip(scans[1:], wanted, strict=True)
    ]


def series_of_followups(count: int, followup_series: Sequence[str] | None) -> list[str | None]:
    """Return the wanted series of each follow-up, None where it is not named."""
    wanted: list[str | None] = [*(followup_series or ())]
    if len(wanted) not in (0, 1, count):
        raise InputError(
            f"{len(wanted)} series are named for {count} follow-ups. Name one for all, or one for each in their order.",
            parameter="followup_series",
        )
    return wanted * count if len(wanted) == 1 else wanted or [None] * count


def _only_modality(study: Study) -> str | None:
    """Return the one modality of `READ` that the study holds; None when there is none, or several."""
    found = {series.modality for series in study.series if series.is_volume or series.is_damaged} & set(READ)
    return found.pop() if len(found) == 1 else None

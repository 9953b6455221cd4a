"""The times of a PET series: when the tracer was injected, and to which time its values are corrected for decay."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from oncotrack.errors import InputError
from oncotrack.images.dicom_values import full_time, moment, number, private_text

_DAY = timedelta(days=1)
_LONGEST = 10.0  # half-lives from injection to scan; after them a thousandth of the dose is left
_LONGEST_UNDATED = 5.0


class PetTimes:
    """The times of one PET series.

    Parameters
    ----------
    first : pydicom data set
        The header of the first slice.
    slices : sequence of pydicom data set
        A header for each slice.
    half_life : float
        Of the nuclide, s.
    """

    def __init__(self, first: Any, slices: Sequence[Any], half_life: float) -> None:
        self._first, self._slices, self._half_life = first, slices, half_life

    def corrected_to_start(self) -> list[datetime]:
        """Return the start of the scan for each slice, the time to which DecayCorrection START corrects."""
        return [self._scan_start()] * len(self._slices)

    def mean_of_frames(self) -> list[datetime]:
        """Return the time for each slice at which the count rate is the mean of its frame."""
        return [self._acquired(each) + self._mean_time(each) for each in self._slices]

    def injection(self, tracer: Any, scan: datetime) -> tuple[datetime, list[str]]:
        """Return the time of the injection, without its date the last such time before the scan, and what was assumed.

        Parameters
        ----------
        tracer : pydicom data set
            The item of the RadiopharmaceuticalInformationSequence.
        scan : datetime
            The earliest time of `corrected_to_start` or `mean_of_frames`.

        Raises
        ------
        InputError
            The time is missing, after the scan or too long before it.
        """
        text = str(tracer.get("RadiopharmaceuticalStartDateTime") or "").strip()
        stated = full_time(text, self._first) if len(text) >= 10 else None
        if stated is not None and timedelta(0) <= scan - stated <= timedelta(seconds=_LONGEST * self._half_life):
            return stated, []
        if stated is not None and stated.date() == scan.date():
            raise InputError(_impossible(stated, scan))
        time = stated.strftime("%H%M%S.%f") if stated else needed(tracer, "RadiopharmaceuticalStartTime")
        if self._half_life > _DAY.total_seconds() / 2:
            raise InputError(
                "The PET series does not state a plausible date of injection (RadiopharmaceuticalStartDateTime), which "
                f"a half-life of {self._half_life / 3600:.0f} h requires. Export it with all tags."
            )
        injected = moment(scan.strftime("%Y%m%d"), time)
        before = injected if injected <= scan else injected - _DAY
        if scan - before > timedelta(seconds=_LONGEST_UNDATED * self._half_life):
            raise InputError(_impossible(stated or injected, scan))
        if stated is None:
            return before, []
        return before, [
            f"The injection is dated {stated:%Y-%m-%d} and the scan {scan:%Y-%m-%d}; only the time of day is used."
        ]

    def _scan_start(self) -> datetime:
        first = self._first
        series = moment(needed(first, "SeriesDate"), needed(first, "SeriesTime"))
        acquired = min(map(self._acquired, self._slices))
        if series - acquired < timedelta(seconds=1):
            return series
        if private := private_text(first, 0x0009, "GEMS_PETD_01", 0x0D):
            return full_time(private, first)
        implied = []
        for each in self._slices:
            if not (number(each, "FrameReferenceTime") and number(each, "ActualFrameDuration")):
                return acquired
            reference = timedelta(milliseconds=number(each, "FrameReferenceTime") or 0)
            implied.append(self._acquired(each) - reference + self._mean_time(each))
        return sorted(implied)[len(implied) // 2] if max(implied) - min(implied) < timedelta(minutes=1) else acquired

    def _acquired(self, header: Any) -> datetime:
        first = self._first
        if not header.get("AcquisitionTime") and header.get("AcquisitionDateTime"):
            return full_time(str(header.get("AcquisitionDateTime")), first)
        time = header.get("AcquisitionTime") or needed(first, "AcquisitionTime")
        if date := header.get("AcquisitionDate") or first.get("AcquisitionDate"):
            return moment(date, time)
        day = needed(first, "SeriesDate")
        series, acquired = moment(day, needed(first, "SeriesTime")), moment(day, time)
        return acquired + _DAY if series - acquired > _DAY / 2 else acquired

    def _mean_time(self, header: Any) -> timedelta:
        """Return the time from the start of a frame at which the count rate is its mean."""
        frame = (number(header, "ActualFrameDuration") or needed_number(self._first, "ActualFrameDuration")) / 1000
        decay = np.log(2) / self._half_life * frame
        return timedelta(seconds=frame / decay * np.log(decay / -np.expm1(-decay)) if decay > 0 else 0.0)


def needed(header: Any, tag: str) -> Any:
    """Return the value of a tag that SUV needs.

    Parameters
    ----------
    header : pydicom data set
        The header, or an item of it.
    tag : str
        Its keyword.

    Raises
    ------
    InputError
        It is missing or empty.
    """
    value = header.get(tag)
    is_empty = not value.strip() if isinstance(value, str) else not isinstance(value, int | float) and not value
    if is_empty:
        raise InputError(f"The PET series lacks the tag {tag}, so SUV cannot be computed. Export it with all tags.")
    return value


def needed_number(header: Any, tag: str) -> float:
    """Return the number of a tag that SUV needs.

    Parameters
    ----------
    header : pydicom data set
        The header, or an item of it.
    tag : str
        Its keyword.

    Raises
    ------
    InputError
        It is missing, empty or no number.
    """
    needed(header, tag)
    if (value := number(header, tag)) is None:
        raise InputError(f'The PET series states "{header.get(tag)}" for {tag}, which is not numeric. Correct it.')
    return value


def _impossible(injected: datetime, scan: datetime) -> str:
    return (
        f"The injection ({injected:%Y-%m-%d %H:%M:%S}) does not fit the scan ({scan:%Y-%m-%d %H:%M:%S}): it is later "
        "than the scan or too long before it, so SUV cannot be computed. Correct the times."
    )

"""The visit that an object belongs to: time point context of a report (TID 1502) and the clinical trial attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from oncotrack.dicom_objects import codes
from oncotrack.dicom_objects.library import highdicom
from oncotrack.errors import InputError
from oncotrack.findings.dates import parse_day
from oncotrack.findings.finding import TimePoint
from oncotrack.images.dicom import Series


@dataclass(frozen=True)
class Visit:
    """A time point with its place among the visits.

    Attributes
    ----------
    time_point : TimePoint
        The scan.
    order : int
        Its number, 1 for the baseline.
    days : int or None
        Days since the baseline; None where a date is missing.
    """

    time_point: TimePoint
    order: int
    days: int | None

    @classmethod
    def all_of(cls, time_points: tuple[TimePoint, ...]) -> list[Visit]:
        """Return the visits of the time points, in their order.

        Parameters
        ----------
        time_points : tuple of TimePoint
            The first one is the baseline.
        """
        days = [parse_day(each.date) for each in time_points]
        first = days[0] if days else None
        return [
            cls(each, number, (day - first).days if day and first else None)
            for number, (each, day) in enumerate(zip(time_points, days, strict=True), 1)
        ]

    def context(self) -> Any:
        """Return the time point context of a measurement group (TID 1502)."""
        sr = highdicom().sr
        return sr.TimePointContext(
            time_point=self.time_point.label,
            time_point_type=codes.BASELINE if self.order == 1 else codes.POSTTREATMENT,
            time_point_order=self.order,
            subject_time_point_identifier=self.time_point.id,
            protocol_time_point_identifier=self.time_point.label,
        )

    def mark(self, dataset: Dataset) -> None:
        """Write the visit into the header of an object, (0012,0050) to (0012,0053).

        Parameters
        ----------
        dataset : Dataset
            The object; changed.
        """
        dataset.ClinicalTrialTimePointID = self.time_point.id
        dataset.ClinicalTrialTimePointDescription = self.time_point.label
        if self.days is not None:
            dataset.LongitudinalTemporalOffsetFromEvent = float(self.days)
            dataset.LongitudinalTemporalEventType = "BASELINE"


def assign(time_points: Sequence[TimePoint], series: Sequence[Series]) -> dict[str, Series]:
    """Return the series of each time point: by its Series Instance UID, else in the order of the visits.

    Parameters
    ----------
    time_points : sequence of TimePoint
        All scans of the findings.
    series : sequence of Series
        DICOM series, of some or all of them.

    Returns
    -------
    dict of str to Series
        By the identifier of the time point.

    Raises
    ------
    InputError
        A series belongs to no time point, or it is unclear to which one.
    """
    known = {each.series_uid: each for each in time_points if each.series_uid}
    found = {known[each.uid].id: each for each in series if each.uid in known}
    rest = [each for each in series if each.uid not in known]
    nameless = [each for each in time_points if not each.series_uid]
    if rest and len(rest) != len(nameless):
        names = ", ".join(f"{each.label} ({each.image or 'unknown file'})" for each in time_points)
        raise InputError(
            f"{rest[0].path} is none of the scans that these findings were made on: {names}. Choose those series."
        )
    return found | {point.id: each for point, each in zip(nameless, rest, strict=False)}

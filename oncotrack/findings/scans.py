"""A scan as a time point of the findings."""

from __future__ import annotations

from collections.abc import Sequence

from oncotrack.findings.contrast import contrast_phase
from oncotrack.findings.finding import TimePoint
from oncotrack.images.volume import Volume


def visit_labels(count: int) -> list[str]:
    """Return "baseline", "follow-up", "follow-up 2" and so on, the names of visits that have no other.

    Parameters
    ----------
    count : int
        Number of visits.
    """
    return ["baseline", "follow-up", *(f"follow-up {n}" for n in range(2, count))][:count]


def time_point_of(image: Volume, id: str, label: str) -> TimePoint:
    """Return the time point of a scan.

    Parameters
    ----------
    image : Volume
        The scan.
    id, label : str
        Identifier of the time point, and its name for the reader.
    """
    about = image.metadata
    return TimePoint(
        id,
        label,
        about.get("path", ""),
        about.get("date", ""),
        about.get("series_uid", ""),
        image.fingerprint,
        slice_mm(about.get("thickness", ""), image.spacing),
        contrast_phase(about),
    )


def slice_mm(thickness: str, spacing: Sequence[float]) -> float | None:
    """Return the thickness of a scan's slices, mm: as its file gives it, else their distance.

    Parameters
    ----------
    thickness : str
        From the file; "" where it does not give it.
    spacing : (3,) float
        Between voxel centres, mm; the largest is taken for the distance of the slices.
    """
    try:
        value = float(thickness)
    except ValueError:
        value = 0.0
    return value if value > 0 else max(spacing, default=None)

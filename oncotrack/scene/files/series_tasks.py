"""The long-running parts of opening a study: listing its series with pictures, and reading one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from oncotrack.background.jobs import Progress
from oncotrack.scene.files.series_list import ScanSource, SeriesChoice, SeriesRow, open_scan
from oncotrack.scene.files.thumbnails import png
from oncotrack.scene.nodes.tasks import Task

if TYPE_CHECKING:
    from oncotrack.images.volume import Volume

_TEXT = "Opening"


def listing_task(
    path: Path,
    opened: Callable[[Volume], object],
    asked: Callable[[SeriesChoice, Sequence[bytes | None]], object],
    *,
    suv: bool = False,
    weight_kg: float | None = None,
) -> Task:
    """Return the task that opens a path.

    Parameters
    ----------
    path : Path
        See `ScanSource`.
    opened : callable
        Called with the scan where no choice is needed.
    asked : callable
        Otherwise called with the choice and with the picture of each row, PNG or None.
    suv, weight_kg
        As for `ScanSource`.
    """

    def work(progress: Progress) -> tuple[Volume | SeriesChoice, list[bytes | None]]:
        progress(0.1, path.name)
        scan = open_scan(ScanSource(path, suv=suv, weight_kg=weight_kg))
        pictures: list[bytes | None] = []
        if isinstance(scan, SeriesChoice):
            for done, row in enumerate(scan.rows):
                progress(0.5 + 0.5 * done / len(scan.rows), row.title)
                picture = scan.thumbnail(row.key)
                pictures.append(None if picture is None else png(picture))
        return scan, pictures

    def apply(found: tuple[Volume | SeriesChoice, list[bytes | None]]) -> object:
        scan, pictures = found
        return asked(scan, pictures) if isinstance(scan, SeriesChoice) else opened(scan)

    return Task(_TEXT, work, apply)


def reading_task(
    choice: SeriesChoice,
    row: SeriesRow,
    opened: Callable[[Volume], object],
    abandon: Callable[[], object] = lambda: None,
) -> Task:
    """Return the task that reads the chosen series, resampled where it needs that; `opened` gets the scan."""

    def work(progress: Progress) -> Volume:
        progress(0.5, row.title)
        return choice.read(row.key)

    return Task(_TEXT, work, opened, abandon)


def opened_text(scan: Volume) -> str:
    """Return which series was opened, where there were others, and what was done to it, in sentences."""
    return " ".join(scan.metadata[key] for key in ("chosen", "resampled") if key in scan.metadata)

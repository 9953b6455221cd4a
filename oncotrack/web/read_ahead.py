"""Reading of scans on a separate thread while the viewer is starting."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from oncotrack.scene.files.series_list import ScanSource, SeriesChoice, open_scan

if TYPE_CHECKING:
    from oncotrack.images.volume import Volume


class ReadAhead:
    """Starts to read scans at once, one after another, so that the other cores can load Slicer and the page.

    Parameters
    ----------
    sources : iterable of ScanSource
        The scans.
    """

    def __init__(self, sources: Iterable[ScanSource]) -> None:
        self._scans: dict[ScanSource, Future[Volume | SeriesChoice]] = {source: Future() for source in sources}
        work = tuple(self._scans.items())
        threading.Thread(target=_read, args=(work,), name="oncotrack-read", daemon=True).start()

    def load(self, source: ScanSource) -> Volume | SeriesChoice:
        """Return a scan that was read ahead, which is then forgotten; any other one is read now. See `open_scan`.

        Raises
        ------
        InputError
            The scan cannot be read.
        """
        scan = self._scans.pop(source, None)
        return scan.result() if scan else open_scan(source)


def _read(work: Iterable[tuple[ScanSource, Future[Volume | SeriesChoice]]]) -> None:
    for source, scan in work:
        try:
            scan.set_result(open_scan(source))
        except BaseException as error:
            scan.set_exception(error)

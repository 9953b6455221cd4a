"""Reading of scans on a separate thread while the viewer is starting."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oncotrack.images.volume import Volume


class ReadAhead:
    """Starts to read scans at once, one after another, so that the other cores can load Slicer and the page.

    Parameters
    ----------
    paths : iterable of Path
        DICOM folders or image files.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._volumes: dict[Path, Future[Volume]] = {path: Future() for path in paths}
        work = tuple(self._volumes.items())
        threading.Thread(target=_read, args=(work,), name="oncotrack-read", daemon=True).start()

    def load(self, path: Path) -> Volume:
        """Return a scan that was read ahead, which is then forgotten; any other one is read now.

        Raises
        ------
        InputError
            The scan cannot be read.
        """
        from oncotrack.images.files import load

        volume = self._volumes.pop(path, None)
        return volume.result() if volume else load(path)


def _read(work: Iterable[tuple[Path, Future[Volume]]]) -> None:
    for path, volume in work:
        try:
            from oncotrack.images.files import load

            volume.set_result(load(path))
        except BaseException as error:
            volume.set_exception(error)

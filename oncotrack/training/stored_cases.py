"""Cases turned into slices once, so that training reads them fast."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from oncotrack.atomic import replacing, write_text
from oncotrack.background.jobs import Progress, silent
from oncotrack.datasets.case import Case
from oncotrack.detection.lntracker.grid import LNSlices
from oncotrack.errors import TrainingError


def write_slices(path: Path, case: Case) -> None:
    """A CT as LN-Tracker reads it: ``image`` (D, H, W) uint8, the window of `grid.HU_WINDOW` over 0-255, and ``labels``
    (D, H, W) uint8, node numbers.

    Raises
    ------
    TrainingError
        The case has more than 255 nodes.
    """
    from safetensors.torch import save_file

    ((name, volume),) = case.images.items()
    slices = LNSlices(volume)
    image = torch.from_numpy(np.rint(slices.slab(0, len(slices)) * 255).astype(np.uint8))
    labels = case.masks[name].resampled(slices.geometry, fill=0, nearest=True).array
    if labels.max() > 255:
        raise TrainingError(f"{case.name} holds more than 255 nodes; split it.")
    with replacing(path) as temporary:
        save_file({"image": image, "labels": torch.from_numpy(labels.astype(np.uint8))}, temporary)


def store(
    folder: Path,
    jobs: Iterable[tuple[str, Callable[[], Case]]],
    about: str,
    progress: Progress = silent,
    write: Callable[[Path, Case], None] = write_slices,
) -> list[Path]:
    """Write cases as what is read fast, one safetensors file each; what is there already is kept.

    `about` tells what the cases are; a folder of others is refused. `write` makes the file of one case.

    Raises
    ------
    TrainingError
        The folder holds other cases, or `write` cannot write one.
    """
    mark = folder / "about.txt"
    if mark.is_file():
        told, *names = mark.read_text(encoding="utf-8").splitlines()
        if told != about:
            raise TrainingError(f"{folder} holds other scans ({told}). Choose another --out, or remove it.")
        return [folder / name for name in names]
    paths = []
    for number, (key, make) in enumerate(jobs, 1):
        path = folder / f"{key}.safetensors"
        progress(0.0, f"Preparing scan {number}")
        if not path.is_file():
            write(path, make())
        paths.append(path)
    write_text(mark, "\n".join([about, *(path.name for path in paths)]) + "\n")
    return paths


class StoredCase:
    """One stored case: its shape (D, H, W), and for each node the (n, 3) z, y, x of its middle on each of its slices."""

    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        self._path = path
        with safe_open(path, framework="pt") as file:
            labels = file.get_tensor("labels").numpy()
        self.shape = labels.shape
        self.nodes: list[np.ndarray] = []
        for number, where in enumerate(ndimage.find_objects(labels), 1):
            if where is not None:
                start = np.array([part.start for part in where])
                inside = np.argwhere(labels[where] == number) + start
                levels = np.unique(inside[:, 0])
                self.nodes.append(np.array([inside[inside[:, 0] == z].mean(0).round() for z in levels], int))

    def read(
        self, levels: np.ndarray, rows: slice = slice(None), columns: slice = slice(None)
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Image and labels of some slices, or of a part of them, (n, H, W) uint8."""
        from safetensors import safe_open

        low, high = int(levels.min()), int(levels.max()) + 1
        with safe_open(self._path, framework="pt") as file:
            image, labels = (file.get_slice(name)[low:high, rows, columns] for name in ("image", "labels"))
        picked = torch.from_numpy(levels - low)
        return image[picked], labels[picked]

"""Cases stored as slices, so that training reads them fast."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from oncotrack.atomic import replacing
from oncotrack.background.jobs import Progress, silent
from oncotrack.datasets.case import Case
from oncotrack.detection.ct_slices import LNSlices
from oncotrack.errors import TrainingError
from oncotrack.training.prepared import prepare
from oncotrack.training.unlabelled_nodes import may_be_nodes

UNLABELLED = 255
"""Label of what may be an unlabelled node, and is neither node nor background."""


def write_slices(path: Path, case: Case) -> None:
    """Write a CT as LN-Tracker reads it.

    The safetensors file contains ``image`` (D, H, W) uint8, `ct_slices.HU_WINDOW` scaled to 0-255, and ``labels``
    (D, H, W) uint8, node numbers or `UNLABELLED`.

    Raises
    ------
    TrainingError
        The case has more than 254 nodes.
    """
    from safetensors.torch import save_file

    ((name, volume),) = case.images.items()
    slices = LNSlices(volume)
    image = torch.from_numpy(np.rint(slices.slab(0, len(slices)) * 255).astype(np.uint8))
    labels = case.masks[name].resampled(slices.geometry, fill=0, nearest=True).array
    if labels.max() >= UNLABELLED:
        raise TrainingError(f"{case.name} contains more than {UNLABELLED - 1} nodes; split it into several scans.")
    if not case.is_complete:
        labels[may_be_nodes(slices, labels) & (labels == 0)] = UNLABELLED
    with replacing(path) as temporary:
        save_file({"image": image, "labels": torch.from_numpy(labels.astype(np.uint8))}, temporary)


def store(
    folder: Path,
    jobs: Iterable[tuple[str, Callable[[], Case]]],
    about: str,
    progress: Progress = silent,
    write: Callable[[Path, Case], None] = write_slices,
) -> list[Path]:
    """Write each case to one safetensors file that is fast to read, unless the folder is complete; see `prepare`.

    Parameters
    ----------
    folder : Path
        Receives the files.
    jobs : iterable of (str, callable)
        A key for the file name, and a function that makes the case.
    about : str
        Description of the cases; a folder with another description is refused.
    progress : callable
        Receives the completed fraction (0 to 1) and a message.
    write : callable
        Writes the file of one case.

    Returns
    -------
    list of Path
        One file for each job.

    Raises
    ------
    TrainingError
        The folder holds other cases, or a case cannot be written.
    """

    def write_case(key: str, make: Callable[[], Case]) -> list[Path]:
        path = folder / f"{key}.safetensors"
        if not path.is_file():
            write(path, make())
        return [path]

    return prepare(folder, jobs, about, write_case, progress)


class StoredCase:
    """One stored case.

    Parameters
    ----------
    path : Path
        Written by `store`.

    Attributes
    ----------
    shape : (int, int, int)
        D, H, W.
    nodes : list of (n, 3) ndarray
        For each node, the z, y, x of its centre on each of its slices.
    """

    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        self._path = path
        with safe_open(path, framework="pt") as file:
            labels = file.get_tensor("labels").numpy()
        self.shape = labels.shape
        self.nodes: list[np.ndarray] = []
        for number, where in enumerate(ndimage.find_objects(labels, UNLABELLED - 1), 1):
            if where is not None:
                start = np.array([part.start for part in where])
                inside = np.argwhere(labels[where] == number) + start
                levels = np.unique(inside[:, 0])
                self.nodes.append(np.array([inside[inside[:, 0] == z].mean(0).round() for z in levels], int))

    def read(
        self, levels: np.ndarray, rows: slice = slice(None), columns: slice = slice(None)
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Read image and labels of some slices, or of a rectangle of them; both (n, H, W) uint8."""
        from safetensors import safe_open

        low, high = int(levels.min()), int(levels.max()) + 1
        with safe_open(self._path, framework="pt") as file:
            image, labels = (file.get_slice(name)[low:high, rows, columns] for name in ("image", "labels"))
        picked = torch.from_numpy(levels - low)
        return image[picked], labels[picked]

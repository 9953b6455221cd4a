"""Reading of a study's list of series, of one series as a volume, and of one picture of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from oncotrack.images.dicom.study import Series, Study
from oncotrack.images.volume import Volume

if TYPE_CHECKING:
    import pydicom


def load_study(path: str | Path) -> Study:
    """Read the headers of everything in a folder and its subfolders, a DICOMDIR, a zip archive, or a file's series.

    Parameters
    ----------
    path : path
        A folder, a DICOMDIR, a zip archive or one DICOM file, whose series is looked for in its folder.

    Raises
    ------
    InputError
        There is no DICOM, or an archive that cannot be unpacked safely.
    """
    raise NotImplementedError


def read(series: Series, *, resample: bool = False) -> Volume:
    """Read a series as a volume, float32.

    Parameters
    ----------
    series : Series
        A series of `load_study`.
    resample : bool
        Resample slices that are not regular (`Series.needs_resampling`) to a straight, regular grid.

    Raises
    ------
    InputError
        It is no volume, it needs resampling, or a slice is damaged.
    """
    raise NotImplementedError


def picture(series: Series) -> np.ndarray:
    """Read the middle image of a series, (H, W) float32; for lists with thumbnails.

    Parameters
    ----------
    series : Series
        A series of `load_study`, of images.

    Raises
    ------
    InputError
        It has no images, or the file is damaged.
    """
    raise NotImplementedError


def header(series: Series) -> pydicom.Dataset:
    """Read the whole header of the first slice, without pixels.

    Its attribute ``slices`` lists one small dataset for each slice, in their order, with AcquisitionDate,
    AcquisitionTime, FrameReferenceTime and ActualFrameDuration where the files have them.

    Parameters
    ----------
    series : Series
        A series of `load_study`.
    """
    raise NotImplementedError

"""Data files of the package: weights with their model cards, the list of public samples, Slicer's requirements, the icon."""

from __future__ import annotations

from pathlib import Path


def resource(*parts: str) -> Path:
    """Return the path of a data file that is installed with the package, whether or not it exists.

    Parameters
    ----------
    *parts : str
        Folders and file name below the package's `resources`.
    """
    return Path(__file__).resolve().parent.joinpath(*parts)

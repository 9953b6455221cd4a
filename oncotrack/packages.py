"""Python packages that OncoTrack needs inside another application; importing this file needs none of them."""

from __future__ import annotations

from collections.abc import Iterable

from oncotrack.errors import MissingPackageError
from oncotrack.resources import resource

TORCH = "torch>=2.2"
"""Not part of `required`: Slicer's PyTorch extension chooses the build that fits the graphics card."""
DICOM_AND_ARCHIVES = ("dicomweb-client>=0.60", "filelock>=3.12", "highdicom>=0.28", "pynetdicom>=3.0")
"""Not part of `required`: only DICOM objects and archives need them; in Slicer they are installed when these are used."""
_LIST = resource("requirements.txt")


def required() -> list[str]:
    """Return the requirements that OncoTrack installs in Slicer, one per package, in pip's notation.

    Raises
    ------
    MissingPackageError
        The list itself is missing.
    """
    try:
        lines = _LIST.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise MissingPackageError(
            f"The list of packages {_LIST} is missing. Install the OncoTrack extension again."
        ) from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def missing(requirements: Iterable[str]) -> list[str]:
    """Return the requirements that are not installed, or only in a version that does not fit.

    Parameters
    ----------
    requirements : iterable of str
        In pip's notation.
    """
    return [requirement for requirement in requirements if not _is_met(requirement)]


def _is_met(line: str) -> bool:
    from importlib import metadata  # takes longer than all else that Slicer imports of OncoTrack when it starts

    from packaging.requirements import Requirement

    requirement = Requirement(line)
    try:
        return requirement.specifier.contains(metadata.version(requirement.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False

"""Which Python packages are missing where OncoTrack runs inside another application; needs none of them itself."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata

from oncotrack.errors import MissingPackageError
from oncotrack.resources import resource

TORCH = "torch>=2.2"
"""Not among `required`: Slicer's PyTorch extension chooses the build that fits the graphics card."""
_LIST = resource("requirements.txt")


def required() -> list[str]:
    """The requirements that OncoTrack installs in Slicer, one a package, as pip writes them."""
    try:
        lines = _LIST.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise MissingPackageError(
            f"The list of packages {_LIST} is missing. Install the OncoTrack extension again."
        ) from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def missing(requirements: Iterable[str]) -> list[str]:
    """Those of the requirements that are not installed, or only in a version that does not fit."""
    from packaging.requirements import Requirement

    def is_met(requirement: Requirement) -> bool:
        try:
            return requirement.specifier.contains(metadata.version(requirement.name), prereleases=True)
        except metadata.PackageNotFoundError:
            return False

    return [line for line in requirements if not is_met(Requirement(line))]

"""Installation of OncoTrack's packages into Slicer's Python, after the reader has agreed."""

from __future__ import annotations

import importlib
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from oncotrack.errors import MissingPackageError
from oncotrack.packages import DICOM_AND_ARCHIVES, TORCH, missing, required


@dataclass(frozen=True)
class Tool:
    """A module's need of packages.

    Attributes
    ----------
    cannot : str
        What it cannot do without the required packages.
    without_torch : str
        What it can and cannot do without PyTorch; "" when it needs none.
    """

    cannot: str
    without_torch: str = ""


FOLLOW_UP = Tool(
    "lesions cannot be followed", "lesions can be followed by registration only (methods affine and bspline)"
)
DETECTION = Tool(
    "lymph nodes cannot be detected",
    "lymph nodes can be added and edited by hand, but not detected or followed through the slices",
)
MASKS = Tool("lesions cannot be measured")


class InstallationRefused(Exception):
    """Raised when the reader declines the installation."""


Installer = Callable[[Sequence[str]], None]
"""Function that asks the reader and installs requirements; raises `InstallationRefused` or subprocess.CalledProcessError."""


def lacks_required() -> bool:
    """Return whether a required package, without which no module works, is missing."""
    return bool(missing(required()))


def lacks_torch() -> bool:
    """Return whether PyTorch is missing, which some methods need."""
    return bool(missing([TORCH]))


def missing_message(tool: Tool) -> str:
    """Return a message that names what a module cannot do without the missing packages; "" when all are installed."""
    if lacks_required():
        return (
            "OncoTrack needs a few Python packages that Slicer does not include. Press Install packages; "
            f"until then scans can be viewed, but {tool.cannot}."
        )
    return _without_torch(tool) if tool.without_torch and lacks_torch() else ""


def install(tool: Tool, packages: Installer, torch: Installer) -> None:
    """Install what a module needs and lacks.

    Parameters
    ----------
    tool : Tool
        The module; PyTorch is left out for one that does not need it.
    packages : callable
        Installs all requirements but PyTorch.
    torch : callable
        Installs PyTorch; called after `packages`.

    Raises
    ------
    MissingPackageError
        The reader refused, there is no network, or a package is still missing; the message names what works without it.
    """
    refused = (
        f"The packages were not installed, so {tool.cannot}; everything else in Slicer works as before. "
        "Press Install packages to try again."
    )
    failed = (
        "The packages could not be installed. Check the network and press Install packages again; "
        f"until then scans can be viewed, but {tool.cannot}. Slicer's error log has the details."
    )
    _install(missing(required()), packages, refused, failed)
    if tool.without_torch:
        _install(missing([TORCH]), torch, _without_torch(tool), _without_torch(tool))


def install_archives(packages: Installer) -> None:
    """Install what DICOM objects and archives need and Slicer lacks.

    Parameters
    ----------
    packages : callable
        Installs requirements.

    Raises
    ------
    MissingPackageError
        The reader refused, there is no network, or a package is still missing.
    """
    works = "DICOM objects and archives cannot be used; everything else works as before."
    _install(
        missing(DICOM_AND_ARCHIVES),
        packages,
        f"The packages were not installed, so {works} Press Install packages to try again.",
        f"The packages could not be installed, so {works} Check the network and press Install packages again. Slicer's error "
        "log has the details.",
    )


def trackers() -> dict[str, Callable]:
    """Return the methods that can be used with the installed packages, by name; the default comes first."""
    from oncotrack.followup.methods import METHOD_INFO
    from oncotrack.scene.followup.tracking_method import TRACKERS

    is_whole = not lacks_torch()
    return {name: make for name, make in TRACKERS.items() if is_whole or not METHOD_INFO[name].needs_torch}


def slicer_packages(requirements: Sequence[str]) -> None:
    """Install requirements with Slicer's pip, after asking; from Slicer 5.12 its own dialog asks."""
    import slicer.util

    try:
        from slicer import packaging
    except ImportError:
        question = f"OncoTrack needs Python packages ({len(requirements)}). Download and install them into Slicer now?"
        if not slicer.util.confirmOkCancelDisplay(question, "OncoTrack", detailedText="\n".join(requirements)):
            raise InstallationRefused from None
        slicer.util.pip_install(list(requirements))
        return
    from packaging.requirements import Requirement

    try:
        packaging.pip_ensure([Requirement(line) for line in requirements], requester="OncoTrack")
    except RuntimeError as error:
        raise InstallationRefused from error


def slicer_torch(requirements: Sequence[str]) -> None:
    """Install PyTorch with Slicer's PyTorch extension."""
    try:
        import PyTorchUtils
    except ImportError as error:
        raise InstallationRefused from error
    version = requirements[0].removeprefix("torch")
    if PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=version) is None:
        raise InstallationRefused


def _without_torch(tool: Tool) -> str:
    return f"PyTorch is not installed: {tool.without_torch}. Press Install packages to install what is missing."


def _install(requirements: list[str], installer: Installer, refused: str, failed: str) -> None:
    if not requirements:
        return
    try:
        installer(requirements)
    except InstallationRefused as error:
        raise MissingPackageError(refused) from error
    except (subprocess.CalledProcessError, OSError) as error:
        raise MissingPackageError(failed) from error
    importlib.invalidate_caches()
    if missing(requirements):
        raise MissingPackageError(failed)

"""OncoTrack: detect, follow and measure lymph nodes and lesions.

For scripts: `load`, `load_study` and `load_suv` read scans, and every problem is an `InputError`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oncotrack.errors import InputError
    from oncotrack.images.dicom import Series, Study, load_study
    from oncotrack.images.files import load, load_suv
    from oncotrack.images.volume import Volume

__version__ = "0.2.0"
__all__ = ["InputError", "Series", "Study", "Volume", "load", "load_study", "load_suv"]

_HOMES = {
    "InputError": "oncotrack.errors",
    "Series": "oncotrack.images.dicom",
    "Study": "oncotrack.images.dicom",
    "Volume": "oncotrack.images.volume",
    "load": "oncotrack.images.files",
    "load_study": "oncotrack.images.dicom",
    "load_suv": "oncotrack.images.files",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that ``import oncotrack`` stays fast."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)

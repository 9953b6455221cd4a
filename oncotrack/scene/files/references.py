"""Check of the files that a scene names, before it is read: all of them must lie in its own bundle.

MRML follows absolute paths, "..", links and network addresses, and image headers in a bundle may name data files elsewhere:
a scene from a stranger could show other files of this computer, or make it fetch from the network.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote
from xml.parsers import expat

from oncotrack.errors import InputError
from oncotrack.images.nrrd import read_fields
from oncotrack.images.voxel_data import data_files

_NAMES_FILE = re.compile(r"(file(list)?(name|member\d+)|.*filename.*|uri.*|.*url)$", re.IGNORECASE)
"""Attributes that name a file or an address: fileName, fileListMember0, uri, uriListMember0, referenceFileName ..."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_DETACHED = re.compile(rb"^\s*ElementDataFile\s*=\s*(.+?)\s*$", re.MULTILINE)
_HEADER_BYTES = 2**20


def check_references(description: Path, folder: Path, source: Path) -> None:
    """Check every file that a scene and the headers beside it name.

    Parameters
    ----------
    description : Path
        The scene's .mrml file.
    folder : Path
        The bundle's folder; files in it and below may be read.
    source : Path
        The file that the scene comes from, for messages.

    Raises
    ------
    InputError
        A file elsewhere or a network address is named, or the description defines entities of its own.
    """
    for name in _named_files(description, source):
        _check_name(name, description.parent, folder, source)
    for path in folder.rglob("*"):
        if path.is_file():
            _check_header(path, source)


def _named_files(description: Path, source: Path) -> Iterator[str]:
    """Yield what the attributes of the scene's nodes name."""
    found: list[str] = []
    parser = expat.ParserCreate()

    def refuse(*_about: object) -> None:
        raise InputError(
            f"{source} was not opened: its scene description defines text that expands itself (entities), which no scene "
            "needs. Do not trust this file."
        )

    parser.EntityDeclHandler = parser.ExternalEntityRefHandler = refuse
    parser.StartElementHandler = lambda _tag, attributes: found.extend(
        value for name, value in attributes.items() if _NAMES_FILE.match(name) and value
    )
    with contextlib.suppress(expat.ExpatError):  # the trial reading refuses it; what stands before the fault is checked
        parser.Parse(description.read_bytes(), True)
    yield from found


def _check_name(name: str, here: Path, folder: Path, source: Path) -> None:
    for text in {name, unquote(name)}:
        if _SCHEME.match(text):
            raise InputError(
                f"{source} was not opened: it names the address {_shown(text)}, and OncoTrack reads nothing from addresses. "
                "Save the scene again with all its files, as one .mrb file."
            )
        path = (here / text.replace("\\", "/")).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise InputError(
                f"{source} was not opened: it names the file {_shown(text)} outside the scene. Save the scene again with all "
                "its files, as one .mrb file."
            )


def _check_header(path: Path, source: Path) -> None:
    """Check the data files that a NRRD or MetaImage header names."""
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(0)
        if start == b"NRRD":
            name = read_fields(file, path)[0].get("data file", "")
        elif path.suffix.lower() in (".mha", ".mhd"):
            found = _DETACHED.search(file.read(_HEADER_BYTES))
            name = found[1].decode("utf-8", "replace") if found else ""
            name = "" if name.upper() == "LOCAL" else name
        else:
            return
    if name:
        try:
            data_files(path, name)
        except InputError as error:
            raise InputError(f"{source} was not opened: {error}") from error


def _shown(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:77]}..."

"""Trial reading of a scene description in a scene of its own, before the reader's scene is replaced."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import slicer
import vtk

from oncotrack.background.isolation import isolated
from oncotrack.errors import InputError
from oncotrack.images import nrrd
from oncotrack.scene.views.application import new_scene

_UNKNOWN = re.compile(r"Failed to CreateNodeByClass: vtkMRML(\w+?)(?:Node)?$")
_UNREAD = re.compile(r"Failed to read node (.*) \((\w+)\) using storage node")
_SYNTAX = re.compile("Syntax error|Error parsing XML")
_NEEDED = "vtkMRMLVolumeNode", "vtkMRMLTextNode", "vtkMRMLSegmentationNode", "vtkMRMLTransformNode"
_log = logging.getLogger(__name__)


def missing_parts(description: Path, source: Path) -> tuple[str, ...]:
    """Return what a scene would lack: the kinds of node that only other programs know, and nodes without their data.

    Parameters
    ----------
    description : Path
        The scene's .mrml file.
    source : Path
        The file that it comes from, for messages.

    Raises
    ------
    InputError
        It is no scene description, or an image, a segmentation, a transform or the findings in it cannot be read.
    """
    return _tried(source, description)


@isolated
def _tried(source: Path, description: Path) -> tuple[str, ...]:
    """Return what `missing_parts` returns, from the process that reads files where there is one."""
    for path in sorted(description.parent.rglob("*.nrrd")):
        try:
            nrrd.check_voxels(path)
        except InputError as error:
            raise InputError(
                f"{source} was not opened: {path.name} in it is damaged or incomplete. The open scene is unchanged. Choose "
                "another .mrb file."
            ) from error
    application = new_scene()
    scene, messages = application.scene, slicer.vtkMRMLMessageCollection()
    scene.SetURL(str(description))
    with to_log():
        is_whole = scene.Connect(messages)
    texts = [messages.GetNthMessageText(n) or "" for n in range(messages.GetNumberOfMessages())]
    unknown = Counter(match[1] for text in texts if (match := _UNKNOWN.search(text)))
    unread = [(match[1], scene.GetNodeByID(match[2])) for text in texts if (match := _UNREAD.search(text))]
    needed = [name for name, node in unread if node is None or any(map(node.IsA, _NEEDED))]
    is_damaged = any(_SYNTAX.search(text) for text in texts) or not (is_whole or unknown or unread)
    if needed or is_damaged:
        what = f"{_listed(needed)} in it cannot be read" if needed else "its scene description is damaged"
        raise InputError(f"{source} was not opened: {what}. The open scene is unchanged. Choose another .mrb file.")
    kinds = [f"{count} {kind}" if count > 1 else kind for kind, count in unknown.items()]
    return (*kinds, *(name for name, _node in unread))


def notice(missing: Sequence[str]) -> str:
    """Return a sentence on what is missing in an opened scene; "" when nothing is.

    Parameters
    ----------
    missing : sequence of str
        See `missing_parts`.
    """
    if not missing:
        return ""
    return f"It holds parts that cannot be shown here, and a scene saved here will lack them: {_listed(missing)}."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


@contextmanager
def to_log() -> Iterator[None]:
    """Send what VTK prints to the log; the reader gets one sentence instead."""
    window, kept = vtk.vtkOutputWindow.GetInstance(), vtk.vtkStringOutputWindow()
    vtk.vtkOutputWindow.SetInstance(kept)
    try:
        yield
    finally:
        vtk.vtkOutputWindow.SetInstance(window)
        if text := kept.GetOutput():
            _log.debug("%s", text)

"""Scenes on disk: one .mrb file that holds the images, every mark, and the list of findings."""

from __future__ import annotations

import zipfile
from pathlib import Path

import slicer

from oncotrack.atomic import replacing
from oncotrack.errors import InputError, OutputError


def save_scene(scene: slicer.vtkMRMLScene, path: str | Path) -> Path:
    """Write the whole scene to an .mrb file, which is either complete or not there.

    Raises
    ------
    InputError
        The name does not end in .mrb.
    OutputError
        The folder cannot be written to, or a node cannot be stored.
    """
    target = Path(path).absolute()
    if target.suffix.lower() != ".mrb":
        raise InputError(f"A scene is saved as an .mrb file; {target.name} is not one. Choose another name.")
    url, root = scene.GetURL(), scene.GetRootDirectory()
    try:
        with replacing(target) as temporary:
            if not scene.WriteToMRB(str(temporary)) or not temporary.is_file():
                raise OutputError(
                    f"The scene could not be saved to {target}. Check that the disk has room, and save again."
                )
    finally:
        scene.SetURL(url or "")
        scene.SetRootDirectory(root or "")
    return target


def open_scene(scene: slicer.vtkMRMLScene, path: str | Path) -> None:
    """Replace what the scene holds by an .mrb file's content; a file that cannot be read changes nothing.

    Raises
    ------
    InputError
        No such file, not an .mrb file, or damaged.
    """
    source = Path(path).absolute()
    if not source.is_file():
        raise InputError(f"There is no file {source}. Choose an .mrb file.")
    try:
        with zipfile.ZipFile(source) as bundle:
            damaged = bundle.testzip()
            holds_scene = any(name.endswith(".mrml") for name in bundle.namelist())
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(
            f"{source} is not an .mrb file, or it is cut off. Choose a scene that was saved whole."
        ) from error
    if damaged or not holds_scene:
        what = f"{damaged} in it is damaged" if damaged else "there is no scene in it"
        raise InputError(f"{source} cannot be opened: {what}. Choose another .mrb file.")
    if not scene.ReadFromMRB(str(source), True):
        raise InputError(f"{source} could not be read completely. Check which parts are missing before you go on.")

"""Saving and opening scenes: one .mrb file with the images, all nodes and the list of findings.

MRML is written and read on the GUI thread; compressing and unpacking, which take nearly all the time, run on any thread.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import slicer

from oncotrack.atomic import file_to_replace, folder_beside, move
from oncotrack.background.isolation import is_isolated
from oncotrack.background.jobs import Progress
from oncotrack.errors import InputError, OutputError
from oncotrack.scene.files import trial
from oncotrack.scene.files.references import check_references
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.views.finding_labels import labels_of_slicer

_CHUNK_BYTES = 2**20
_LARGEST_BYTES = 64 * 2**30
_LEVEL = 1  # of zlib: three times as fast as its default, for 2 % more bytes


def save_task(scene: slicer.vtkMRMLScene, path: str | Path) -> Task:
    """Return the task that saves the whole scene, as it is now, to an .mrb file; on failure an existing file stays as it was.

    The scene's files are written at once; the task compresses them, and applying it moves the .mrb file to its path and
    returns the path.

    Raises
    ------
    InputError
        The name does not end in .mrb.
    OutputError
        The folder cannot be written to, or a node cannot be stored.
    """
    target = file_to_replace(path)
    if target.suffix.lower() != ".mrb":
        raise InputError(f"A scene is saved as an .mrb file; {target.name} is not one. Choose another name.")
    folder = folder_beside(target)
    packed, parts = folder / target.name, folder / "parts" / target.stem

    def abandon() -> None:
        shutil.rmtree(folder, ignore_errors=True)

    def work(progress: Progress) -> Path:
        try:
            _pack(parts, packed, progress)
        except OSError as error:
            raise _unsaved(target) from error
        return packed

    def apply(whole: Path) -> Path:
        try:
            move(whole, target)
        except OSError as error:
            raise _unsaved(target) from error
        finally:
            abandon()
        return target

    try:
        with labels_of_slicer(scene):
            _write_parts(scene, parts, target)
    except BaseException:
        abandon()
        raise
    return Task("Saving the scene", work, apply, abandon)


def open_task(scene: slicer.vtkMRMLScene, path: str | Path) -> Task:
    """Return the task that replaces the scene's content by that of an .mrb file; a file that cannot be read changes nothing.

    Applying it returns a sentence on what is missing, such as nodes that only other programs know; "" when nothing is.

    Raises
    ------
    InputError
        When it runs: no such file, not an .mrb file, or damaged.
    """
    source = Path(path).absolute()
    folder = Path(tempfile.mkdtemp(prefix="oncotrack-scene-"))

    def abandon() -> None:
        shutil.rmtree(folder, ignore_errors=True)

    def work(progress: Progress) -> tuple[Path, tuple[str, ...] | None]:
        description = _unpack(source, folder, progress)
        # MRML needs the GUI thread of this process, but not that of the helper process
        return description, trial.missing_parts(description, source) if is_isolated() else None

    def apply(unpacked: tuple[Path, tuple[str, ...] | None]) -> str:
        description, missing = unpacked
        try:
            missing = trial.missing_parts(description, source) if missing is None else missing
            scene.SetURL(str(description))
            with trial.to_log():
                is_whole = scene.Connect()
            if not is_whole and not missing:
                raise InputError(f"{source} could not be read completely. Check which images or findings are missing.")
            return trial.notice(missing)
        finally:
            abandon()

    return Task("Opening the scene", work, apply, abandon)


def save_scene(scene: slicer.vtkMRMLScene, path: str | Path) -> Path:
    """Run `save_task` on this thread; returns the file's path."""
    return save_task(scene, path).run()


def open_scene(scene: slicer.vtkMRMLScene, path: str | Path) -> str:
    """Run `open_task` on this thread; returns the sentence on what is missing."""
    return open_task(scene, path).run()


def _write_parts(scene: slicer.vtkMRMLScene, folder: Path, target: Path) -> None:
    folder.mkdir(parents=True)
    url, root = scene.GetURL(), scene.GetRootDirectory()
    try:
        _store_volumes_raw(scene)
        if not scene.SaveSceneToSlicerDataBundleDirectory(str(folder)):
            raise _unsaved(target)
    finally:
        scene.SetURL(url or "")
        scene.SetRootDirectory(root or "")


def _store_volumes_raw(scene: slicer.vtkMRMLScene) -> None:
    """Set every volume to be written uncompressed: compressing it on the GUI thread would take most of the time."""
    volumes = scene.GetNodesByClass("vtkMRMLVolumeNode")
    volumes.UnRegister(None)
    for index in range(volumes.GetNumberOfItems()):
        volume = volumes.GetItemAsObject(index)
        if volume.GetStorageNode() is None:
            volume.AddDefaultStorageNode()
        if volume.GetStorageNode() is not None:
            volume.GetStorageNode().SetUseCompression(False)


def _pack(folder: Path, packed: Path, progress: Progress) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    total, done = sum(path.stat().st_size for path in files) or 1, 0
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as bundle:
        for path in files:
            name = path.relative_to(folder.parent).as_posix()
            with path.open("rb") as source, bundle.open(name, "w", force_zip64=True) as copy:
                while chunk := source.read(_CHUNK_BYTES):
                    progress(done / total, "")
                    copy.write(chunk)
                    done += len(chunk)


def _unpack(source: Path, folder: Path, progress: Progress) -> Path:
    """Unpack a bundle into a folder; returns its scene description (.mrml)."""
    if not source.is_file():
        raise InputError(f"There is no file {source}. Choose an .mrb file.")
    try:
        with zipfile.ZipFile(source) as bundle:
            entries = [entry for entry in bundle.infolist() if not entry.is_dir()]
            _check(entries, source)
            _check_size(sum(entry.file_size for entry in entries), folder, source)
            total, done = sum(entry.file_size for entry in entries) or 1, 0
            for entry in entries:
                target = folder / entry.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    with bundle.open(entry) as packed, target.open("wb") as copy:
                        while chunk := packed.read(_CHUNK_BYTES):
                            progress(done / total, "")
                            copy.write(chunk)
                            done += len(chunk)
                except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
                    raise InputError(
                        f"{source} cannot be opened: {entry.filename} in it is damaged or protected by a password. Choose another .mrb "
                        "file."
                    ) from error
    except (zipfile.BadZipFile, OSError) as error:
        raise InputError(
            f"{source} is not an .mrb file, or it is incomplete. Choose a scene that was saved completely."
        ) from error
    description = next(folder / entry.filename for entry in entries if entry.filename.endswith(".mrml"))
    check_references(description, folder, source)
    return description


def _check(entries: Iterable[zipfile.ZipInfo], source: Path) -> None:
    names = [Path(entry.filename) for entry in entries]
    if any(name.is_absolute() or ".." in name.parts for name in names):
        raise InputError(
            f"{source} contains a path that leads outside its own folder, so it was not opened. Do not trust this file."
        )
    if not any(name.suffix == ".mrml" for name in names):
        raise InputError(f"{source} cannot be opened: there is no scene in it. Choose another .mrb file.")


def _check_size(size: int, folder: Path, source: Path) -> None:
    free = shutil.disk_usage(folder).free
    if size > _LARGEST_BYTES or size > free:
        reason = "the disk for temporary files has" if size > free else "OncoTrack opens scenes up to"
        raise InputError(
            f"{source} was not opened: unpacked it takes {size / 2**30:.1f} GiB, and {reason} "
            f"{min(free, _LARGEST_BYTES) / 2**30:.1f} GiB. Check that it is the right file."
        )


def _unsaved(target: Path) -> OutputError:
    return OutputError(f"The scene could not be saved to {target}. Check that the disk has room, and save again.")

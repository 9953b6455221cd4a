"""A scene file is complete or not written."""

from __future__ import annotations

import sys
import zipfile

import pytest

from oncotrack.background import helper_process, isolation
from oncotrack.errors import Cancelled, InputError, MissingPackageError, OutputError
from oncotrack.scene.files.storage import open_scene, open_task, save_scene, save_task
from oncotrack.scene.nodes.volumes import add_volume
from oncotrack.scene.views.application import new_scene
from oncotrack.scene.views.opengl import check_drawing


@pytest.fixture
def saved(scene, make_phantom, tmp_path):
    """Save a scene with one volume."""
    add_volume(scene, make_phantom(name="CT"))
    return save_scene(scene, tmp_path / "folder" / "patient.mrb")


def test_nothing_but_the_file_is_left_behind(saved):
    assert [path.name for path in saved.parent.iterdir()] == ["patient.mrb"]


def test_a_scene_can_be_saved_over_itself(saved, scene):
    size = saved.stat().st_size
    save_scene(scene, saved)
    assert abs(saved.stat().st_size - size) < 2000


def test_another_suffix_is_refused(scene, tmp_path):
    with pytest.raises(InputError, match=r"\.mrb"):
        save_scene(scene, tmp_path / "patient.zip")


def test_a_folder_that_cannot_be_made_is_refused(scene, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Choose a folder"):
        save_scene(scene, tmp_path / "file" / "patient.mrb")


def test_a_truncated_file_is_refused_and_the_open_scene_stays(saved, scene, tmp_path):
    cut = tmp_path / "cut.mrb"
    cut.write_bytes(saved.read_bytes()[: saved.stat().st_size // 2])
    nodes = scene.GetNumberOfNodes()
    with pytest.raises(InputError, match="incomplete"):
        open_scene(scene, cut)
    assert scene.GetNumberOfNodes() == nodes


def test_a_damaged_file_is_refused(saved, scene, tmp_path):
    content = bytearray(saved.read_bytes())
    content[len(content) // 2] ^= 0xFF
    broken = tmp_path / "broken.mrb"
    broken.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        open_scene(scene, broken)


def test_a_scene_with_a_password_is_refused(saved, scene):
    data = bytearray(saved.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[data.index(b"PK\x03\x04") + 6] |= 1  # the bit of the first file, and of its entry in the list of files
    data[at + 8] |= 1
    saved.write_bytes(data)
    nodes = scene.GetNumberOfNodes()
    with pytest.raises(InputError, match="protected by a password"):
        open_scene(scene, saved)
    assert scene.GetNumberOfNodes() == nodes


def test_a_missing_file_is_refused(scene, tmp_path):
    with pytest.raises(InputError, match="no file"):
        open_scene(scene, tmp_path / "none.mrb")


def test_a_volume_is_restored(saved):
    other = new_scene()
    open_scene(other.scene, saved)
    assert other.scene.GetFirstNodeByName("CT").GetImageData().GetDimensions() == (64, 64, 40)


def test_drawing_is_possible_here_and_a_missing_library_is_an_error(monkeypatch):
    check_drawing()
    monkeypatch.setattr("ctypes.CDLL", lambda _name: (_ for _ in ()).throw(OSError()))
    if sys.platform.startswith("linux"):
        with pytest.raises(MissingPackageError, match="OpenGL library is missing"):
            check_drawing()


def cancel(fraction, _text):
    """Progress function that cancels half way."""
    if fraction > 0.3:
        raise Cancelled


def test_a_cancelled_save_leaves_only_the_old_file(saved, scene, make_phantom):
    before = saved.read_bytes()
    add_volume(scene, make_phantom(name="another"))
    with pytest.raises(Cancelled):
        save_task(scene, saved).run(cancel)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["patient.mrb"]


def test_the_scene_is_saved_as_it_was_when_the_task_was_made(saved, scene, make_phantom):
    task = save_task(scene, saved)
    add_volume(scene, make_phantom(name="later"))
    task.run()
    other = new_scene()
    open_scene(other.scene, saved)
    assert other.scene.GetFirstNodeByName("later") is None


def test_a_cancelled_opening_leaves_the_scene(saved, scene, make_phantom, tmp_path):
    for name in ("second", "third"):
        add_volume(scene, make_phantom(name=name))
    larger = save_scene(scene, tmp_path / "larger.mrb")
    other = new_scene()
    add_volume(other.scene, make_phantom(name="kept"))
    with pytest.raises(Cancelled):
        open_task(other.scene, larger).run(cancel)
    assert other.scene.GetFirstNodeByName("kept") is not None


def test_a_bundle_that_leads_out_of_its_folder_is_refused(scene, tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.mrb", "w") as bundle:
        bundle.writestr("../outside.txt", "x")
        bundle.writestr("a/a.mrml", "<MRML/>")
    with pytest.raises(InputError, match="outside"):
        open_scene(scene, tmp_path / "bad.mrb")
    assert not (tmp_path.parent / "outside.txt").exists()


def test_an_opened_scene_can_be_saved_and_opened_again(saved, tmp_path):
    other, third = new_scene(), new_scene()
    open_scene(other.scene, saved)
    open_scene(third.scene, save_scene(other.scene, tmp_path / "again.mrb"))
    assert third.scene.GetFirstNodeByName("CT").GetImageData().GetDimensions() == (64, 64, 40)


def changed_copy(source, target, edit=lambda text: text, without="nothing"):
    """Write a copy of a scene file with an edited scene description, and without some files."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            if without not in name:
                content = old.read(name)
                new.writestr(name, edit(content.decode()).encode() if name.endswith(".mrml") else content)
    return target


BY_SLICER = (
    '<SequenceBrowser id="vtkMRMLSequenceBrowserNode1" name="Browser"></SequenceBrowser>'
    '<VolumeProperty id="vtkMRMLVolumePropertyNode1"></VolumeProperty>'
    '<VolumeProperty id="vtkMRMLVolumePropertyNode2"></VolumeProperty><Volume'
)


def test_nodes_that_only_other_programs_know_are_named_and_the_rest_is_opened(saved, tmp_path):
    path = changed_copy(saved, tmp_path / "slicer.mrb", lambda text: text.replace("<Volume", BY_SLICER, 1))
    other = new_scene()
    notice = open_scene(other.scene, path)
    assert "SequenceBrowser, 2 VolumeProperty" in notice and "will lack them" in notice
    assert other.scene.GetFirstNodeByName("CT").GetImageData().GetDimensions() == (64, 64, 40)
    assert open_scene(other.scene, saved) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"edit": lambda text: text[: len(text) // 2]}, "its scene description is damaged"),
        ({"edit": lambda text: text.replace("<Volume", BY_SLICER, 1)[:-30]}, "its scene description is damaged"),
        ({"edit": lambda _text: ""}, "its scene description is damaged"),
        ({"without": "CT.nrrd"}, "CT in it cannot be read"),
    ],
)
def test_a_scene_that_cannot_be_read_leaves_the_open_one_as_it_was(saved, make_phantom, tmp_path, change, words):
    path = changed_copy(saved, tmp_path / "bad.mrb", **change)
    other = new_scene()
    kept = add_volume(other.scene, make_phantom(name="kept"))
    count = other.scene.GetNumberOfNodes()
    with pytest.raises(InputError, match=words):
        open_scene(other.scene, path)
    assert other.scene.GetNumberOfNodes() == count
    assert other.scene.GetFirstNodeByName("kept") is kept


@pytest.fixture
def helped(monkeypatch):
    """Read in a helper process."""
    monkeypatch.delenv(isolation.SWITCH, raising=False)
    isolation.use_helper()
    yield
    isolation._helpers.are_used = False


def test_a_scene_is_tried_in_the_helper_process(saved, scene, tmp_path, helped, monkeypatch):
    nodes = scene.GetNumberOfNodes()
    assert open_scene(scene, saved) == ""
    assert scene.GetNumberOfNodes() == nodes
    with zipfile.ZipFile(saved) as bundle, zipfile.ZipFile(tmp_path / "cut.mrb", "w") as cut:
        for entry in bundle.infolist():
            content = bundle.read(entry)
            cut.writestr(entry.filename, content[:-500] if entry.filename.endswith(".nrrd") else content)
    with pytest.raises(InputError, match=r"CT\.nrrd in it is damaged"):
        open_scene(scene, tmp_path / "cut.mrb")
    monkeypatch.setattr(isolation, "SECONDS", 0.0)
    monkeypatch.setattr(helper_process, "_POLL_S", 0.001)
    with pytest.raises(InputError, match=r"patient\.mrb could not be read within"):
        open_scene(scene, saved)
    assert scene.GetNumberOfNodes() == nodes

"""Scenes on disk are whole or not there."""

from __future__ import annotations

import pytest

from oncotrack.errors import InputError, OutputError
from oncotrack.scene.application import check_drawing, new_scene
from oncotrack.scene.storage import open_scene, save_scene
from oncotrack.scene.volumes import add_volume


@pytest.fixture
def saved(scene, make_phantom, tmp_path):
    """A scene with one volume, on disk."""
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


def test_a_folder_that_cannot_be_made_is_said(scene, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Choose a folder"):
        save_scene(scene, tmp_path / "file" / "patient.mrb")


def test_a_cut_off_file_is_refused_and_the_open_scene_stays(saved, scene, tmp_path):
    cut = tmp_path / "cut.mrb"
    cut.write_bytes(saved.read_bytes()[: saved.stat().st_size // 2])
    nodes = scene.GetNumberOfNodes()
    with pytest.raises(InputError, match="cut off"):
        open_scene(scene, cut)
    assert scene.GetNumberOfNodes() == nodes


def test_a_damaged_file_is_refused(saved, scene, tmp_path):
    content = bytearray(saved.read_bytes())
    content[len(content) // 2] ^= 0xFF
    broken = tmp_path / "broken.mrb"
    broken.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        open_scene(scene, broken)


def test_a_file_that_is_not_there_is_said(scene, tmp_path):
    with pytest.raises(InputError, match="no file"):
        open_scene(scene, tmp_path / "none.mrb")


def test_a_volume_comes_back(saved):
    other = new_scene()
    open_scene(other.scene, saved)
    assert other.scene.GetFirstNodeByName("CT").GetImageData().GetDimensions() == (64, 64, 40)


def test_drawing_is_possible_here():
    check_drawing()

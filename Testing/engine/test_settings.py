"""The reader's settings are kept in one file; a damaged one is replaced by the usual values and reported."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from oncotrack.errors import InputError, OutputError
from oncotrack.settings import Choices, Settings, settings_file


@pytest.fixture
def path(tmp_path):
    return tmp_path / "config" / "reader.json"


def test_without_a_file_the_usual_values_are_used_and_nothing_is_written(path):
    settings = Settings(path)
    assert settings.choices == Choices() and settings.problem == ""
    settings.change(mouse_mode="select")
    assert not path.exists()


def test_a_change_is_read_again_by_the_next_session(path):
    Settings(path).change(
        mouse_mode="pan", cine_speed=25, slab_mode="maximum", slab_mm=40, image_text="none", theme="light"
    )
    assert Settings(path).choices == Choices(
        mouse_mode="pan", cine_speed=25, slab_mode="maximum", slab_mm=40.0, image_text="none", theme="light"
    )
    assert [each.name for each in path.parent.iterdir()] == ["reader.json"], "no temporary file stays"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"pan"', '{"mouse_mode": "fly"}', '{"cine_speed": "quick"}', '{"cine_speed": 0}',
     '{"slab_mm": 1e999}', '{"slab_mm": NaN}', b"\xff\xfe\x00"],
)  # fmt: skip
def test_a_damaged_file_gives_the_usual_values_and_a_sentence(path, text):
    path.parent.mkdir()
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    settings = Settings(path)
    assert settings.choices == Choices()
    assert str(path) in settings.problem and settings.problem.endswith(".")
    settings.change(mouse_mode="zoom")
    assert Settings(path).choices.mouse_mode == "zoom" and Settings(path).problem == ""


def test_a_setting_of_another_version_is_ignored(path):
    path.parent.mkdir()
    path.write_text(json.dumps({**asdict(Choices(cine_speed=7)), "of_tomorrow": 1}))
    assert Settings(path).choices == Choices(cine_speed=7)


@pytest.mark.parametrize("wrong", [{"mouse_mode": "fly"}, {"cine_speed": 31}, {"slab_mm": -1.0}, {"unknown": 1}])
def test_a_wrong_value_is_refused_and_changes_nothing(path, wrong):
    settings = Settings(path)
    with pytest.raises(InputError, match=next(iter(wrong))):
        settings.change(**wrong)
    assert settings.choices == Choices() and not path.exists()


def test_a_folder_that_cannot_be_written_is_named_and_the_choice_is_used(path):
    path.parent.write_text("a file where the folder should be")
    settings = Settings(path)
    with pytest.raises(OutputError, match="could not be kept"):
        settings.change(mouse_mode="pan")
    assert settings.choices.mouse_mode == "pan"


def test_the_file_lies_in_the_folder_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("ONCOTRACK_CONFIG", str(tmp_path))
    assert settings_file() == tmp_path / "reader.json"
    monkeypatch.delenv("ONCOTRACK_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    assert "oncotrack" in str(settings_file())

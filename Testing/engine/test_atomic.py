"""Files are written completely or not at all, survive a power cut, and replace nothing that another session wrote."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from oncotrack import atomic
from oncotrack.errors import OutputError


def test_a_link_stays_a_link_and_the_file_it_points_to_is_replaced(tmp_path):
    (tmp_path / "store").mkdir()
    target, link = tmp_path / "store" / "findings.json", tmp_path / "findings.json"
    target.write_text("old")
    link.symlink_to(target)
    atomic.write_text(link, "new")
    assert link.is_symlink() and target.read_text() == "new"
    assert [path.name for path in target.parent.iterdir()] == ["findings.json"]


def test_devices_pipes_folders_and_circles_of_links_are_refused_and_stay(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for path in ("/dev/null", tmp_path / "pipe", tmp_path / "folder", tmp_path / "circle"):
        with pytest.raises(OutputError, match="cannot be written"):
            atomic.write_text(path, "text")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_text_is_on_the_disk_before_it_gets_its_name_and_the_name_too(tmp_path, monkeypatch):
    done = []
    sync, replace = os.fsync, type(tmp_path).replace
    monkeypatch.setattr(
        os, "fsync", lambda handle: done.append(str(Path(f"/proc/self/fd/{handle}").readlink())) or sync(handle)
    )
    monkeypatch.setattr(type(tmp_path), "replace", lambda *paths: done.append("named") or replace(*paths))
    atomic.write_text(tmp_path / "findings.json", "text")
    first, *others = done
    assert first.endswith("findings.json") and others == ["named", str(tmp_path)]


def test_a_failed_writing_leaves_the_old_file_alone(tmp_path):
    path = atomic.write_text(tmp_path / "findings.json", "old")
    with pytest.raises(ZeroDivisionError), atomic.replacing(path) as temporary:
        temporary.write_text("half")
        1 / 0  # noqa: B018
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_set_aside_has_the_time_of_its_change_and_a_name_of_its_own(tmp_path):
    for _ in range(2):
        path = tmp_path / "masks.seg.nrrd"
        path.write_text("masks")
        os.utime(path, (0, 1_700_000_000))
        atomic.set_aside(path)
    names = sorted(each.name for each in tmp_path.iterdir())
    assert len(names) == 2 and all(name.startswith("masks.20231114-") and name.endswith(".seg.nrrd") for name in names)


def test_files_of_earlier_sessions_are_kept_and_those_of_this_one_are_replaced(tmp_path):
    for name in ("findings.json", "nodes.mrk.json"):
        (tmp_path / name).write_text("of another patient")
    earlier = atomic.EarlierFiles(tmp_path)
    atomic.write_text(tmp_path / "findings.json", "first")
    atomic.write_text(tmp_path / "findings.json", "second")
    atomic.remove(tmp_path / "nodes.mrk.json")
    earlier.close()
    assert (tmp_path / "findings.json").read_text() == "second" and not (tmp_path / "nodes.mrk.json").exists()
    assert set(earlier.kept) == {"findings.json", "nodes.mrk.json"}
    assert {(tmp_path / name).read_text() for name in earlier.kept.values()} == {"of another patient"}
    assert len(list(tmp_path.iterdir())) == 3
    atomic.write_text(tmp_path / "findings.json", "after the session")
    assert len(list(tmp_path.iterdir())) == 3

"""The example scripts run without arguments, from any folder, and print their results."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Return a function that runs a script in an empty folder and returns what it printed."""

    def run(name: str) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [name])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        assert not list(tmp_path.iterdir()), "an example writes no files"
        return capsys.readouterr().out

    return run


def number(pattern: str, text: str) -> float:
    """Return the number that a pattern captures."""
    found = re.search(pattern, text)
    assert found, text
    return float(found.group(1))


def test_follow_finds_the_lesion_near_its_true_position(run):
    printed = run("follow.py")
    assert re.search("Found: +yes", printed)
    assert number(r"Distance to true position: +([\d.]+) mm", printed) < 5
    assert number(r"Cycle error: +([\d.]+) mm", printed) < 5


def test_detect_lists_candidates_with_size_and_score(run):
    printed = run("detect.py")
    found = number(r"^(\d+) candidates found by lntracker", printed)
    assert found >= 1
    rows = re.findall(
        r"^.+: R .+ mm, (box )?[\d.]+ mm x [\d.]+ mm, on \d+ slices?, score [01]\.\d\d$", printed, re.MULTILINE
    )
    assert len(rows) == min(found, 10)


def test_mask_in_3d_holds_about_the_true_volume(run):
    printed = run("mask.py")
    assert number(r"in the slice: (\d+) voxels on 1 slices", printed) > 5
    assert number(r"in 3D: .+ slices, ([\d.]+) ml", printed) == pytest.approx(
        number(r"True volume: ([\d.]+) ml", printed), rel=0.5
    )

"""The example scripts run without arguments, from any folder, and print their results."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def run(name: str, folder: Path) -> str:
    """Run a script in a process of its own and return what it printed."""
    paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, REPOSITORY / "examples" / name],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert not list(folder.iterdir()), "an example writes no files"
    return done.stdout


def number(pattern: str, text: str) -> float:
    """Return the number that a pattern captures."""
    found = re.search(pattern, text)
    assert found, text
    return float(found.group(1))


def test_follow_finds_the_lesion_near_its_true_position(tmp_path):
    printed = run("follow.py", tmp_path)
    assert re.search("Found: +yes", printed)
    assert number(r"Distance to true position: +([\d.]+) mm", printed) < 5
    assert number(r"Cycle error: +([\d.]+) mm", printed) < 5


def test_detect_lists_candidates_with_size_and_score(tmp_path):
    printed = run("detect.py", tmp_path)
    found = number(r"^(\d+) candidates found by lntracker", printed)
    assert found >= 1
    rows = re.findall(r"^.+: R .+ mm, \d+ x \d+ mm, on \d+ slices, score [01]\.\d\d$", printed, re.MULTILINE)
    assert len(rows) == min(found, 10)


def test_mask_in_3d_holds_about_the_true_volume(tmp_path):
    printed = run("mask.py", tmp_path)
    assert number(r"in the slice: (\d+) voxels on 1 slices", printed) > 5
    assert number(r"in 3D: .+ slices, ([\d.]+) ml", printed) == pytest.approx(
        number(r"True volume: ([\d.]+) ml", printed), rel=0.5
    )

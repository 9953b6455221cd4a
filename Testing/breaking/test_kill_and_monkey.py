"""The short part of the harness: killed processes lose nothing, and random work leaves no error and no memory behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def run(script: str, *options: str) -> dict:
    """Run a part of the harness and return what it prints."""
    done = subprocess.run([sys.executable, str(HERE / script), *options], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_no_acknowledged_edit_is_lost_when_the_program_is_killed():
    outcome = run("kill.py", "engine", "--kills", "60", "--seconds", "60")
    assert outcome["lost"] == 0 and outcome["kills"] >= 5 and outcome["acknowledged_edits"] >= 10


def test_random_work_on_a_scene_ends_in_sentences_and_leaves_no_memory_behind():
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    outcome = run("monkey.py", "scene", "--commands", "200", "--cycles", "12", "--seconds", "60")
    assert outcome["commands"] >= 20 and outcome["open_close_cycles"] >= 1

"""Memory that is given back to the system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

WORK = """
import re, sys
from pathlib import Path
import numpy as np
from oncotrack.background.memory import keep_large_blocks_apart

def resident():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

if sys.argv[1] == "apart":
    assert keep_large_blocks_apart()
np.ones(30 * 2**20, np.uint8)  # freed: glibc keeps blocks up to this size from now on
images, objects = [], []
before = resident()
for _ in range(200):
    images.append(np.ones(2**20, np.uint8))
    objects.append(bytes(2000))
most = resident()
del images
print(most - before, resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_large_blocks_are_given_back_although_small_ones_beside_them_are_used():
    def run(how: str) -> list[float]:
        done = subprocess.run(
            [sys.executable, "-c", WORK, how], capture_output=True, text=True, timeout=120, check=True
        )
        return [float(part) for part in done.stdout.split()]

    most, left = run("apart")
    assert most > 190 and left < 10
    assert run("as ever")[1] > 100

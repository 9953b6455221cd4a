"""Open damaged files of every format that OncoTrack reads, and check what comes of each.

A damaged file must be refused with a sentence, or read as if nothing had happened. Where no checksum and no length covers the
damage (a bit of a voxel in an uncompressed file, a voxel size that becomes another possible one), the file is a whole file of
another content, which no program can know: these are counted apart. Anything else is a failure: a traceback, more than 30 s, the
end of the process, more memory than 1.5 times what the valid file needs and 300 MB, or a result that differs in silence.

    python Testing/breaking/corpus.py --seed 1 --count 5000 --seconds 600
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")

from breaking.damage import Damaged, damaged
from breaking.valid_files import Kind, make

from oncotrack.background import isolation
from oncotrack.background.isolation import use_helper
from oncotrack.errors import OncoTrackError

LONGEST_S = 30
MORE_MEMORY = 1.5, 300 * 2**20
_STOPPED = "stopped the process that reads files"


@dataclass
class Outcome:
    """What came of the damaged files.

    Attributes
    ----------
    counts : Counter
        How many were refused, read as before, read as another whole file; and the failures by their kind.
    failures : list of str
        A line for each failure: the seed, the file, the damage, what happened.
    peak : int
        Most memory that the process which reads files used beyond what it needs for the valid files, bytes.
    """

    counts: Counter = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    peak: int = 0

    def summary(self) -> str:
        """Return one line."""
        tried = sum(self.counts.values())
        known = "refused", "as before", "another whole file"
        said = [f"{self.counts[name]} {name}" for name in known]
        said += [f"{count} {name.upper()}" for name, count in self.counts.items() if name not in known]
        return (
            f"damaged files: {tried} tried, {', '.join(said)}; {len(self.failures)} failures; most memory beyond the valid "
            f"file {self.peak / 2**20:.0f} MB"
        )


class TookTooLong(BaseException):
    """Raised by the alarm."""


def run(seed: int, count: int, seconds: float, folder: Path, only: str = "", has_scene: bool = True) -> Outcome:
    """Try damaged files until `count` were tried or the time is up.

    Parameters
    ----------
    seed : int
        The same seed makes the same files.
    count : int
        Most files.
    seconds : float
        Longest time.
    folder : Path
        For the files; they are removed.
    only : str
        Only kinds whose name contains this.
    has_scene : bool
        Whether scenes are among them.
    """
    kinds = [kind for kind in make(folder / "valid", has_scene) if only in kind.name]
    order = [kind for kind in kinds for _ in range(kind.weight)]
    outcome = Outcome()
    before = {kind.name: kind.read(kind.path) for kind in kinds}
    memory = _Memory()
    deadline = time.monotonic() + seconds
    for number in range(count):
        if time.monotonic() > deadline:
            break
        random = np.random.default_rng([seed, number])
        kind = order[int(random.integers(len(order)))]
        _try(kind, f"{seed}/{number}", random, folder / "damaged", before[kind.name], outcome, memory)
    return outcome


def _try(
    kind: Kind, number: str, random: np.random.Generator, folder: Path, before: Any, outcome: Outcome, memory: _Memory
) -> None:
    """Damage one file, read it, and note what came of it."""
    made = damaged(kind.damaged.read_bytes(), kind.damaged.name, kind.header, kind.is_checked, random)
    path = folder / kind.path.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if kind.path.is_dir():
        shutil.copytree(kind.path, path)
        (path / kind.damaged.name).write_bytes(made.content)
    else:
        if kind.path.name.startswith("detached"):
            for each in kind.path.parent.glob("detached.*"):
                shutil.copy(each, folder)
        (folder / kind.damaged.name).write_bytes(made.content)
    what = f"{kind.name}: {made.what}"
    started = memory.start()
    result = _outcome(kind, path, before, made)
    used = memory.used(started)
    need = kind.damaged.stat().st_size
    outcome.peak = max(outcome.peak, used)
    if used > MORE_MEMORY[0] * need + MORE_MEMORY[1]:
        result = "memory", f"{used / 2**20:.0f} MB"
    outcome.counts[result[0]] += 1
    if result[0] not in ("refused", "as before", "another whole file"):
        outcome.failures.append(f"{number} {what}: {result[0]} {result[1]}")


def _outcome(kind: Kind, path: Path, before: Any, made: Damaged) -> tuple[str, str]:
    signal.signal(signal.SIGALRM, _alarm)
    signal.alarm(LONGEST_S)
    try:
        after = kind.read(path)
    except OncoTrackError as error:
        text = str(error)
        if _STOPPED in text:
            return "crash", text
        is_sentence = len(text) > 20 and text.rstrip()[-1] in ".)" and "Traceback" not in text
        return ("refused", "") if is_sentence else ("no sentence", text)
    except TookTooLong:
        return "hang", ""
    except Exception as error:
        return "traceback", f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    finally:
        signal.alarm(0)
    if after == before:
        return "as before", ""
    is_plain = made.voxel_bytes and kind.is_plain
    if made.is_detectable or (is_plain and not _is_same_but_for(made.voxel_bytes, before, after)):
        return "silently wrong", ""
    return "another whole file", ""


def _is_same_but_for(count: int, before: Any, after: Any) -> bool:
    """Return whether at most so many voxels of an image differ, and nothing else."""
    if before[0] != after[0] or before[2:] != after[2:]:
        return False
    size = len(before[1]) // int(np.prod(before[0]))
    old, new = (np.frombuffer(each[1], f"V{size}") for each in (before, after))
    return int((old != new).sum()) <= count


def _alarm(*_about: object) -> None:
    raise TookTooLong


class _Memory:
    """Memory of the processes that read: the peak is set back before each file; Linux only."""

    def start(self) -> dict[int, int]:
        found = {}
        for pid in self._pids():
            try:
                Path(f"/proc/{pid}/clear_refs").write_text("5")
                found[pid] = self._peak(pid)
            except OSError:
                continue
        return found

    def used(self, before: dict[int, int]) -> int:
        used = 0
        for pid, start in before.items():
            try:
                used = max(used, self._peak(pid) - start)
            except OSError:
                continue
        return used

    def _pids(self) -> list[int]:
        return [os.getpid(), *(helper.pid for helper in isolation._helpers._idle)]

    def _peak(self, pid: int) -> int:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
        return 1024 * int(found[1]) if found else 0


def main() -> None:
    """Run from the command line; the last line is the summary, and the exit code is 1 after a failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--only", default="", help="only kinds whose name contains this")
    parser.add_argument("--in-process", action="store_true", help="without the helper process")
    options = parser.parse_args()
    if not options.in_process:
        use_helper()
    with tempfile.TemporaryDirectory(prefix="oncotrack-corpus-") as folder:
        outcome = run(options.seed, options.count, options.seconds, Path(folder), options.only)
    for line in outcome.failures:
        print(line)
    print(outcome.summary())
    sys.exit(bool(outcome.failures))


if __name__ == "__main__":
    main()

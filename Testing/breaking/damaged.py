"""Call every command with odd arguments and odd files: each call must end with a result or with a sentence, never a traceback.

python Testing/breaking/damaged.py --seed 1 --count 1000 --seconds 600
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")
os.environ["ONCOTRACK_SAMPLES"] = os.environ.get("ONCOTRACK_SAMPLES", tempfile.gettempdir())

import typer
from breaking.damage import damaged
from breaking.valid_files import Kind, make
from typer.testing import CliRunner

from oncotrack.cli.app import app
from oncotrack.cli.commands import COMMANDS, GROUPS
from oncotrack.errors import OncoTrackError

LONGEST_S = 30
_LONG = "n" * 300
_ODD_TEXTS = (
    "",
    " ",
    "nan",
    "-1",
    "0",
    "1e400",
    "99999999999999999999",
    _LONG,
    "ä ü 漢字 🩻",
    "../../x",
    "'",
    '"',
    "$x",
    "a\nb",
    "-",
)
_ODD_JSON = (
    "", "null", "[]", "{}", "0", '"text"', "NaN", "[NaN]", "[" * 5000 + "]" * 5000, '{"a":' * 3000 + "1" + "}" * 3000, "1" * 6000,
    '{"schema": "oncotrack-findings"}', '{"schema": "oncotrack-findings", "version": 3}', '{"schema": "oncotrack-findings", '
    '"version": 1e400}', '{"schema": "oncotrack-findings", "version": true, "time_points": [], "findings": []}',
    '{"long": 1, "short": null}', '{"long": [[1,2,3],[4,5]], "short": []}', '{"coordinates": 7, "long": [], "short": []}',
    '{"markups": [{"type": "Line", "controlPoints": 5}]}', '{"markups": [null, 3]}', '{"findings": [1]}', '{"findings": {"a": 1}}',
    '{"results": [[]]}', '{"a": {"center": NaN}}', '"\\ud800"', '\ufeff{}', '{"long": "x", "short": {"a": 1}, "coordinates": []}',
    '{"markups": [{"type": "Line", "coordinateUnits": [], "controlPoints": [{"position": "x"}]}]}',
)  # fmt: skip
_ODD_CSV = (
    "", "\n\n", "a,b", ";;;", "label\nx", "\0", "label,long_start_r\n1", '"open', "sep=;\n", "x" * 200_000, '"' + "x" * 200_000 + '"\n1',
    "STUDYID,USUBJID\n,", "R,A,S\n1,2", "r,a,s,r,a,s\n1,2,3,nan,inf,1e999", "=1+1,2\n", "USUBJID,TRTESTCD,TRSTRESN\na,DIAMETER,--",
)  # fmt: skip
_LEFT_OUT = {
    "view",
    "demo",
    "samples",
    "bench",
    "evaluate follow",
    "evaluate detector",
    "evaluate petct",
    "evaluate response",
}
"""Commands that serve, go to the network, measure or make patients for long, whatever they are given."""
_LONG_RUNS = {"train", "phantom"}
"""Commands that work for long when their arguments happen to be valid; then they are stopped."""


class TookTooLong(BaseException):
    """Raised by the alarm."""


def odd_files(folder: Path, kinds: list[Kind], random: np.random.Generator) -> list[Path]:
    """Write odd and damaged files, and return them with paths that lead nowhere."""
    folder.mkdir()
    found = []
    for n, text in enumerate(_ODD_JSON):
        for suffix in (".json", ".mrk.json"):
            found.append(folder / f"odd{n}{suffix}")
            found[-1].write_text(text, encoding="utf-8", errors="surrogatepass")
    for n, text in enumerate(_ODD_CSV):
        for suffix in (".csv", ".fcsv"):
            found.append(folder / f"odd{n}{suffix}")
            found[-1].write_text(text, encoding="utf-8")
    for name in (
        "x.nii",
        "x.nii.gz",
        "x.nrrd",
        "x.nhdr",
        "x.mha",
        "x.mhd",
        "x.zip",
        "x.mrb",
        "x.dcm",
        "DICOMDIR",
        "x.safetensors",
        "x",
    ):
        found.append(folder / name)
        found[-1].write_bytes(random.bytes(int(random.integers(0, 600))))
    encrypted = folder / "encrypted.zip"
    with zipfile.ZipFile(encrypted, "w") as archive:
        archive.writestr("a.dcm", b"x" * 500)
    content = bytearray(encrypted.read_bytes())
    content[6] |= 1  # the bit that says "encrypted", in the entry and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    encrypted.write_bytes(content)
    deep = folder / "nested.zip"
    with zipfile.ZipFile(deep, "w") as archive:
        archive.write(encrypted, "inner.zip")
        archive.writestr("d/" * 60 + "x", b"")
        archive.writestr(_LONG, b"x")
    (folder / "empty").mkdir()
    links = folder / "linked"
    links.mkdir()
    (links / "loop").symlink_to("loop")
    (links / "up").symlink_to("..")
    os.mkfifo(links / "pipe")
    pipes = [
        folder / f"pipe{suffix}"
        for suffix in ("", ".json", ".csv", ".fcsv", ".nii", ".nii.gz", ".nrrd", ".dcm", ".zip", ".mrb")
    ]
    for each in pipes:
        os.mkfifo(each)
    for kind in kinds:
        if not kind.path.is_dir():
            made = damaged(kind.damaged.read_bytes(), kind.damaged.name, kind.header, kind.is_checked, random)
            found.append(folder / f"damaged-{kind.damaged.name}")
            found[-1].write_bytes(made.content)
    return [
        *found,
        encrypted,
        deep,
        folder / "empty",
        *pipes,
        links,
        links / "loop",
        folder / "missing.nii",
        folder / _LONG,
        folder / f"{_LONG}.json",
        Path("/dev/null"),
    ]


def commands() -> Iterator[tuple[list[str], Any]]:
    """Yield every command with its words."""
    root = typer.main.get_command(app)
    for name in COMMANDS["oncotrack"]:
        command = root.get_command(None, name)
        for inner in COMMANDS[name] if name in GROUPS else [""]:
            words = [name, inner] if inner else [name]
            if not _LEFT_OUT & {name, " ".join(words)}:
                yield words, command.get_command(None, inner) if inner else command


def arguments(
    words: list[str],
    command: Any,
    files: list[Path],
    good: list[Path],
    out: Path,
    random: np.random.Generator,
) -> list[str]:
    """Return a call with at least one odd value."""

    def pick(values: Any) -> Any:
        return values[int(random.integers(len(values)))]

    def value(parameter: Any, is_odd: bool) -> str:
        kind = repr(getattr(getattr(parameter, "type_descriptor", None), "annotation", "")).lower()
        if parameter.name in ("out", "json", "pairs"):
            return str(pick([out / _LONG, "/dev/null/x", "/proc/x", ""]) if is_odd else out / "result")
        if "path" in kind:
            return str(pick(files) if is_odd else pick(good))
        if "int" in kind:
            return pick(_ODD_TEXTS) if is_odd else "3"
        if "float" in kind:
            return pick(_ODD_TEXTS) if is_odd else "3.5"
        return pick(_ODD_TEXTS) if is_odd else "1"

    call, options = [], []
    must_fail = words[0] in _LONG_RUNS
    for parameter in command.params:
        is_argument = parameter.param_type_name == "argument"
        if (not is_argument and not (parameter.required or random.random() < 0.25)) or parameter.name == "help":
            continue
        count = int(random.integers(1, 4)) if parameter.nargs == -1 else max(parameter.nargs, 1)
        is_odd = must_fail or random.random() < 0.6
        values = [value(parameter, is_odd) for _ in range(count)]
        if is_argument:
            call += values
        elif getattr(parameter, "is_flag", False):
            options.append(pick(parameter.opts + parameter.secondary_opts))
        else:
            options += [pick(parameter.opts), *values]
    return [*words, *options, "--", *call] if call and random.random() < 0.5 else [*words, *call, *options]


def run(seed: int, count: int, seconds: float, folder: Path, has_scene: bool = True) -> tuple[Counter, list[str]]:
    """Call commands until `count` were called or the time is up; return how they ended and a line for each failure."""
    import torch  # noqa: F401  (an alarm must not end its import)

    import oncotrack.followup.methods  # noqa: F401

    logging.disable(logging.CRITICAL)
    kinds = make(folder / "valid", has_scene)
    good = [kind.path for kind in kinds]
    known = list(commands())
    counts, failures = Counter(), []
    deadline = time.monotonic() + seconds
    for number in range(count):
        if time.monotonic() > deadline:
            break
        random = np.random.default_rng([seed, number])
        if number % 50 == 0:
            files = odd_files(folder / f"odd{number}", kinds, random)
        words, command = known[int(random.integers(len(known)))]
        call = arguments(words, command, files, good, folder / "out", random)
        how, what = _called(call)
        counts[how] += 1
        if how in ("TRACEBACK", "HANG", "NO SENTENCE"):
            failures.append(f"{seed}/{number} {how} {what}: {json.dumps(call)[:400]}")
    return counts, failures


def _called(call: list[str]) -> tuple[str, str]:
    """Call a command; return how it ended."""
    signal.signal(signal.SIGALRM, _alarm)
    signal.alarm(5 if call[0] in _LONG_RUNS else LONGEST_S)
    try:
        result = CliRunner().invoke(app, call, catch_exceptions=False)
    except OncoTrackError as error:
        text = str(error)
        return ("sentence", "") if len(text) > 20 and text.rstrip()[-1] in '.)"' else ("NO SENTENCE", text)
    except TookTooLong:
        return ("stopped", "") if call[0] in _LONG_RUNS else ("HANG", "")
    except SystemExit:
        return "usage", ""
    except BaseException as error:
        import traceback

        where = traceback.extract_tb(error.__traceback__)[-1]
        return (
            "TRACEBACK",
            f"{type(error).__name__}: {' '.join(str(error).split())[:150]} at {where.filename}:{where.lineno}",
        )
    finally:
        signal.alarm(0)
    return ("result" if result.exit_code == 0 else "usage"), ""


def _alarm(*_about: object) -> None:
    raise TookTooLong


def main() -> None:
    """Run from the command line; the last line is the summary, and the exit code is 1 after a failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=600)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="oncotrack-damaged-", ignore_cleanup_errors=True) as name:
        os.chdir(name)
        counts, failures = run(options.seed, options.count, options.seconds, Path(name))
    for line in failures:
        print(line)
    said = ", ".join(f"{count} {how}" for how, count in sorted(counts.items()))
    print(f"odd calls: {sum(counts.values())} tried, {said}; {len(failures)} failures")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()

"""Plain English: words and phrases that this project does not use in code, messages and documents."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = (
    "oncotrack",
    "LNTracker",
    "LesionFollowUp",
    "RECISTPseudoMask",
    "OncoTrackPanel",
    "Testing",
    "docs",
    "examples",
)
SUFFIXES = {".py", ".md", ".ui", ".js", ".css", ".txt", ".toml", ".cff", ".yml"}
AVOIDED = re.compile(
    r"\b((?<!vanished )told|heeded|whoever|nobody|takes? up|took up|taken up|taken back|tells? of|looks? alike|what it costs|set aside|"
    r"by (?:its|their) numbers|goes there|gone through|is said|says so|let go|lets go|makes? you wait|no radiologist|"
    r"at hand|of our own|anew|none is|beside it stands)\b",
    re.IGNORECASE,
)
"""Each stands for a sentence that a newcomer had to read twice. "vanished told" is a JSON key that scripts read."""


def texts() -> list[Path]:
    files = [path for name in FOLDERS for path in (REPOSITORY / name).rglob("*") if path.suffix in SUFFIXES]
    return [*REPOSITORY.glob("*.md"), *(path for path in files if path.name != Path(__file__).name)]


def test_documents_code_and_messages_use_plain_english():
    found = [
        f"{path.relative_to(REPOSITORY)}:{number}: {match.group()}"
        for path in texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for match in AVOIDED.finditer(line)
    ]
    assert not found, "\n".join(found)


def test_the_readme_is_short():
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) < 120


def test_links_of_the_documents_lead_somewhere():
    for page in (
        *REPOSITORY.glob("*.md"),
        *(REPOSITORY / "docs").glob("*.md"),
        *(REPOSITORY / "oncotrack").rglob("*.md"),
    ):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_picture_of_the_architecture_is_that_of_the_code(tmp_path):
    pytest.importorskip("grimp", reason="the picture is drawn from import-linter's graph, which is not installed")
    script = REPOSITORY / "docs" / "draw_architecture.py"
    code = f"import runpy; print(runpy.run_path({str(script)!r})['svg'](), end='')"
    drawn = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout
    assert drawn == (REPOSITORY / "docs" / "architecture.svg").read_text(encoding="utf-8")

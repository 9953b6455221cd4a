"""What an installation holds: the wheel, and what Slicer's Extensions Index checks before it lists an extension."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlparse
from zipfile import ZipFile

import numpy as np
import pytest

from oncotrack.findings.finding_list import FindingList
from oncotrack.images.files import save
from oncotrack.images.geometry import Geometry
from oncotrack.images.volume import Volume

REPOSITORY = Path(__file__).resolve().parents[2]
DESCRIPTION = REPOSITORY / "Resources" / "OncoTrack.json"
# schema 1.0.2 of the index
REQUIRED = {"$schema", "category", "scm_url"}
ALLOWED = REQUIRED | {
    "scm_revision",
    "scm_type",
    "build_dependencies",
    "dicom_support_rule",
    "build_subdirectory",
    "enabled",
    "tier",
}
CATEGORIES = {"Analysis", "DICOM", "Informatics", "Nuclear Medicine", "Quantification", "Registration", "Segmentation"}
"""Categories of the index that could fit; "Oncology" is not one of them."""
LIMIT_MB = 100


@pytest.fixture(scope="module")
def description() -> dict:
    return json.loads(DESCRIPTION.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def extension() -> dict[str, str]:
    """Return the EXTENSION_ fields of the top-level CMakeLists.txt."""
    text = (REPOSITORY / "CMakeLists.txt").read_text(encoding="utf-8")
    fields = dict(re.findall(r'set\(EXTENSION_(\w+) "([^"]*)"\)', text))
    fields["project"] = re.search(r"project\s*\(\s*([^\s)]+)", text).group(1)
    return fields


def test_the_description_file_follows_the_schema_of_the_index(description):
    assert set(description) >= REQUIRED
    assert set(description) <= ALLOWED
    assert description["$schema"].endswith("slicer-extension-catalog-entry-schema-v1.0.2.json#")
    assert description["category"] in CATEGORIES
    assert description["tier"] == 1
    assert b"\r" not in DESCRIPTION.read_bytes()
    url = urlparse(description["scm_url"])
    assert url.scheme in ("git", "https")
    assert Path(url.path).stem.startswith("Slicer")
    assert not DESCRIPTION.stem.startswith("Slicer")


def test_the_description_file_agrees_with_the_build(description, extension):
    assert extension["project"] == DESCRIPTION.stem
    assert extension["CATEGORY"] == description["category"]
    assert extension["DEPENDS"].split() == description["build_dependencies"]
    assert extension["BUILD_SUBDIRECTORY"] == description["build_subdirectory"]
    assert description["scm_url"] == extension["HOMEPAGE"] + ".git"


def test_the_build_defines_what_the_catalogue_shows(extension):
    assert extension["CONTRIBUTORS"]
    assert len(extension["DESCRIPTION"]) < 500
    assert "US 11,410,309" in extension["DESCRIPTION"], "the index asks for known patents"
    assert "research use only" in extension["DESCRIPTION"]
    own = urlparse(extension["HOMEPAGE"]).path.strip("/")
    for address in (extension["ICONURL"], *extension["SCREENSHOTURLS"].split()):
        assert urlparse(address).scheme == "https"
        assert address.endswith(".png")
        assert own in address, f"{address} lies elsewhere than {extension['HOMEPAGE']}"
        assert (REPOSITORY / address.split("/main/")[1]).is_file(), f"{address} would be a dead link"
    for name in ("README.md", "LICENSE"):
        assert (REPOSITORY / name).is_file()


def test_the_repository_with_its_history_is_small_enough_for_the_index():
    if not (REPOSITORY / ".git").exists():
        pytest.skip("this is no clone of the repository")

    def git(*arguments: str, given: bytes = b"") -> bytes:
        command = ["git", "-C", str(REPOSITORY), *arguments]
        return subprocess.run(command, input=given, capture_output=True, check=True).stdout

    repository = len(git("pack-objects", "--revs", "--stdout", "-q", given=b"HEAD"))  # all that a clone receives
    assert repository / 1e6 < LIMIT_MB


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Return a folder with the package as a wheel installs it, and nothing else of the clone."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("oncotrack", "pyproject.toml", "README.md", "LICENSE"):
        (source / name).symlink_to(REPOSITORY / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source]
    subprocess.run(list(map(str, build)), check=True)
    (built,) = folder.glob("oncotrack-*.whl")
    with ZipFile(built) as archive:  # a wheel without compiled code is installed by unpacking it
        archive.extractall(folder / "installed")
    return folder / "installed"


def installed(wheel: Path, cwd: Path, *arguments: str, before: str = "pass") -> subprocess.CompletedProcess:
    """Run the installed command outside the clone, in a process of its own, after a line of Python."""
    script = (
        f"import oncotrack, sys; assert oncotrack.__file__.startswith({str(wheel)!r}), oncotrack.__file__; "
        f"from oncotrack.cli import main; {before}; main()"
    )
    nothing = {name: str(cwd / "none") for name in ("ONCOTRACK_SAMPLES", "XDG_CACHE_HOME")}
    environment = {**os.environ, "PYTHONPATH": str(wheel), **nothing}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


def test_the_wheel_holds_the_data_files(wheel):
    resources = REPOSITORY / "oncotrack" / "resources"
    wanted = {file.relative_to(REPOSITORY) for file in resources.rglob("*") if file.is_file() and file.suffix != ".pyc"}
    assert {file for file in wanted if not (wheel / file).is_file()} == set()
    assert (wheel / "oncotrack" / "web" / "page" / "oncotrack.js").is_file()


def test_the_demo_of_the_wheel_follows_a_synthetic_patient_without_data(wheel, tmp_path):
    smaller = "from oncotrack.cli import demo; demo.SIZE, demo._LESIONS = (60, 60, 32), 3"
    run = installed(wheel, tmp_path, "demo", before=smaller)
    assert run.returncode == 0, run.stderr
    files = tmp_path / "demo"
    assert sorted(path.name for path in files.iterdir()) == ["findings.json", "report.html", "scene.mrb"]
    assert "Synthetic patient" in run.stderr
    page = (files / "report.html").read_text()
    assert page.count("<section>") == len(FindingList.open(files / "findings.json")) == 3
    assert "http" not in re.sub(r'data:image/png;base64,[^"]*', "", page), "it needs no network"
    ending = run.stderr[run.stderr.index("To look at the result:") :]
    assert str(files / "report.html") in ending
    assert str(files / "scene.mrb") in ending
    assert "oncotrack" in ending


def test_the_wheel_detects(wheel, tmp_path):
    grid = Geometry((40, 40, 4), (4.0, 4.0, 4.0))
    _, y, x = np.indices(grid.shape)
    array = np.where(np.hypot(x - 20, y - 20) < 17, 40, -1000).astype(np.int16)  # a body
    image = save(Volume(array, grid, "ct", "CT"), tmp_path / "ct.nii.gz")
    run = installed(wheel, tmp_path, "detect", image, "--json", "-")
    assert run.returncode == 0, run.stderr
    assert "findings" in json.loads(run.stdout)

"""Set-up of all tests: off-screen drawing, a separate cache, the real images, and the list of skipped tests."""

import os
from pathlib import Path

import pytest

# must be set before vtk is imported: draw without a screen
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")
# commands and viewers that tests start read in their own process, which is faster; the tests of the helper process differ
os.environ.setdefault("ONCOTRACK_UNSAFE_IN_PROCESS", "1")


def pytest_terminal_summary(terminalreporter) -> None:
    """List every skipped test with its reason."""
    skipped = terminalreporter.stats.get("skipped", [])
    terminalreporter.section(f"{len(skipped)} skipped")
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.line(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Use an empty cache, so that registrations of earlier runs are not reused."""
    os.environ["ONCOTRACK_CACHE"] = str(tmp_path_factory.mktemp("registrations"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real images and annotations, or skip the test."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the folder of real images {folder} does not exist")
    return folder


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    """Return an empty archive on this machine, or skip the test."""
    from oncotrack.bench import orthanc as peer

    if peer.program() is None:
        pytest.skip(peer.MISSING)
    server = peer.Orthanc(tmp_path_factory.mktemp("orthanc"))
    yield server
    server.stop()

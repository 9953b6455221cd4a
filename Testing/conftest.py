"""What all tests share."""

import os
from pathlib import Path

import pytest

# before anything imports vtk: draw without a screen
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Registrations of earlier runs must not answer for this one."""
    os.environ["ONCOTRACK_CACHE"] = str(tmp_path_factory.mktemp("registrations"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images and annotations, or a skip in one line."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data is not here: {folder} does not exist")
    return folder

"""Check for an OpenGL library that VTK can draw with; imports neither slicer nor vtk."""

from __future__ import annotations

import ctypes
import os
import sys

from oncotrack.errors import MissingPackageError

_GL_LIBRARIES = {
    "vtkOSOpenGLRenderWindow": ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so"),
    "vtkEGLRenderWindow": ("libEGL.so.1", "libEGL.so"),
    "vtkXOpenGLRenderWindow": ("libGL.so.1", "libGL.so"),
}


def check_drawing() -> None:
    """Check for an OpenGL library, without which VTK ends the process at the first picture.

    Raises
    ------
    MissingPackageError
        On Linux, when no library that VTK draws with is installed.
    """
    if not sys.platform.startswith("linux"):
        return
    window_class = os.environ.get("VTK_DEFAULT_OPENGL_WINDOW", "")
    names = _GL_LIBRARIES.get(window_class) or [name for group in _GL_LIBRARIES.values() for name in group]
    if not any(_loads(name) for name in names):
        raise MissingPackageError(
            "Nothing can be drawn: the OpenGL library is missing. Install it "
            f"({'libosmesa6' if window_class == 'vtkOSOpenGLRenderWindow' else 'libgl1 or libosmesa6'} on Debian and Ubuntu) "
            "and start again; everything that needs no pictures still works."
        )


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True

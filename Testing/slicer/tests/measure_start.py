"""Prints the processor time of the imports of the three modules, which Slicer does when it starts.

In Slicer: ``Slicer --python-script measure_start.py``; elsewhere with stand-ins for Slicer's own libraries, whose time does not count.
"""

import sys
import time
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from unittest.mock import MagicMock

ROOT = Path(__file__).resolve().parents[3]
MODULES = ("LesionFollowUp", "LNTracker", "RECISTPseudoMask")
BASES = (
    "ScriptedLoadableModule", "ScriptedLoadableModuleLogic", "ScriptedLoadableModuleTest", "ScriptedLoadableModuleWidget",
)  # fmt: skip


def stand_in():
    """Put something in the place of Slicer's libraries."""
    for name in ("ctk", "qt", "slicer", "vtk"):
        sys.modules[name] = MagicMock()
    for name in ("slicer.parameterNodeWrapper", "slicer.ScriptedLoadableModule", "slicer.util"):
        sys.modules[name] = MagicMock()
    for name in BASES:
        setattr(sys.modules["slicer.ScriptedLoadableModule"], name, type(name, (), {}))
    sys.modules["slicer.util"].VTKObservationMixin = type("VTKObservationMixin", (), {})


def main():
    """Import the modules one after the other, as Slicer does."""
    if find_spec("qt") is None:
        stand_in()
    for name in [name for name in sys.modules if name.split(".")[0] in (*MODULES, "oncotrack", "OncoTrackPanel")]:
        del sys.modules[name]
    sys.path.insert(0, str(ROOT))
    total = 0.0
    for name in MODULES:
        started = time.process_time()
        spec = spec_from_file_location(name, ROOT / name / f"{name}.py")
        sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
        total += time.process_time() - started
        print(f"{name}: {time.process_time() - started:.3f} s")
    print(f"all: {total:.3f} s")


if __name__ == "__main__":
    main()

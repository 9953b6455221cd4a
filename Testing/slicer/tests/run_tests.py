"""Runs the tests of this folder inside 3D Slicer: Slicer --python-script run_tests.py."""

import sys
import unittest
from pathlib import Path

import slicer

HERE = Path(__file__).resolve().parent


def main():
    """Run all tests and end Slicer with the exit code."""
    sys.path.insert(0, str(HERE))
    suite = unittest.defaultTestLoader.discover(str(HERE), pattern="test_*.py", top_level_dir=str(HERE))
    outcome = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(suite)
    for test, reason in outcome.skipped:
        print(f"skipped: {test.id()}: {reason}")
    slicer.util.exit(0 if outcome.wasSuccessful() else 1)


if __name__ == "__main__":
    main()

"""These tests run in 3D Slicer only, see README.md."""

collect_ignore_glob = ["*.py"]

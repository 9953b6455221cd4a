"""Scenes on disk, and the packages that Slicer has to install."""

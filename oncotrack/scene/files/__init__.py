"""Saving and opening of scenes, and installation of the Python packages that Slicer lacks."""

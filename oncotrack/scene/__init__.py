"""Findings as MRML nodes: what the desktop modules and the browser share. Imports slicer and vtk, never qt."""

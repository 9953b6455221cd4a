"""Findings as MRML nodes, and the sessions that the Slicer modules and the browser share; imports slicer and vtk, never Qt or trame."""

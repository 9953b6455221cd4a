"""Slice and 3D views: layout, windows, links between scans, mouse modes."""

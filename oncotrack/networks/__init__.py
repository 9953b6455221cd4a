"""Shared by all networks: boxes, heat maps, weights files, devices and threads."""

"""Lesion follow-up: trackers that find a baseline lesion in a later scan."""

DEFAULT_METHOD = "ensemble"
"""The most accurate tracker in the README's comparison."""

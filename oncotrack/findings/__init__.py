"""Findings: the values, the one list with undo, and their files."""

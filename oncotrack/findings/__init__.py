"""Findings: their data types, the list with undo and redo, and their files."""

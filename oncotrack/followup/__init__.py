"""Following lesions from scan to scan."""

DEFAULT_METHOD = "ensemble"
"""The tracker that measured best; the README says by how much."""

"""Roles in which a scan can be opened."""

BASELINE, FOLLOWUP, VISIT = "baseline", "followup", "visit"
PET, TUMOUR = "pet", "tumour"
"""The PET of the scan in the tab Nodes, and the mask of its primary tumour."""

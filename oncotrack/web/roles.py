"""Roles in which a scan can be opened."""

BASELINE, FOLLOWUP, VISIT = "baseline", "followup", "visit"

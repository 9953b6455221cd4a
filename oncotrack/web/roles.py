"""Roles in which a scan is opened."""

BASELINE, FOLLOWUP, VISIT = "baseline", "followup", "visit"

"""Findings as DICOM objects, written and read: structured reports, segmentations, structure sets, presentation states."""

"""Lymph node detectors and what they share: slices, tracks, conversion to findings, backbone."""

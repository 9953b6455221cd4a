"""Benchmarks that a user can repeat, each of which compares OncoTrack with alternatives in one run."""

"""Measurements that a user can repeat: each prints OncoTrack beside what would be used instead, in one run."""

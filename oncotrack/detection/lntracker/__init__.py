"""LN-Tracker: 3D lymph node detection as tracking from slice to slice (Yu et al., "From Slices to Sequences")."""

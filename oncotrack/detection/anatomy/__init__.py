"""Anatomy of a CT by thresholds and shape, without a network: where a node lies, and what cannot be a node."""

"""Background work for a user interface: progress, cancelling, and results on the interface's thread."""

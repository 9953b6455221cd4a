"""The lymph node session: detection of nodes, and edits of their slice boxes."""

"""Training of the networks: one loop for all of them, and where their samples come from."""

"""Training of the networks: one loop for all of them, their samples, and where the samples come from."""

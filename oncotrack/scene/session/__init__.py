"""The base classes of the reading sessions, and the choice of the scans that a session works on."""

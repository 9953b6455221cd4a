"""The commands of ``oncotrack archive``."""

"""``oncotrack train``: one file for each of its commands."""

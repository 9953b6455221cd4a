"""``oncotrack bench``: one file for each of its commands."""

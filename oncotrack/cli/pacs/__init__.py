"""``oncotrack pacs``: one file for each command."""

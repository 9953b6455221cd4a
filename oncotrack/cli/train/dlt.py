"""``oncotrack train dlt``."""

from oncotrack.cli.train.lesion_tracker import training_command

dlt = training_command("dlt", "Deep Lesion Tracker")

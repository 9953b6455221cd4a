"""``oncotrack train tlt``."""

from oncotrack.cli.train.lesion_tracker import training_command

tlt = training_command("tlt", "Transformer Lesion Tracker")

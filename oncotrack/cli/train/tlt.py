"""``oncotrack train tlt``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oncotrack.cli.train.lesion_tracker import training_command

if TYPE_CHECKING:
    from oncotrack.training.lesion_tracker import System


def _system() -> System:
    from oncotrack.training.tlt import SYSTEM

    return SYSTEM


tlt = training_command(_system, "Transformer Lesion Tracker")

"""``oncotrack phantom``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oncotrack.cli.output import say


def run(seed: int, out: Path, visits: int, size: Sequence[int], modalities: Sequence[str], dicom: bool) -> None:
    """Make a synthetic patient and write everything that is known of it."""
    from oncotrack.phantom import make_patient, write_patient

    patient = make_patient(seed, visits=visits, size=tuple(size), modalities=tuple(modalities))
    say(f"Written: {write_patient(patient, out, dicom=dicom)}")

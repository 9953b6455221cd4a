"""``oncotrack phantom``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oncotrack.cli.output import say


def run(
    seed: int,
    out: Path,
    visits: int,
    region: str,
    size: Sequence[int] | None,
    modalities: Sequence[str],
    dicom: bool,
) -> None:
    """Make a synthetic patient and write everything that is known of it."""
    from oncotrack.phantom import make_patient, write_patient

    size = size or (256, 256, 240 if region == "whole-body" else 128)
    patient = make_patient(seed, visits=visits, size=size, region=region, modalities=modalities)
    say(f"Written: {write_patient(patient, out, dicom=dicom)}")

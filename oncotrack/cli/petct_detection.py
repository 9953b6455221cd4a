"""The PET/CT branch of ``oncotrack detect``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oncotrack.cli.petct_inputs import check_pair, read_pet, read_tumour
from oncotrack.errors import InputError

if TYPE_CHECKING:
    from oncotrack.background.jobs import Progress
    from oncotrack.findings.finding import Finding
    from oncotrack.images.volume import Volume


@dataclass(frozen=True)
class PETOptions:
    """What the command line says about PET and tumour; see ``oncotrack detect --help``."""

    pet: Path | None
    tumour: str
    pet_series: str | None
    pet_ct: Path | None
    tumour_suv: float | None
    weight_kg: float | None
    tagger: Path | None
    same_patient: str


def detect_in_petct(
    ct: Volume, options: PETOptions, device: str, config: str, weights: Path | None, progress: Progress, time_point: str
) -> tuple[list[Finding], str]:
    """Return the significant nodes, and a sentence on the alignment of PET and CT.

    Raises
    ------
    InputError
        PET or tumour is missing or cannot be used.
    """
    from oncotrack.detection.petct.alignment import align_pet
    from oncotrack.detection.petct.detector import PETCTDetector
    from oncotrack.images.files import load

    if options.pet is None:
        raise InputError("The method petct reads a CT and a PET. Give the PET too.", parameter="pet")
    if not options.tumour:
        raise InputError(
            "The PET/CT detector needs the primary tumour: whether a node is significant depends on its distance from it. Give "
            "its mask, or R,A,S in mm of a point in it.",
            parameter="tumour",
        )
    detector = PETCTDetector(device, config, weights, options.tagger)
    pet = read_pet(options.pet, options.pet_series, options.weight_kg)
    check_pair(ct, pet, options.same_patient)
    study_ct = load(options.pet_ct, modality="CT") if options.pet_ct else None
    pet, sentence = align_pet(ct, pet, study_ct, progress)
    tumour = read_tumour(options.tumour, ct, pet, options.tumour_suv)
    return detector.detect(ct, pet, tumour, progress, time_point=time_point), sentence


def uptake_as_json(finding: Finding, time_point: str) -> dict[str, Any]:
    """Return the uptake of a finding with the JSON keys that scripts read; empty without PET."""
    uptake = finding.observations[time_point].uptake
    return {"uptake": asdict(uptake)} if uptake else {}


def uptake_text(row: dict[str, Any]) -> str:
    """Return the uptake of a row of the result as text; "" without PET."""
    uptake = row.get("uptake")
    if not uptake:
        return ""
    region = "proximal" if uptake["is_proximal"] else "distal"
    return (
        "SUVmax {suv_max:.1f}, peak {suv_peak:.1f}, mean {suv_mean:.1f}, {metabolic_volume_ml:.2f} ml, TLG {tlg_ml:.1f}, "
        "{distance_mm:.0f} mm from the tumour, ".format(**uptake)
        + region
    )

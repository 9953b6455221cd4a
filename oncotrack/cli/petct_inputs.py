"""Reading of PET and primary tumour for ``oncotrack detect``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from oncotrack.cli.output import print_message
from oncotrack.detection.petct.pair import check_images, pair_problem
from oncotrack.errors import InputError
from oncotrack.images.volume import Volume


def read_pet(path: Path, series: str | None = None, weight_kg: float | None = None) -> Volume:
    """Read a PET in SUV: from DICOM, whose tags give the factors, or from a file that holds SUV already."""
    from oncotrack.images.files import is_image_file, load, load_suv

    if path.exists() and not is_image_file(path):
        pet = load_suv(path, series, weight_kg=weight_kg)
    else:
        pet = load(path, series)
        pet = replace(pet, modality=pet.modality or "PT")
    for key in ("chosen", "notice"):
        if sentence := pet.metadata.get(key):
            print_message(f"{path}: {sentence}")
    return pet


def check_pair(ct: Volume, pet: Volume, same_patient: str) -> None:
    """Check that CT and PET are what they should be, of one patient and one day.

    Raises
    ------
    InputError
        One is something else; or the files name different patients or days, and there is no reason why they belong together.
    """
    check_images(ct, pet)
    if not same_patient.strip() and (question := pair_problem(ct, pet)):
        raise InputError(
            f"{question} Choose the CT and the PET of one examination, or give the reason why they belong together.",
            parameter="same_patient",
        )


def read_tumour(text: str, ct: Volume, pet: Volume, suv: float | None = None) -> Volume:
    """Return the mask of the primary tumour: grown from a click "R,A,S", or read from a file.

    Parameters
    ----------
    text : str
        Three numbers, or the path of a label map, a segmentation, a DICOM SEG or an RTSTRUCT.
    ct, pet : Volume
        The study; an RTSTRUCT is filled on the CT.
    suv : float, optional
        Fixed threshold of region growing; 41 % of the highest uptake if missing.

    Raises
    ------
    InputError
        Neither a click nor a mask; or the mask is empty.
    """
    from oncotrack.datasets.tumour_masks import read_tumour_mask
    from oncotrack.detection.petct.tumour import grow_tumour

    position = _click(text)
    if position is not None:
        grown = grow_tumour(pet, position, suv=suv)
        if notice := grown.metadata.get("notice"):
            print_message(notice)
        return grown
    path = Path(text).expanduser()
    if not path.exists():
        raise InputError(
            f'"{text}" is neither a file nor a position. Give the mask of the primary tumour, or R,A,S in mm of a point in it.',
            parameter="tumour",
        )
    return read_tumour_mask(path, ct)


def _click(text: str) -> tuple[float, float, float] | None:
    """Return three numbers separated by commas; None where the text is something else."""
    try:
        r, a, s = (float(part) for part in text.split(","))
    except ValueError:
        return None
    return (r, a, s) if np.isfinite([r, a, s]).all() else None

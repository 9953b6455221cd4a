"""Reading of PET and primary tumour for ``oncotrack detect``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from oncotrack.cli.output import print_message
from oncotrack.errors import InputError
from oncotrack.findings.dates import day_text
from oncotrack.findings.patient import Patient, difference_text
from oncotrack.images.volume import Volume

_PRIMARY = ("primary", "tumor", "tumour", "gtv", "neoplasm")


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
    """Check that CT and PET are of one patient and one day.

    Raises
    ------
    InputError
        The files name different patients or days, and there is no reason why they belong together.
    """
    if same_patient.strip():
        return
    question = difference_text([(ct.name, Patient.of(ct.metadata)), (pet.name, Patient.of(pet.metadata))])
    days = [scan.metadata.get("date", "") for scan in (ct, pet)]
    if not question and all(days) and days[0] != days[1]:
        question = f"{ct.name} is of {day_text(days[0])} and {pet.name} of {day_text(days[1])}."
    if question:
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
    return _read_mask(path, ct)


def _click(text: str) -> tuple[float, float, float] | None:
    """Return three numbers separated by commas; None where the text is something else."""
    try:
        r, a, s = (float(part) for part in text.split(","))
    except ValueError:
        return None
    return (r, a, s) if np.isfinite([r, a, s]).all() else None


def _read_mask(path: Path, ct: Volume) -> Volume:
    from oncotrack.images.files import is_image_file
    from oncotrack.masks.label_reader import read_labels

    if is_image_file(path):
        masks = read_labels(path)
        return _chosen(masks, path)
    from oncotrack.datasets.dicom_tree import dicom_headers
    from oncotrack.dicom_objects.mask_objects import read_rtstruct, read_seg

    try:
        modality = str(dicom_headers().dcmread(path, stop_before_pixels=True).get("Modality"))
    except Exception as error:  # pydicom raises many kinds of error on a file that is no DICOM
        raise InputError(
            f"{path} holds no mask that can be read. Give a label map, a DICOM SEG or an RTSTRUCT of the primary tumour.",
            parameter="tumour",
        ) from error
    structures = read_rtstruct(path, ct) if modality == "RTSTRUCT" else read_seg(path)
    return _chosen({each.name: each.mask for each in structures}, path)


def _chosen(masks: dict[str, Volume], path: Path) -> Volume:
    """Return the only mask, or the only one whose name is that of a primary tumour."""
    named = {name: mask for name, mask in masks.items() if any(word in name.lower() for word in _PRIMARY)}
    usable = named if len(named) == 1 else masks
    if len(usable) != 1:
        raise InputError(
            f"{path} holds {len(masks)} masks ({', '.join(masks)}), and it is not clear which is the primary tumour. Give a "
            "file with that mask alone.",
            parameter="tumour",
        )
    return next(iter(usable.values()))

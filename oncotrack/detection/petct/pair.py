"""Whether a CT and a PET are of one examination, and whether an image is a PET in SUV."""

from __future__ import annotations

import numpy as np

from oncotrack.detection.ct_slices import check_ct
from oncotrack.errors import InputError
from oncotrack.findings.dates import day_text
from oncotrack.findings.patient import Patient, difference_text
from oncotrack.images.volume import Volume

_LOWEST_SUV, _HIGHEST_SUV = -1.0, 500.0
"""Reconstruction may leave values just below 0; a bladder seldom exceeds an SUV of 100."""
_LEAST_SHARED = 0.5


def pair_problem(ct: Volume, pet: Volume) -> str:
    """Return a sentence on why CT and PET are not of one patient and one day, "" where nothing contradicts it.

    Parameters
    ----------
    ct, pet : Volume
        With what is known of patient and date in their metadata.
    """
    problem = difference_text([(ct.name, Patient.of(ct.metadata)), (pet.name, Patient.of(pet.metadata))])
    days = [scan.metadata.get("date", "") for scan in (ct, pet)]
    if not problem and all(days) and days[0] != days[1]:
        return f"{ct.name} is of {day_text(days[0])} and {pet.name} of {day_text(days[1])}."
    return problem


def check_images(ct: Volume, pet: Volume) -> None:
    """Check that a CT and a PET are what they should be.

    Parameters
    ----------
    ct : Volume
        Supposed to be a CT in HU.
    pet : Volume
        Supposed to be a PET in SUV.

    Raises
    ------
    InputError
        One of them is something else.
    """
    if ct.modality == "PT":
        raise InputError(f"{ct.name} is a PET, but a CT is needed here. Exchange the two images.")
    check_ct(ct)
    check_suv(pet)


def check_study(ct: Volume, pet: Volume) -> None:
    """Check that a CT and a PET can be read together.

    Parameters
    ----------
    ct : Volume
        Supposed to be a CT in HU.
    pet : Volume
        Supposed to be a PET in SUV, in the coordinates of the CT.

    Raises
    ------
    InputError
        One of them is something else, or they show different parts of the body.
    """
    check_images(ct, pet)
    shared = np.minimum(ct.geometry.bounds[1], pet.geometry.bounds[1]) - np.maximum(
        ct.geometry.bounds[0], pet.geometry.bounds[0]
    )
    if (shared <= 0).any() or shared[2] < _LEAST_SHARED * np.ptp(ct.geometry.bounds[:, 2]):
        raise InputError(
            f"{pet.name} covers less than half of {ct.name} along the body. Choose the PET and the CT of one examination."
        )


def check_suv(pet: Volume) -> None:
    """Check that an image is a PET in standardised uptake values.

    Parameters
    ----------
    pet : Volume
        The image.

    Raises
    ------
    InputError
        It is of another modality, or its values cannot be SUV.
    """
    if pet.modality not in ("", "PT"):
        raise InputError(f"{pet.name} is a {pet.modality}, but a PET is needed here. Choose the PET of the study.")
    low, high = float(pet.array.min()), float(pet.array.max())
    if low < _LOWEST_SUV:
        raise InputError(
            f"{pet.name} has values down to {low:g}, but uptake is never negative: it is no PET. Choose the PET of the study."
        )
    if high > _HIGHEST_SUV or (pet.metadata.get("units") in ("BQML", "CNTS") and not pet.metadata.get("suv")):
        raise InputError(
            f"{pet.name} reaches {high:g}, so it is not in standardised uptake values. Open the DICOM series of the PET, "
            "from which they are computed."
        )

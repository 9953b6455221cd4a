"""Standardised uptake values of PET, after the vendor-neutral recipe of QIBA.

QIBA, "SUV calculation, vendor-neutral pseudo-code"; DICOM PS3.3 C.8.9.1 (PET series) and PS3.16 (SUV by body weight, lean body
mass, body surface area and ideal body weight); M. Vácha et al., "Comprehensive manual for SUV computation and digital
reference objects for its verification", 2025. Headers are pydicom data sets, or anything with their ``get``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from oncotrack.errors import InputError
from oncotrack.images.body_size import KINDS, Body
from oncotrack.images.dicom_values import number, private_text
from oncotrack.images.pet_times import PetTimes, needed, needed_number
from oncotrack.images.volume import Volume

_NUCLIDES = {
    6586.2: ("fluor", "fdg", "f-18", "f18", "18f"),
    4062.6: ("gallium", "ga-68", "ga68", "68ga"),
}
"""Half-lives in seconds, and what names them."""


def to_suv(
    volume: Volume,
    header: Any,
    *,
    kind: str = "BW",
    weight_kg: float | None = None,
    height_cm: float | None = None,
    sex: str | None = None,
) -> Volume:
    """Return a PET image as standardised uptake values.

    Parameters
    ----------
    volume : Volume
        The rescaled values of the PET series (stored values times slope plus intercept), (D, H, W).
    header : pydicom data set, or sequence of them
        The header of the first slice, whose attribute ``slices`` may list one for each slice; or one for each slice, in
        the order of the volume.
    kind : str
        What the uptake is related to, a key of `body_size.KINDS`.
    weight_kg, height_cm : float, optional
        The patient's weight in kg and height in cm (or in m), instead of those in the header.
    sex : str, optional
        "M", "F" or "O", instead of that in the header.

    Returns
    -------
    Volume
        float32, g/ml (cm²/ml for body surface area). ``metadata["suv"]`` is the kind, ``metadata["notice"]`` says what was
        corrected in the header or given instead; ``weight`` (kg), ``height`` (cm or m) and ``sex`` where they are known.

    Raises
    ------
    InputError
        As `suv_factors`; the headers do not fit the slices.
    """
    factors, notes = suv_factors(header, kind=kind, weight_kg=weight_kg, height_cm=height_cm, sex=sex)
    if np.ptp(factors) == 0:
        factors = factors[:1]
    elif len(factors) != len(volume.array):
        raise InputError(
            f"The number of slices of {volume.name} ({len(volume.array)}) differs from that of its PET headers "
            f"({len(factors)}), so the decay cannot be corrected. Open the original DICOM series."
        )
    array = volume.array * factors[:, None, None].astype(np.float32)
    notice = "\n".join(filter(None, [volume.metadata.get("notice"), *notes]))
    first = header[0] if isinstance(header, list | tuple) else header
    body = Body.of(first, weight_kg, height_cm, sex)
    metadata = volume.metadata | {"suv": kind} | body.as_text() | ({"notice": notice} if notice else {})
    return replace(volume, array=array.astype(np.float32, copy=False), modality="PT", metadata=metadata)


def as_kind(pet: Volume, kind: str) -> Volume:
    """Return a PET in SUV that is related to something else.

    Parameters
    ----------
    pet : Volume
        SUV; ``metadata`` has its kind, and the patient's ``weight``, ``height`` and ``sex`` where they are known.
    kind : str
        A key of `body_size.KINDS`.

    Returns
    -------
    Volume
        float32; the same object if it is of that kind already.

    Raises
    ------
    InputError
        There is no such kind, or what it needs of the patient is not known.
    """
    if kind not in KINDS:
        raise InputError(f'SUV by "{kind}" is not known. Choose one of {", ".join(KINDS)}.', parameter="kind")
    stored = pet.metadata.get("suv") or "BW"
    if stored == kind:
        return pet
    body = Body.from_text(pet.metadata)
    factor = body.size(kind)[0] / body.size(stored)[0]
    array = pet.array.astype(np.float32) * np.float32(factor)
    return replace(pet, array=array, metadata=pet.metadata | {"suv": kind})


def suv_factors(
    header: Any,
    *,
    kind: str = "BW",
    weight_kg: float | None = None,
    height_cm: float | None = None,
    sex: str | None = None,
) -> tuple[np.ndarray, list[str]]:
    """Return the factors from the rescaled values of a PET series to SUV, and sentences about what was corrected.

    ``SUV = activity [Bq/ml] * weight [g] / (dose [Bq] * 2 ** (-(scan - injection) / half life))``. The scan's time is that
    of the decay correction: the series time, or where that was overwritten with a later one GE's private scan time, else
    the start that the frame reference times imply, else the first acquisition. Series that are decay-corrected to the
    injection (ADMIN) need no term; in uncorrected ones (NONE) every slice has its own.

    Parameters
    ----------
    header, kind, weight_kg, height_cm, sex
        As in `to_suv`.

    Returns
    -------
    factors : (N,) ndarray
        One for each header.
    notes : list of str
        What was corrected in the header or given instead, sentences.

    Raises
    ------
    InputError
        A tag is missing or impossible (it is named); the units cannot be converted; the series is not corrected for
        attenuation; the injection comes after the scan.
    """
    if kind not in KINDS:
        raise InputError(f'SUV by "{kind}" is not known. Choose one of {", ".join(KINDS)}.', parameter="kind")
    slices = getattr(header, "slices", None) or (list(header) if isinstance(header, list | tuple) else [header])
    first = header[0] if isinstance(header, list | tuple) else header
    series = _Series(first, slices, Body.of(first, weight_kg, height_cm, sex))
    return series.factors(kind), series.notes


class _Series:
    """The headers of one PET series: the first in full, and one for each slice."""

    def __init__(self, first: Any, slices: Sequence[Any], body: Body) -> None:
        self._first, self._slices, self._body = first, slices, body
        self.notes: list[str] = []

    def factors(self, kind: str) -> np.ndarray:
        """Return a factor for each slice."""
        units, ones = str(needed(self._first, "Units")), np.ones(len(self._slices))
        stored, factor = self._stored_kind(units), 1.0
        if not stored:
            self._check_attenuation()
            if units == "CNTS" and (factor := self._philips(0x00)):
                stored = "BW"
        if stored:
            return ones * factor * self._conversion(stored, kind)
        scale = self._philips(0x09) if units == "CNTS" else 1.0
        if not scale or units not in ("BQML", "CNTS"):
            raise InputError(
                f"The PET series is in {units}{' without the scale factors of Philips' if units == 'CNTS' else ''}; SUV needs "
                "Bq/ml (BQML), g/ml (GML), cm²/ml (CM2ML) or Philips counts. Export it again."
            )
        return ones * scale * self._size(kind) / self._doses()

    def _philips(self, element: int) -> float:
        """Return a scale factor of Philips, 0 where there is none."""
        return (
            number({"factor": private_text(self._first, 0x7053, "Philips PET Private Group", element)}, "factor") or 0.0
        )

    def _conversion(self, stored: str, kind: str) -> float:
        """Return the factor from one kind of SUV to another."""
        if stored != kind:
            return self._size(kind) / self._size(stored)
        if self._body.given:
            self.notes.append(
                f"The series holds SUV by {KINDS[kind]} already; weight, height and sex do not change it."
            )
        return 1.0

    def _size(self, kind: str) -> float:
        size, notes = self._body.size(kind)
        self.notes += [note for note in notes if note not in self.notes]
        return size

    def _stored_kind(self, units: str) -> str:
        """Return what the stored values are related to where they are SUV already, or ""."""
        if units not in ("GML", "CM2ML"):
            return ""
        stored = str(self._first.get("SUVType") or ("BSA" if units == "CM2ML" else "BW")).upper()
        if stored not in KINDS:
            raise InputError(f'The PET series is in SUV of the unknown type "{stored}", so it cannot be converted.')
        return stored

    def _check_attenuation(self) -> None:
        if "ATTN" not in self._corrections():
            raise InputError(
                f"The PET series is not corrected for attenuation (CorrectedImage {sorted(self._corrections())}), so SUV "
                "cannot be computed. Choose the attenuation-corrected series."
            )

    def _corrections(self) -> set[str]:
        stated = self._first.get("CorrectedImage") or []
        return {stated} if isinstance(stated, str) else set(map(str, stated))

    def _doses(self) -> np.ndarray:
        """Return the dose in Bq that is left at the time to which each slice is decay-corrected."""
        decay, is_corrected = str(needed(self._first, "DecayCorrection")), "DECY" in self._corrections()
        if decay not in ("START", "ADMIN", "NONE") or is_corrected == (decay == "NONE"):
            raise InputError(
                f"The PET series contradicts itself about decay (DecayCorrection {decay}, CorrectedImage "
                f"{sorted(self._corrections())}), so SUV cannot be computed. Export it again."
            )
        tracers = needed(self._first, "RadiopharmaceuticalInformationSequence")
        if len(tracers) != 1:
            raise InputError(f"The PET series lists {len(tracers)} injections; SUV needs one. Export it again.")
        tracer = tracers[0]
        dose, half_life = self._dose(tracer), self._half_life(tracer)
        if decay == "ADMIN":
            return np.full(len(self._slices), dose)
        times = PetTimes(self._first, self._slices, half_life)
        moments = times.corrected_to_start() if decay == "START" else times.mean_of_frames()
        injected, notes = times.injection(tracer, min(moments))
        self.notes += notes
        return dose * 2.0 ** (-np.array([(moment - injected).total_seconds() for moment in moments]) / half_life)

    def _dose(self, tracer: Any) -> float:
        dose = needed_number(tracer, "RadionuclideTotalDose")
        if 20 <= dose < 10_000:
            self.notes.append(f"The dose of {dose:g} is taken as MBq, not Bq.")
            return dose * 1e6
        if not 1e6 <= dose <= 2e10:
            raise InputError(
                f"The PET series states a dose of {dose:g} Bq (RadionuclideTotalDose), which is not possible. Correct it."
            )
        return dose

    def _half_life(self, tracer: Any) -> float:
        half_life = needed_number(tracer, "RadionuclideHalfLife")
        code = (tracer.get("RadionuclideCodeSequence") or [{}])[0]
        named = f"{tracer.get('Radiopharmaceutical') or ''} {code.get('CodeMeaning') or ''}".lower()
        known = next(
            (seconds for seconds, words in _NUCLIDES.items() if any(word in named for word in words)), half_life
        )
        if half_life <= 0 or abs(half_life - known) > 0.05 * known:
            raise InputError(
                f"The PET series states a half-life of {half_life:g} s (RadionuclideHalfLife)"
                + (f" for {named.strip()}, which has {known:.0f} s" if known != half_life else "")
                + ". Correct it."
            )
        return half_life

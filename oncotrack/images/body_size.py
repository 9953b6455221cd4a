"""What the uptake of PET is related to: the patient's weight, lean body mass, body surface area or ideal body weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from oncotrack.errors import InputError
from oncotrack.images.dicom_values import number

KINDS = {
    "BW": "body weight",
    "LBM": "lean body mass (James)",
    "LBMJAMES128": "lean body mass (James, 128 for men)",
    "LBMJANMA": "lean body mass (Janmahasatian)",
    "BSA": "body surface area",
    "IBW": "ideal body weight",
}
"""What uptake can be related to, by DICOM's SUV Type (0054,1006)."""
_TAGS = {"weight": "PatientWeight", "height": "PatientSize", "sex": "PatientSex"}


@dataclass(frozen=True)
class Body:
    """The patient's weight in kg, height in cm (in m below 3) and sex; None where unknown.

    `given` has a sentence for each of them that does not come from the header.
    """

    weight: float | None
    height: float | None
    sex: str | None
    given: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, header: Any, weight: float | None, height: float | None, sex: str | None) -> Body:
        """Return what is given, and what a header says where nothing is.

        Parameters
        ----------
        header : pydicom data set
            The header.
        weight, height : float or None
            In kg and cm, or m.
        sex : str or None
            "M", "F" or "O".
        """
        stated = cls(
            number(header, "PatientWeight") or None,
            number(header, "PatientSize") or None,
            str(header.get("PatientSex") or "").strip().upper() or None,
        )
        values = {"weight": weight, "height": height, "sex": sex.strip().upper() if sex else None}
        values = {name: value for name, value in values.items() if value is not None}
        given = {
            name: f"The patient's {name} is {_text(name, value)} as given; the header states "
            f"{_text(name, getattr(stated, name))}."
            for name, value in values.items()
        }
        return replace(stated, **values, given=given)

    @classmethod
    def from_text(cls, metadata: Mapping[str, str]) -> Body:
        """Return what an image's metadata hold, see `as_text`.

        Parameters
        ----------
        metadata : mapping
            With ``weight``, ``height`` and ``sex``, each missing or "" where it is unknown.
        """
        weight, height = (float(metadata.get(name) or 0) or None for name in ("weight", "height"))
        return cls(weight, height, metadata.get("sex") or None)

    def as_text(self) -> dict[str, str]:
        """Return what is known as the metadata of an image: ``weight``, ``height``, ``sex``."""
        known = {"weight": self.weight, "height": self.height}
        text = {name: f"{value:g}" for name, value in known.items() if value}
        return text | ({"sex": self.sex} if self.sex else {})

    @property
    def kinds(self) -> tuple[str, ...]:
        """The keys of `KINDS` for which everything is known and possible."""
        return tuple(kind for kind in KINDS if self._has(kind))

    def size(self, kind: str) -> tuple[float, list[str]]:
        """Return what uptake is related to, g (cm² for BSA), and sentences about what was assumed.

        Parameters
        ----------
        kind : str
            A key of `KINDS`.

        Raises
        ------
        InputError
            What the kind needs is unknown or impossible.
        """
        notes: list[str] = []
        weight = self._known("weight", kind, notes)
        if not 0.5 <= weight <= 500:
            raise InputError(f"The patient's weight of {weight:g} kg is not possible. Correct it.", parameter="weight")
        if kind == "BW":
            return 1000 * weight, notes
        height = self._known("height", kind, notes)
        if height < 3:
            height *= 100
        elif 50 <= height <= 250 and "height" not in self.given:
            notes.append(f"The patient's height of {height:g} is taken as cm, not m.")
        if not 20 <= height <= 250:
            raise InputError(f"The patient's height of {height:g} cm is not possible. Correct it.", parameter="height")
        if kind == "BSA":  # Du Bois
            return 71.84 * weight**0.425 * height**0.725, notes
        sex = self._known("sex", kind, notes)
        if sex not in ("M", "F", "O"):
            raise InputError(
                f'The patient\'s sex is "{sex}"; for SUV by {KINDS[kind]} it has to be M, F or O.', parameter="sex"
            )
        masses = [mass_kg(kind, one, weight, height) for one in ("MF" if sex == "O" else sex)]
        if sex == "O":
            notes.append(
                f"The patient's sex is other (O): the {KINDS[kind]} is the mean of the formulas for men and women."
            )
        if (mass := sum(masses) / len(masses)) <= 0:
            raise InputError(
                f"The {KINDS[kind]} for {weight:g} kg and {height:g} cm is not positive. Check weight and height, or "
                "choose another kind of SUV."
            )
        return 1000 * mass, notes

    def _has(self, kind: str) -> bool:
        try:
            self.size(kind)
        except InputError:
            return False
        return True

    def _known(self, name: str, kind: str, notes: list[str]) -> Any:
        """Return a value, with a note where it was given; InputError where it is unknown."""
        value = getattr(self, name)
        if value is None:
            raise InputError(
                f"The PET series does not state the patient's {name} ({_TAGS[name]}), which SUV by {KINDS[kind]} needs. "
                f"Give the {name}, or export the series with all tags.",
                parameter=name,
            )
        if name in self.given:
            notes.append(self.given[name])
        return value


def _text(name: str, value: Any) -> str:
    if value is None:
        return "none"
    if name == "sex":
        return value
    return f"{value:g} kg" if name == "weight" else f"{value:g} m" if value < 3 else f"{value:g} cm"


def mass_kg(kind: str, sex: str, weight: float, height: float) -> float:
    """Return a lean or ideal mass in kg (DICOM PS3.16, codes 126402 and 126404 to 126406).

    Parameters
    ----------
    kind : str
        "LBM", "LBMJAMES128", "LBMJANMA" or "IBW".
    sex : str
        "M" or "F".
    weight, height : float
        In kg and cm.
    """
    man, bmi = sex == "M", weight / (height / 100) ** 2
    if kind == "LBMJANMA":
        return 9270 * weight / (6680 + 216 * bmi if man else 8780 + 244 * bmi)
    if kind == "IBW":
        return 48.0 + 1.06 * (height - 152) if man else 45.5 + 0.91 * (height - 152)
    squared = (128 if kind == "LBMJAMES128" else 120) if man else 148
    return (1.10 if man else 1.07) * weight - squared * (weight / height) ** 2

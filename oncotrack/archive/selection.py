"""Which series of a study is read: rules that a physicist can see and change, with a reason for each series that is not."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_type_hints

from oncotrack.archive.entries import Entry
from oncotrack.errors import InputError
from oncotrack.images.dicom.kinds import LOCALIZER
from oncotrack.json_text import read_text
from oncotrack.settings import toml

_MAPS = {"ADC", "EADC", "FA", "TRACE", "CBF", "CBV", "MTT", "TTP", "T1 MAP", "T2 MAP"}
"""Values of the attribute Image Type of maps that are computed from images."""

Wish = Literal["with", "without", "any"]
Kernel = Literal["soft", "sharp", "any"]
_SHARP = re.compile(
    r"^(B[fhlrqv]?[5-9]\d|I[5-9]\d|LUNG|BONE|EDGE|DETAIL|CHEST|ULTRA|FC(3\d|[5-9]\d)|L|YA|YB|YC|YD|D|E)", re.I
)
_SOFT = re.compile(r"^(B[fhlrqv]?[1-4]\d|I[1-4]\d|STANDARD|STD|SOFT|FC(0\d|1\d)|A|B|C)", re.I)


@dataclass(frozen=True)
class Rules:
    """How the series of a study is chosen; the first rule in which two series differ decides.

    Attributes
    ----------
    modality : str
        DICOM modality of the series.
    least_slices : int
        Series with fewer are never read.
    contrast : str
        "with" prefers a series with contrast agent, "without" one without, "any" neither.
    kernel : str
        "soft" or "sharp" prefers such a kernel, "any" neither.
    thickest_mm : float
        Slices that are thicker are read only where there are no thinner ones.
    best_thickness_mm : float
        Of the others the one whose slice thickness is nearest to this is read.
    """

    modality: str = "CT"
    least_slices: int = 20
    contrast: Wish = "with"
    kernel: Kernel = "soft"
    thickest_mm: float = 5.0
    best_thickness_mm: float = 1.5

    @classmethod
    def load(cls, path: Path) -> Rules:
        """Read rules from a TOML file; those that it lacks keep their usual values.

        Raises
        ------
        InputError
            The file cannot be read, or a rule is unknown or has a value that it cannot have.
        """
        parser = toml()
        try:
            values = parser.loads(read_text(path, "cannot be read. Check the path; it is a TOML file."))
        except parser.TOMLDecodeError as error:
            raise InputError(f"{path} is not a TOML file: {error}.") from error
        return cls(**{name: _checked(path, name, value) for name, value in values.items()})

    def as_toml(self) -> str:
        """Return the rules as the text of a TOML file."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return "".join(f"{name} = {_toml(value)}\n" for name, value in values.items())


def choose(study: Sequence[Entry], rules: Rules) -> list[Entry]:
    """Return the series of one study, each with the reason why it is read or not; the visit of the one to read is 0.

    Parameters
    ----------
    study : sequence of Entry
        All series of the study.
    rules : Rules
        The rules.
    """
    excluded = {entry.key: _exclusion(entry, rules) for entry in study}
    possible = [entry for entry in study if not excluded[entry.key]]
    if not possible:
        return [replace(entry, visit=-1, reason=excluded[entry.key]) for entry in study]
    ranks = {entry.key: [rank(entry) for _text, rank in _preferences(rules)] for entry in possible}
    best = min(possible, key=lambda entry: (ranks[entry.key], entry.number, entry.key))
    chosen = []
    for entry in study:
        if entry is best:
            reason = "Read." if len(possible) == 1 else f"Read: the best of {len(possible)} series by the rules."
            chosen.append(replace(entry, visit=0, reason=reason))
        elif excluded[entry.key]:
            chosen.append(replace(entry, visit=-1, reason=excluded[entry.key]))
        else:
            chosen.append(replace(entry, visit=-1, reason=_why_other(entry, best, ranks, rules)))
    return chosen


def sharpness(kernel: str) -> str:
    """Return "soft" or "sharp" for the convolution kernel of a vendor; "" for one that is unknown."""
    name = kernel.split("\\")[0].strip()
    return "sharp" if _SHARP.match(name) else "soft" if _SOFT.match(name) else ""


def _exclusion(entry: Entry, rules: Rules) -> str:
    """Return why a series is never read, a sentence; "" when it may be."""
    if entry.modality != rules.modality:
        return f"It is of modality {entry.modality or 'unknown'}, not {rules.modality}."
    if entry.kind == LOCALIZER:
        return "It is a localizer."
    if not entry.is_volume:
        return entry.problem or "It cannot be read as a volume."
    if entry.problem:
        return f"It is not regular: {entry.problem}"
    if entry.slices < rules.least_slices:
        return (
            f"It has {entry.slices} slice{'s' * (entry.slices != 1)}; the rules ask for at least {rules.least_slices}."
        )
    return ""


def _preferences(rules: Rules) -> list[tuple[str, Callable[[Entry], Any]]]:
    """Return the preferences in their order: what the better series is, and its rank (the smaller the better)."""
    has_contrast = {"with": lambda entry: not entry.contrast, "without": lambda entry: bool(entry.contrast)}
    wanted = {"soft": ("soft", "", "sharp"), "sharp": ("sharp", "", "soft")}.get(rules.kernel, ())
    listed: list[tuple[str, Callable[[Entry], Any]]] = [
        ("axial", lambda entry: not entry.is_axial),
        ("no computed map", lambda entry: not _MAPS.isdisjoint(entry.image_type.upper().split("\\"))),
        (f"not thicker than {rules.thickest_mm:g} mm", lambda entry: _thickness(entry) > rules.thickest_mm),
        ("no reformat", lambda entry: not entry.image_type.upper().startswith("ORIGINAL")),
    ]
    if rules.contrast in has_contrast:
        listed.append((f"{rules.contrast} contrast agent", has_contrast[rules.contrast]))
    if wanted:
        listed.append((f"of a {rules.kernel} kernel", lambda entry: wanted.index(sharpness(entry.kernel))))
    nearest = f"nearer to a thickness of {rules.best_thickness_mm:g} mm"
    listed.append((nearest, lambda entry: abs(math.log(max(_thickness(entry), 0.1) / rules.best_thickness_mm))))
    listed.append(("longer", lambda entry: -entry.slices * entry.step_mm))
    return listed


def _thickness(entry: Entry) -> float:
    return entry.thickness_mm or entry.step_mm


def _why_other(entry: Entry, best: Entry, ranks: dict[str, list], rules: Rules) -> str:
    name = f"Series {best.number}" if best.number >= 0 else f"The series {best.description or best.key}"
    pairs = zip(_preferences(rules), ranks[best.key], ranks[entry.key], strict=True)
    text = next((text for (text, _rank), better, worse in pairs if better != worse), "the first of equal series")
    return f"{name} of the study is read instead: it is {text}."


def _checked(path: Path, name: str, value: object) -> Any:
    known = {field.name for field in fields(Rules)}
    if name not in known:
        raise InputError(f'{path}: there is no rule "{name}". The rules are {", ".join(sorted(known))}.')
    kind = get_type_hints(Rules)[name]
    allowed = getattr(kind, "__args__", ())
    if allowed and value not in allowed:
        raise InputError(f"{path}: {name} must be one of {', '.join(allowed)}, not {value!r}.")
    if not allowed and (isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind)):
        raise InputError(f"{path}: {name} must be a {'number' if kind in (int, float) else 'text'}, not {value!r}.")
    if kind in (int, float) and not 0 < float(str(value)) < 1e6:
        raise InputError(f"{path}: {name} must be greater than 0, not {value}.")
    return value


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"

"""What a reader says about a finding at a time point beside its size, for response criteria."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Judgement(str, Enum):
    """A reader's judgement of a finding at one time point."""

    NONE = ""
    TOO_SMALL = "too small to measure"
    NOT_EVALUABLE = "not evaluable"
    PROGRESSED = "unequivocal progression"
    MERGED = "merged with another lesion"


@dataclass(frozen=True)
class Assessment:
    """The judgement with what belongs to it.

    Attributes
    ----------
    judgement : Judgement
        The reader's judgement.
    is_equivocal : bool
        A new lesion, or the progression of a non-target lesion, is suspected but not certain.
    is_larger : bool
        It is larger than at the time point before; for lesions without a sum of diameters.
    merged_with : str
        Tracking UID of the finding that is measured for both.
    sul_peak : float, optional
        Peak uptake normalised by lean body mass, in PET.
    """

    judgement: Judgement = Judgement.NONE
    is_equivocal: bool = False
    is_larger: bool = False
    merged_with: str = ""
    sul_peak: float | None = None

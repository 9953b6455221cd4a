"""Names of the responses, the thresholds of RECIST 1.1 (E. Eisenhauer et al., Eur J Cancer 45, 2009), and what a protocol may set."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from oncotrack.errors import InputError
from oncotrack.findings.sizes import ENLARGED_MM, MEASURABLE_MM

PARTIAL_PERCENT = 30.0
"""PR: at least this decrease of the sum of diameters from baseline (section 4.3.1)."""
PROGRESSION_PERCENT, PROGRESSION_MM = 20.0, 5.0
"""PD: at least both increases of the sum from its smallest value on study (section 4.3.1)."""
NORMAL_NODE_MM, TARGET_NODE_MM = ENLARGED_MM, MEASURABLE_MM
"""A lymph node is normal below the first short axis, and measurable from the second one (section 4.3.1)."""
TARGET_MM = 10.0
"""Smallest long axis of a measurable lesion, for slices of up to 5 mm (section 3.1)."""
MOST_TARGETS, MOST_PER_ORGAN = 5, 2
"""Largest number of target lesions, and of those in one organ (section 3.2)."""
TOLERANCE = 1e-6
"""Lengths in mm and percentages that differ by less are equal, so that units and order of additions do not matter."""


class Response(str, Enum):
    """Response of target lesions, of non-target lesions, or of the patient at one visit."""

    CR = "CR"
    PR = "PR"
    SD = "SD"
    PD = "PD"
    NON = "Non-CR/Non-PD"
    NE = "NE"
    NED = "NED"
    NONE = "none"


MEANING = {
    Response.CR: "complete response",
    Response.PR: "partial response",
    Response.SD: "stable disease",
    Response.PD: "progressive disease",
    Response.NON: "neither complete response nor progressive disease",
    Response.NE: "not evaluable",
    Response.NED: "no disease",
    Response.NONE: "no such lesions",
}


@dataclass(frozen=True)
class Verdict:
    """A response and one sentence with the rule and the measurements that gave it."""

    response: Response
    why: str


@dataclass(frozen=True)
class Settings:
    """What a protocol may set.

    Attributes
    ----------
    too_small_mm : float
        Diameter of a lesion that is seen but too small to measure.
    stable_days : int
        SD counts as best overall response from this many days after baseline.
    confirmation_days : int
        CR and PR are confirmed, and an unconfirmed progression too, from this many days later.
    """

    too_small_mm: float = 5.0
    stable_days: int = 42
    confirmation_days: int = 28

    def __post_init__(self) -> None:
        if not (math.isfinite(self.too_small_mm) and 0 < self.too_small_mm <= TARGET_MM):
            raise InputError(
                f"A lesion too small to measure cannot count {self.too_small_mm} mm; choose more than 0 and at most "
                f"{TARGET_MM:.0f} mm (RECIST 1.1: 5 mm).",
                parameter="too_small",
            )
        for name in ("stable_days", "confirmation_days"):
            if getattr(self, name) < 0:
                raise InputError(f"A number of days cannot be negative ({getattr(self, name)}).", parameter=name)


def percent(change_mm: float, reference_mm: float) -> float | None:
    """Return a change in per cent of a reference; None where the reference is 0.

    Parameters
    ----------
    change_mm, reference_mm : float
        In mm.
    """
    return 100 * change_mm / reference_mm if reference_mm > 0 else None


def reaches(value: float, threshold: float) -> bool:
    """Return whether a value is at least a threshold, but for `TOLERANCE`.

    Parameters
    ----------
    value, threshold : float
        In mm or per cent.
    """
    return value >= threshold - TOLERANCE


def is_progression(sum_mm: float, nadir_mm: float) -> bool:
    """Return whether a sum of diameters is PD against its smallest value: 20 % and 5 mm more; 5 mm alone where that is 0.

    Parameters
    ----------
    sum_mm, nadir_mm : float
        The sum now, and the smallest one before, mm.
    """
    more = sum_mm - nadir_mm
    share = percent(more, nadir_mm)
    return reaches(more, PROGRESSION_MM) and (share is None or reaches(share, PROGRESSION_PERCENT))


def is_partial(sum_mm: float, baseline_mm: float) -> bool:
    """Return whether a sum of diameters is PR against baseline: 30 % less.

    Parameters
    ----------
    sum_mm, baseline_mm : float
        The sum now and at baseline, mm.
    """
    share = percent(baseline_mm - sum_mm, baseline_mm)
    return share is not None and reaches(share, PARTIAL_PERCENT)

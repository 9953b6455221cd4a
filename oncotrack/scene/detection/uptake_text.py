"""The uptake of findings as text and as sort keys, for both user interfaces."""

from __future__ import annotations

from collections.abc import Callable

from oncotrack.findings.finding import Finding
from oncotrack.findings.uptake import Uptake
from oncotrack.scene.choices import PET_ORDERS

_LEAST = float("-inf")


def _number(name: str) -> Callable[[Finding, Uptake | None], object]:
    def key(_finding: Finding, uptake: Uptake | None) -> object:
        value = getattr(uptake, name) if uptake else None
        return _LEAST if value is None else value

    return key


_KEYS: tuple[tuple[Callable[[Finding, Uptake | None], object], bool], ...] = (
    (_number("suv_max"), True),
    (_number("suv_peak"), True),
    (_number("suv_mean"), True),
    (_number("metabolic_volume_ml"), True),
    (_number("tlg_ml"), True),
    (
        lambda _finding, uptake: float("inf") if uptake is None or uptake.distance_mm is None else uptake.distance_mm,
        False,
    ),
    (lambda finding, _uptake: finding.side.value, False),
    (lambda finding, _uptake: finding.site, False),
)
ORDERS = dict(zip(PET_ORDERS, _KEYS, strict=True))
"""Choices of the order: the sort key of finding and uptake, and whether the largest comes first. Proximal nodes come before
distal ones when they are sorted by distance."""


def cells(finding: Finding, uptake: Uptake | None) -> tuple[str, ...]:
    """Return the cells under `choices.PET_COLUMNS`, "" where a value is not known."""
    if uptake is None:
        return ("",) * 7 + (finding.side.value, finding.site)
    distance = "" if uptake.distance_mm is None else str(round(uptake.distance_mm))
    region = "" if uptake.is_proximal is None else "proximal" if uptake.is_proximal else "distal"
    return (
        f"{uptake.suv_max:.1f}",
        f"{uptake.suv_peak:.1f}",
        f"{uptake.suv_mean:.1f}",
        f"{uptake.metabolic_volume_ml:.2f}",
        f"{uptake.tlg_ml:.1f}",
        distance,
        region,
        finding.side.value,
        finding.site,
    )

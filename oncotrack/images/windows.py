"""The CT windows of the views, reports and pictures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CTWindow:
    """A named window; width and level in HU."""

    name: str
    width: float
    level: float

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest intensity, HU."""
        return self.level - self.width / 2, self.level + self.width / 2


SOFT_TISSUE = CTWindow("Soft tissue", 400.0, 40.0)
LUNG = CTWindow("Lung", 1500.0, -600.0)
BONE = CTWindow("Bone", 1800.0, 400.0)
LIVER = CTWindow("Liver", 150.0, 90.0)

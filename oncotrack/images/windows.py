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
MEDIASTINUM = CTWindow("Mediastinum", 350.0, 50.0)
BRAIN = CTWindow("Brain", 80.0, 40.0)
ANGIO = CTWindow("Angio", 600.0, 300.0)
SPINE = CTWindow("Spine", 250.0, 50.0)
TEMPORAL_BONE = CTWindow("Temporal bone", 2800.0, 600.0)
CT_WINDOWS = (SOFT_TISSUE, LUNG, BONE, LIVER, MEDIASTINUM, BRAIN, ANGIO, SPINE, TEMPORAL_BONE)
"""The presets in the order of their keys, 1 to 9."""

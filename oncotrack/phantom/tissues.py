"""Tissue properties: HU in four contrast phases, SUV and T2-weighted signal; and the organ labels.

HU were checked against crude regions of real scans (LIDC-IDRI-0314, CRLM-CT-1004, Lung-PET-CT-Dx A0001 and
TotalSegmentator's example), SUV against Zincirkeser et al. 2007 ("Standardized uptake values of normal organs on
18F-FDG PET/CT", J Int Med Res 35), medians over patients; T2 signal is relative, muscle about 100.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Phase(str, Enum):
    """Contrast phase of a CT."""

    NONE = "none"
    ARTERIAL = "arterial"
    PORTAL = "portal"
    DELAYED = "delayed"


@dataclass(frozen=True)
class Tissue:
    """Mean HU by phase (none, arterial, portal, delayed), texture amplitude in HU, SUV, T2-like signal."""

    hu: tuple[float, float, float, float]
    grain: float
    suv: float
    t2: float


def _same_in_all_phases(hu: float, grain: float, suv: float, t2: float) -> Tissue:
    """Return a tissue of the same HU in all phases."""
    return Tissue((hu, hu, hu, hu), grain, suv, t2)


AIR = -1000.0

TISSUES: dict[str, Tissue] = {
    "skin": _same_in_all_phases(-12, 6, 0.6, 70),
    "fat": _same_in_all_phases(-106, 4, 0.3, 300),
    "septum": _same_in_all_phases(-74, 5, 0.3, 250),
    "visceral fat": _same_in_all_phases(-104, 7, 0.4, 280),
    "fat plane": _same_in_all_phases(-62, 12, 0.4, 250),
    "muscle": Tissue((55, 62, 74, 70), 5.5, 0.7, 100),
    "diaphragm": Tissue((45, 50, 55, 55), 4, 0.7, 100),
    "lung": _same_in_all_phases(-900, 13, 0.45, 20),
    "fissure": _same_in_all_phases(-700, 10, 0.45, 30),
    "lung vessel": Tissue((38, 230, 135, 105), 5, 1.4, 60),
    "airway wall": _same_in_all_phases(20, 10, 0.8, 120),
    "airway": _same_in_all_phases(-1000, 0, 0.2, 5),
    "myocardium": Tissue((48, 95, 110, 95), 6, 3.0, 110),
    "heart blood": Tissue((42, 270, 152, 112), 5, 1.5, 70),
    "right heart blood": Tissue((42, 230, 150, 112), 8, 1.5, 70),
    "artery": Tissue((42, 310, 150, 112), 4, 1.6, 45),
    "vena cava superior": Tissue((42, 240, 145, 110), 12, 1.6, 45),
    "vein": Tissue((42, 110, 145, 112), 5, 1.5, 50),
    "small vessel": Tissue((28, 130, 105, 85), 5, 1.2, 70),
    "plaque": _same_in_all_phases(520, 90, 1.2, 20),
    "oesophagus": Tissue((36, 45, 58, 54), 6, 1.3, 160),
    "thyroid": Tissue((98, 165, 150, 130), 9, 1.1, 190),
    "cartilage": _same_in_all_phases(105, 22, 0.7, 110),
    "gland": Tissue((42, 70, 90, 80), 9, 1.6, 190),
    "liver": Tissue((57, 72, 113, 100), 4.5, 2.2, 130),
    "liver vein": Tissue((40, 70, 152, 112), 4, 1.8, 55),
    "liver portal": Tissue((40, 95, 155, 112), 4, 1.8, 55),
    "bile": _same_in_all_phases(9, 3, 0.8, 600),
    "spleen": Tissue((48, 125, 108, 95), 4, 1.7, 220),
    "pancreas": Tissue((40, 95, 88, 75), 12, 1.4, 150),
    "adrenal": Tissue((18, 55, 58, 42), 6, 1.5, 150),
    "kidney cortex": Tissue((32, 185, 205, 175), 6, 4.0, 240),
    "kidney medulla": Tissue((30, 75, 185, 178), 8, 4.5, 300),
    "renal pelvis": Tissue((6, 10, 40, 330), 8, 14.0, 650),
    "stomach wall": Tissue((38, 62, 85, 72), 8, 2.0, 160),
    "stomach content": _same_in_all_phases(18, 14, 0.6, 520),
    "bowel wall": Tissue((36, 78, 92, 76), 9, 1.9, 170),
    "bowel content": _same_in_all_phases(22, 16, 1.2, 420),
    "oral contrast": _same_in_all_phases(230, 40, 1.2, 420),
    "stool": _same_in_all_phases(28, 60, 1.3, 160),
    "gas": _same_in_all_phases(-995, 0, 0.2, 5),
    "cortical bone": _same_in_all_phases(690, 110, 0.7, 25),
    "marrow": _same_in_all_phases(185, 42, 1.2, 140),
    "rib marrow": _same_in_all_phases(125, 50, 1.0, 120),
    "vertebra marrow": _same_in_all_phases(182, 40, 1.6, 150),
    "disc": _same_in_all_phases(82, 12, 0.9, 150),
    "cerebrospinal fluid": _same_in_all_phases(12, 4, 0.5, 700),
    "cord": _same_in_all_phases(38, 4, 1.4, 160),
    "grey matter": Tissue((38, 42, 43, 43), 3.5, 14.0, 190),
    "white matter": Tissue((29, 31, 32, 32), 3, 6.5, 125),
    "tooth": _same_in_all_phases(1900, 250, 0.3, 5),
    "yellow marrow": _same_in_all_phases(-40, 25, 0.5, 250),
    "bladder wall": Tissue((30, 40, 55, 55), 5, 1.5, 130),
    "urine": Tissue((4, 5, 8, 150), 3, 20.0, 650),
    "prostate": Tissue((38, 60, 78, 75), 9, 1.6, 170),
    "uterus": Tissue((45, 85, 105, 95), 9, 1.8, 190),
    "node": Tissue((42, 62, 82, 76), 5, 1.2, 230),
    "hot node": Tissue((44, 66, 88, 80), 7, 7.5, 240),
    "node fat": _same_in_all_phases(-55, 12, 0.5, 270),
    "node necrosis": Tissue((24, 26, 28, 28), 4, 1.6, 420),
    "lung tumour": Tissue((34, 55, 72, 70), 8, 8.5, 220),
    "liver metastasis": Tissue((38, 55, 62, 74), 7, 6.5, 230),
    "adrenal metastasis": Tissue((32, 52, 68, 66), 8, 6.0, 220),
    "bone metastasis": Tissue((58, 70, 76, 74), 12, 6.5, 210),
    "soft tissue metastasis": Tissue((38, 52, 66, 64), 7, 6.0, 230),
    "table shell": _same_in_all_phases(-220, 10, 0.0, 0),
    "table foam": _same_in_all_phases(-945, 3, 0.0, 0),
}

ORGANS: tuple[str, ...] = (
    "background", "skin", "fat", "muscle", "visceral fat", "lung", "diaphragm", "bone", "cartilage", "heart", "artery",
    "vein", "airway", "oesophagus", "thyroid", "liver", "spleen", "kidney", "stomach", "pancreas", "adrenal", "bowel",
    "gallbladder", "spinal canal", "disc", "gland", "lung vessel", "brain", "eye", "bladder", "prostate", "uterus",
)  # fmt: skip
LABEL = {name: number for number, name in enumerate(ORGANS)}
INSTANCE = 1000
"""Labels from here on are lymph nodes and lesions."""


def hu_values(phase: Phase) -> dict[str, tuple[float, float]]:
    """Return mean HU and grain of every tissue in a contrast phase."""
    column = list(Phase).index(Phase(phase))
    return {name: (tissue.hu[column], tissue.grain) for name, tissue in TISSUES.items()}


def suv_values(urine: float) -> dict[str, tuple[float, float]]:
    """Return mean SUV and texture of every tissue; `urine` is the SUV of the bladder, which varies most."""
    suv = {name: tissue.suv for name, tissue in TISSUES.items()} | {"urine": urine}
    return {name: (value, 0.08 * value) for name, value in suv.items()}


def t2_values() -> dict[str, tuple[float, float]]:
    """Return T2-like signal and texture of every tissue."""
    return {name: (tissue.t2, 0.05 * tissue.t2) for name, tissue in TISSUES.items()}

"""Body regions of lymph nodes, with their SNOMED CT codes."""

from __future__ import annotations

from dataclasses import dataclass

UNKNOWN = "region unknown"
"""Where the landmarks that decide the region are not in the scan."""


@dataclass(frozen=True)
class Region:
    """A body region that lymph nodes are listed by.

    Attributes
    ----------
    name : str
        As it is shown.
    code, meaning : str
        SNOMED CT code of the body structure and its meaning: that of the region's lymph nodes where there is one.
    has_side : bool
        Whether left and right are distinguished.
    """

    name: str
    code: str
    meaning: str
    has_side: bool = False


NECK = Region("neck", "81105003", "Cervical lymph node", True)
AXILLA = Region("axilla", "68171009", "Axillary lymph node", True)
UPPER_MEDIASTINUM = Region("upper mediastinum", "127925003", "Superior mediastinal lymph node")
LOWER_MEDIASTINUM = Region("lower mediastinum", "62683002", "Mediastinal lymph node")
MEDIASTINUM = Region("mediastinum", "62683002", "Mediastinal lymph node")
HILUM = Region("hilum", "53074004", "Hilar lymph node", True)
LUNG = Region("lung", "39607008", "Lung", True)
CHEST_WALL = Region("chest wall", "78904004", "Chest wall", True)
UPPER_ABDOMEN = Region("upper abdomen", "80581009", "Upper abdomen")
RETROPERITONEUM = Region("retroperitoneum", "91394001", "Retroperitoneal lymph node")
MESENTERY = Region("mesentery", "279795009", "Lymph node of mesentery")
ABDOMINAL_WALL = Region("abdominal wall", "113345001", "Abdominal structure", True)
PELVIS = Region("pelvis", "54268001", "Pelvic lymph node", True)
GROIN = Region("groin", "8928004", "Inguinal lymph node", True)

REGIONS = (
    NECK, AXILLA, UPPER_MEDIASTINUM, LOWER_MEDIASTINUM, MEDIASTINUM, HILUM, LUNG, CHEST_WALL, UPPER_ABDOMEN, RETROPERITONEUM,
    MESENTERY, ABDOMINAL_WALL, PELVIS, GROIN,
)  # fmt: skip
"""All regions, from head to feet."""


def region_named(name: str) -> Region | None:
    """Return the region of this name; None for `UNKNOWN` and for other text.

    Parameters
    ----------
    name : str
        The region of a finding.
    """
    return next((region for region in REGIONS if region.name == name), None)

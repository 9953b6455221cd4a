"""The rows of OSLN's tables 1 and 2 with the paper's figures, and the order of the rows that the paper reports."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from oncotrack.detection.petct.config import GLNetConfig, StageOneConfig

FIRST_ONLY = "first stage only"
TABLE_ONE: dict[str, tuple[float, float]] = {
    "SE-U-Net without stratification CT": (68.6, 69.3),
    "SE-U-Net without stratification EF": (70.5, 70.5),
    "U-Net without stratification CT": (73.6, 76.2),
    "U-Net without stratification EF": (73.2, 72.2),
    "U-Net without stratification LF": (78.6, 73.2),
    "U-Net CT": (77.2, 77.2),
    "U-Net EF": (78.8, 76.0),
    "U-Net LF": (82.8, 81.7),
}
"""Recall at precision 0.15 and mean recall (percent) by backbone, stratification and streams: the paper's tables 1a and 1b.

Its backbones are compared without stratification: the figures of the U-Net in table 1a are those of table 1b.
"""
TABLE_TWO: dict[str, tuple[float, float] | None] = {
    FIRST_ONLY: (44.1, 47.8),
    "tags": (47.1, 53.1),
    "CT": (51.3, 57.6),
    "CT + tags": None,
    "CT + PET": (52.6, 59.4),
    "CT + PET + tags": (55.2, 64.5),
}
"""Best F1 and mFROC (percent) by the inputs of the second stage, on candidates of late fusion; the paper lacks one row."""
STEPS_ONE: dict[str, list[tuple[str, str]]] = {
    "stratification": [
        (f"U-Net {setting}", f"U-Net without stratification {setting}") for setting in ("CT", "EF", "LF")
    ],
    "two streams": [("U-Net LF", "U-Net CT"), ("U-Net LF", "U-Net EF")],
    "backbone": [
        (f"U-Net without stratification {setting}", f"SE-U-Net without stratification {setting}")
        for setting in ("CT", "EF")
    ],
}
"""Pairs of rows of table 1, the better one by recall at precision 0.15 first, by what they differ in."""
STEPS_TWO: dict[str, list[tuple[str, str]]] = {
    "second stage": [("CT + PET + tags", FIRST_ONLY)],
    "tags": [("CT + PET + tags", "CT + PET")],
    "PET": [("CT + PET", "CT")],
    "local module": [("CT + PET + tags", "tags")],
}
"""Pairs of rows of table 2, the better one by mFROC first."""
Row = TypeVar("Row")


def first_stage_row(config: StageOneConfig, setting: str) -> str:
    """Return the name of a first stage in table 1, whether or not the paper has this row.

    Parameters
    ----------
    config : StageOneConfig
        Backbone and stratification.
    setting : str
        "CT", "EF" or "LF".
    """
    backbone = {"unet": "U-Net", "se-unet": "SE-U-Net"}[config.backbone]
    return f"{backbone} {'' if config.stratified else 'without stratification '}{setting}"


def second_stage_row(config: GLNetConfig) -> str:
    """Return the name of a second stage in table 2: its inputs.

    Parameters
    ----------
    config : GLNetConfig
        Modalities, local module and tagger.
    """
    local = [each.upper() for each in config.modalities] if config.local else []
    return " + ".join([*local, *(["tags"] if config.tagger else [])])


def in_paper_order(rows: dict[str, Row], names: dict[str, str], table: Iterable[str]) -> dict[str, Row]:
    """Return rows in the order of a table; rows that it lacks come last.

    Parameters
    ----------
    rows : dict
        By key.
    names : dict of str to str
        Name in the table by key.
    table : iterable of str
        Names in the paper's order.
    """
    order = {name: n for n, name in enumerate(table)}
    return dict(sorted(rows.items(), key=lambda row: order.get(names[row[0]], len(order))))

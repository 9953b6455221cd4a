"""Texts of comparisons in the tables that ``oncotrack evaluate`` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def comparison_text(comparison: Mapping[str, Any], unit: str = "") -> str:
    """Return the difference of two methods, its 95 % interval and its p value as text.

    Parameters
    ----------
    comparison : mapping
        ``difference``, ``interval`` and ``p`` of `oncotrack.evaluation.statistics`.
    unit : str
        Unit of the difference.
    """
    if comparison["difference"] is None:
        return "no lesion to compare"
    text = f"{comparison['difference']:+.1f} {unit}".strip()
    if comparison["interval"] is not None:
        text += " ({:.1f} to {:.1f})".format(*comparison["interval"])
    return text if comparison["p"] is None else f"{text}, p {comparison['p']:.3f}"


def linking_text(linking: Mapping[str, int]) -> str:
    """Return the linking errors of a detector as text.

    Parameters
    ----------
    linking : mapping
        The counts of `oncotrack.evaluation.tracklets.linking_errors`.
    """
    return (
        "{fragmentation} fragmentations, {wrong merges} wrong merges, {identity switches} identity switches; "
        "{node slices matched} of {node slices} slices of nodes matched".format(**linking)
    )

"""The contrast phase of a scan, as its series is described in DICOM."""

from __future__ import annotations

import re
from collections.abc import Mapping

NATIVE, ARTERIAL, PORTAL, DELAYED = "without contrast", "arterial phase", "portal venous phase", "delayed phase"
ENHANCED = "with contrast"
"""Contrast was given, but the phase is not stated."""
_WORDS = (
    (NATIVE, r"nativ\w*|plain|unenhanced|non[ -]?contrast|pre[ -]?contrast|without( iv)? contrast|w/?o( iv)?( contrast)?|ohne km"),
    (ARTERIAL, r"arteri\w*|art|angio\w*|cta"),
    (PORTAL, r"porto?\w*|venous|ven|pvp?|ven(ö|oe)s\w*"),
    (DELAYED, r"delay\w*|late|equilibrium|excretory|urographic|sp(ä|ae)t\w*"),
)  # fmt: skip
"""Words of a series description, in the order in which they decide: "late arterial" is arterial."""
_NO_AGENT = r"no|none|n|without.*|ohne.*|nil|-"


def contrast_phase(about: Mapping[str, str]) -> str:
    """Return the contrast phase that a series description names, else whether an agent is recorded; "" where neither says.

    Parameters
    ----------
    about : mapping
        `Volume.metadata`: its ``description`` and its ``contrast`` (agent, DICOM 0018,0010).
    """
    words = about.get("description", "").casefold()
    for phase, pattern in _WORDS:
        if re.search(rf"(?<![^\W_]){'(?:' + pattern + ')'}(?![^\W_])", words):
            return phase
    agent = about.get("contrast", "").strip().casefold()
    if not agent:
        return ""
    return NATIVE if re.fullmatch(_NO_AGENT, agent) else ENHANCED


def is_other_phase(first: str, second: str) -> bool:
    """Return whether two phases are known to differ; "with contrast" may be any phase but none.

    Parameters
    ----------
    first, second : str
        From `contrast_phase`.
    """
    if not (first and second) or first == second:
        return False
    return NATIVE in (first, second) or ENHANCED not in (first, second)

"""Coded concepts of the objects, with the meanings that other viewers compare as text, and the codes of earlier years.

SNOMED CT (SCT) and DICOM (DCM) as in PS3.16. `OWN` is the coding scheme of OncoTrack, for what neither has a code for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydicom.sr.coding import Code

from oncotrack.findings.assessment import Judgement
from oncotrack.findings.finding import Kind, Role, Side, State
from oncotrack.findings.sites import SITES, site_named

Choice = TypeVar("Choice")
OWN = "99ONCOTRACK"
MM, MM3, ML, PERCENT = (
    Code("mm", "UCUM", "millimeter"),
    Code("mm3", "UCUM", "cubic millimeter"),
    Code("ml", "UCUM", "milliliter"),
    Code("%", "UCUM", "Percent"),
)
SUV_UNITS = {
    "BW": Code("{SUVbw}g/ml", "UCUM", "Standardized Uptake Value body weight"),
    "LBM": Code("{SUVlbm}g/ml", "UCUM", "Standardized Uptake Value lean body mass (James)"),
    "LBMJAMES128": Code("{SUVlbm(James128)}g/ml", "UCUM", "Standardized Uptake Value lean body mass (James 128)"),
    "LBMJANMA": Code("{SUVlbm(Janma)}g/ml", "UCUM", "Standardized Uptake Value lean body mass (Janma)"),
    "BSA": Code("{SUVbsa}cm2/ml", "UCUM", "Standardized Uptake Value body surface area"),
    "IBW": Code("{SUVibw}g/ml", "UCUM", "Standardized Uptake Value ideal body weight"),
}
SUV_NAMES = {
    "BW": Code("126401", "DCM", "SUVbw"),
    "LBM": Code("126402", "DCM", "SUVlbm"),
    "LBMJAMES128": Code("126406", "DCM", "SUVlbm(James128)"),
    "LBMJANMA": Code("126405", "DCM", "SUVlbm(Janma)"),
    "BSA": Code("126403", "DCM", "SUVbsa"),
    "IBW": Code("126404", "DCM", "SUVibw"),
}
LONG_AXIS, SHORT_AXIS = Code("103339001", "SCT", "Long Axis"), Code("103340004", "SCT", "Short Axis")
LENGTH = Code("410668003", "SCT", "Length")
VOLUME = Code("118565006", "SCT", "Volume")
METABOLIC_VOLUME = Code("126032", "DCM", "Metabolic Volume")
TLG = Code("126033", "DCM", "Total Lesion Glycolysis")
DERIVATION = Code("121401", "DCM", "Derivation")
MAXIMUM, MEAN = Code("56851009", "SCT", "Maximum"), Code("373098007", "SCT", "Mean")
PEAK = Code("126031", "DCM", "Peak Value Within ROI")
SUM_OF_DIAMETERS = Code("112051", "DCM", "Measurement of Response")
CHANGE_FROM_BASELINE = Code("change-from-baseline", OWN, "Change of the sum from baseline")
RESPONSE_EVALUATION = Code("112020", "DCM", "Response Evaluation")
CURRENT_RESPONSE, BEST_RESPONSE = (
    Code("112048", "DCM", "Current Response"),
    Code("112049", "DCM", "Best Overall Response"),
)
RECIST = {"recist11": Code("126081", "DCM", "RECIST 1.1"), "irecist": Code("irecist", OWN, "iRECIST")}
RESPONSES = {
    "CR": Code("C4870", "NCIt", "Complete Response"),
    "PR": Code("C18058", "NCIt", "Partial Response"),
    "SD": Code("C18213", "NCIt", "Stable Disease"),
    "PD": Code("C35571", "NCIt", "Progressive Disease"),
    "NE": Code("C62222", "NCIt", "Unevaluable"),
}
BASELINE_CATEGORY = Code("112016", "DCM", "Baseline Category")
ROLES = {
    Role.TARGET: Code("112074", "DCM", "Target Lesion at Baseline"),
    Role.NON_TARGET: Code("112075", "DCM", "Non-Target Lesion at Baseline"),
    Role.NEW: Code("new-lesion", OWN, "New Lesion"),
}
STATE = Code("reader-decision", OWN, "Decision of the reader")
STATES = {state: Code(state.value.replace(" ", "-"), OWN, state.value.capitalize()) for state in State}
JUDGEMENT = Code("judgement", OWN, "Judgement of the reader")
JUDGEMENTS = {
    each: Code(f"judgement-{number}", OWN, each.value.capitalize())
    for number, each in enumerate(Judgement)
    if each.value
}
EQUIVOCAL, LARGER = Code("equivocal", OWN, "Equivocal"), Code("larger", OWN, "Larger than at the time point before")
MERGED_WITH = Code("merged-with", OWN, "Merged with the lesion of this tracking UID")
SPLIT_FROM = Code("split-from", OWN, "Fragment of the lesion of this tracking UID")
WEIGHTS = Code("weights-sha256", OWN, "SHA-256 of the weights")
SUL_PEAK = Code("sul-peak", OWN, "Peak of the uptake by lean body mass")
PRESENCE, ABSENT = Code("705057003", "SCT", "Presence"), Code("2667000", "SCT", "Absent")
COMMENT = Code("121106", "DCM", "Comment")
LATERALITY = Code("272741003", "SCT", "Laterality")
SIDES = {
    Side.LEFT: Code("7771000", "SCT", "Left"),
    Side.RIGHT: Code("24028007", "SCT", "Right"),
    Side.MIDLINE: Code("260528009", "SCT", "Median"),
    Side.UNKNOWN: Code("261665006", "SCT", "Unknown"),
}
KINDS = {
    Kind.LESION: Code("52988006", "SCT", "Lesion"),
    Kind.LYMPH_NODE: Code("59441001", "SCT", "Lymph node"),
    Kind.OTHER: Code("49755003", "SCT", "Morphologically Abnormal Structure"),
}
CATEGORIES = {
    Kind.LESION: Code("49755003", "SCT", "Morphologically Abnormal Structure"),
    Kind.LYMPH_NODE: Code("123037004", "SCT", "Anatomical Structure"),
    Kind.OTHER: Code("49755003", "SCT", "Morphologically Abnormal Structure"),
}
TRACKING_ID, TRACKING_UID = (
    Code("112039", "DCM", "Tracking Identifier"),
    Code("112040", "DCM", "Tracking Unique Identifier"),
)
ANATOMY = CATEGORIES[Kind.LYMPH_NODE], Code("91723000", "SCT", "Anatomical structure")
CATEGORY = Code("276214006", "SCT", "Finding category")
FINDING, FINDING_SITE = Code("121071", "DCM", "Finding"), Code("363698007", "SCT", "Finding Site")
TIME_POINT, TIME_POINT_ORDER = Code("C2348792", "UMLS", "Time Point"), Code("126073", "DCM", "Time Point Order")
SUBJECT_TIME_POINT = Code("126070", "DCM", "Subject Time Point Identifier")
BASELINE, POSTTREATMENT = Code("C1442488", "UMLS", "Baseline"), Code("126074", "DCM", "Posttreatment")
LEARNED = Code("123110", "DCM", "Artificial Intelligence")
CLUSTERS = Code("123107", "DCM", "Cluster Analysis")
OBSERVER_NAME = Code("121008", "DCM", "Person Observer Name")
DESCRIBED_BY = Code("described-by", OWN, "Person who described the finding")
ALGORITHM_NAME, ALGORITHM_PARAMETERS = (
    Code("111001", "DCM", "Algorithm Name"),
    Code("111002", "DCM", "Algorithm Parameters"),
)
MEASUREMENTS, GROUP = Code("126010", "DCM", "Imaging Measurements"), Code("125007", "DCM", "Measurement Group")
REFERENCED_SEGMENT = Code("121191", "DCM", "Referenced Segment")

_EARLIER = {
    ("G-A185", "SRT"): LONG_AXIS,
    ("G-A186", "SRT"): SHORT_AXIS,
    ("G-D7FE", "SRT"): LENGTH,
    ("G-D705", "SRT"): VOLUME,
    ("G-C0E3", "SRT"): FINDING_SITE,
    ("G-C171", "SRT"): LATERALITY,
    ("T-D0050", "SRT"): CATEGORIES[Kind.LYMPH_NODE],
    ("G-A101", "SRT"): SIDES[Side.LEFT],
    ("G-A100", "SRT"): SIDES[Side.RIGHT],
    ("G-A437", "SRT"): MAXIMUM,
    ("R-00317", "SRT"): MEAN,
    ("T-C4000", "SRT"): KINDS[Kind.LYMPH_NODE],
    ("M-01000", "SRT"): KINDS[Kind.OTHER],
}
"""Codes of SNOMED RT that reports before 2017, and some viewers today, use."""


def read_code(item: Any) -> Code:
    """Return the code of an item of a code sequence.

    Parameters
    ----------
    item : Dataset
        With a short or long code value.
    """
    value = item.get("CodeValue") or item.get("LongCodeValue") or item.get("URNCodeValue") or ""
    return Code(str(value), str(item.get("CodingSchemeDesignator") or ""), str(item.get("CodeMeaning") or ""))


def same(code: Code, other: Code) -> bool:
    """Return whether two codes are the same concept, whatever their meanings' spelling.

    Parameters
    ----------
    code, other : Code
        Of any scheme; earlier codes are equal to today's.
    """
    return _key(code) == _key(other)


def _key(code: Code) -> tuple[str, str]:
    today = _EARLIER.get((code.value, code.scheme_designator), code)
    return today.value, today.scheme_designator


def site_code(site: str) -> Code | None:
    """Return the code of a finding's site; one of `OWN` for free text, None without a site.

    Parameters
    ----------
    site : str
        As in `Finding.site`.
    """
    if not site.strip():
        return None
    known = site_named(site)
    if known:
        return Code(known.code, "SCT", known.name)
    text = site.strip()[:64]
    return Code(f"site-{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}", OWN, text)


def site_of(code: Code) -> str:
    """Return the site that a code names, in the words of `sites.SITES` where it is one of them.

    Parameters
    ----------
    code : Code
        Of a finding's site.
    """
    found = next((site.name for site in SITES if (site.code, "SCT") == _key(code)), "")
    known = site_named(code.meaning)
    return found or (known.name if known else code.meaning)


def kind_of(code: Code | None, text: str = "") -> Kind:
    """Return the kind of a finding from its code, or from its code's meaning and other words.

    Parameters
    ----------
    code : Code or None
        Of the finding or of the segment's type.
    text : str
        Its label, and the names of its regions.
    """
    if code is not None and same(code, KINDS[Kind.LYMPH_NODE]):
        return Kind.LYMPH_NODE
    words = f"{code.meaning if code else ''} {text}".lower()
    return Kind.LYMPH_NODE if "lymph node" in words or "node" in words.split() else Kind.LESION


def of_code(codes: Mapping[Choice, Code], code: Code | None) -> Choice | None:
    """Return the key whose code this is; None where there is none.

    Parameters
    ----------
    codes : mapping to Code
        For example `SIDES`.
    code : Code or None
        A code that was read.
    """
    return next((key for key, each in codes.items() if code is not None and same(each, code)), None)

"""What a DICOM object is, in words, and why it is no scan."""

from __future__ import annotations

import re

from oncotrack.images.dicom.headers import Header, integer, text

DIRECTORY = "1.2.840.10008.1.3.10"
"""SOP class of a DICOMDIR."""
LOCALIZER = "localizer"
_SECONDARY_CAPTURES = "1.2.840.10008.5.1.4.1.1.7"
_NUCLEAR_MEDICINE = "1.2.840.10008.5.1.4.1.1.20"
_KINDS = {
    "SEG": "segmentation",
    "RTSTRUCT": "structure set (RTSTRUCT)",
    "RTDOSE": "radiotherapy dose (RTDOSE)",
    "RTPLAN": "radiotherapy plan (RTPLAN)",
    "RTRECORD": "radiotherapy record",
    "RTIMAGE": "radiotherapy image",
    "SR": "structured report",
    "PR": "presentation state",
    "KO": "key object selection",
    "REG": "registration",
    "FID": "set of fiducials",
    "RWV": "real world value mapping",
    "DOC": "document",
    "PLAN": "plan",
    "ECG": "electrocardiogram",
    "AU": "sound",
    "M3D": "surface model",
}
_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.66.4": "segmentation",
    "1.2.840.10008.5.1.4.1.1.66.5": "surface segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "segmentation",
    "1.2.840.10008.5.1.4.1.1.30": "parametric map",
    "1.2.840.10008.5.1.4.1.1.481.2": "radiotherapy dose (RTDOSE)",
    "1.2.840.10008.5.1.4.1.1.481.3": "structure set (RTSTRUCT)",
    "1.2.840.10008.5.1.4.1.1.4.2": "MR spectroscopy",
}
_SCANS = {"CT": "CT", "MR": "MR", "PT": "PET", "NM": "nuclear medicine"}
_PICTURES = {
    "CR": "radiograph",
    "DX": "radiograph",
    "MG": "mammogram",
    "XA": "angiogram",
    "RF": "fluoroscopy",
    "US": "ultrasound picture",
    "XC": "photograph",
    "ES": "endoscopy picture",
}
_LOCALIZERS = re.compile(r"\b(locali[sz]er|scout|topogram|scanogram|surview|survey|3[- ]?plane|tri[- ]?plane)", re.I)
_PAGES = re.compile(r"dose|protocol", re.I)


def kind_of(header: Header) -> str:
    """Return what an object is in words: "CT", "PET", "localizer", "segmentation", "secondary capture", ...

    Parameters
    ----------
    header : Header
        Its header.
    """
    modality, sop_class = text(header, "Modality"), text(header, "SOPClassUID")
    if sop_class in _CLASSES or modality in _KINDS:
        return _CLASSES.get(sop_class) or _KINDS[modality]
    if not integer(header, "Rows") and not _is_image(sop_class, modality):
        return _class_name(sop_class)
    if "LOCALIZER" in text(header, "ImageType").upper().split("\\"):
        return LOCALIZER
    if sop_class.startswith(_SECONDARY_CAPTURES) and not header.get("ImagePositionPatient"):
        page = _PAGES.search(text(header, "SeriesDescription"))
        return f"{page.group().lower()} page" if page else "secondary capture"
    if _LOCALIZERS.search(text(header, "SeriesDescription")):
        return LOCALIZER
    return _SCANS.get(modality) or _PICTURES.get(modality) or modality or "image"


def why_no_scan(header: Header) -> str:
    """Return why an object can be no slice of a volume, a sentence; "" when it can be.

    Parameters
    ----------
    header : Header
        Its header.
    """
    kind, modality, sop_class = kind_of(header), text(header, "Modality"), text(header, "SOPClassUID")
    article = "an" if kind[:1].lower() in "aeiou" or kind[:2] in ("MR", "RT", "XA") else "a"
    has_pixels = integer(header, "Rows") > 0 or _is_image(sop_class, modality)
    if sop_class in _CLASSES or modality in _KINDS or not has_pixels:
        return f"This is {article} {kind}, not a scan."
    if kind == LOCALIZER and modality == "CT":
        return "This is a localizer (a projection image for planning), not a volume of slices."
    if not header.get("ImagePositionPatient") and "SharedFunctionalGroupsSequence" not in header:
        if sop_class.startswith(_SECONDARY_CAPTURES):
            return f"This is {article} {kind}: a picture without a position in the patient, not a volume."
        if modality in _PICTURES:
            return f"This is {article} {kind}, not a volume of slices."
    if integer(header, "SamplesPerPixel", 1) != 1 or header.get("PhotometricInterpretation", b"")[:7] == b"PALETTE":
        return "These are colour pictures. A volume needs the original greyscale slices."
    if "MOSAIC" in text(header, "ImageType").upper().split("\\"):
        return "Each image is a mosaic of several slices in one picture (Siemens). Export the series as single slices."
    if "FloatPixelData" in header:
        return "This is a map of computed values (floating point numbers), not a scan."
    if integer(header, "BitsAllocated", 16) == 1:
        return "This is a binary mask (1 bit per pixel), not a scan."
    if "ModalityLUTSequence" in header:
        return (
            "The pixel values are stored through a look-up table (Modality LUT), which OncoTrack cannot apply. Export "
            "the series with a rescale slope and intercept."
        )
    return ""


def is_scan(kind: str) -> bool:
    """Return whether a kind of object is a scan: CT, MR, PET or nuclear medicine.

    Parameters
    ----------
    kind : str
        See `kind_of`.
    """
    return kind in _SCANS.values()


def has_detectors(header: Header) -> bool:
    """Return whether positions stand in the detector information, as in reconstructed nuclear medicine.

    Parameters
    ----------
    header : Header
        The header.
    """
    return text(header, "SOPClassUID") == _NUCLEAR_MEDICINE


def lacks_pixels(header: Header) -> bool:
    """Return whether an object should have pixels and ends before them.

    Parameters
    ----------
    header : Header
        Its header.
    """
    return "Rows" not in header and _is_image(text(header, "SOPClassUID"), text(header, "Modality"))


def _is_image(sop_class: str, modality: str) -> bool:
    """Return whether a SOP class has pixels; without one, whether the modality is that of a scan."""
    return " Image Storage" in _class_name(sop_class, "") if sop_class else modality in _SCANS


def _class_name(sop_class: str, suffix: str = " Storage") -> str:
    from pydicom.uid import UID

    name = UID(sop_class).name.removesuffix(suffix) if sop_class else ""
    return name if name and name != sop_class else "object without pixels"

"""Measurement groups of structured reports, of any program, as observations of findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydicom.dataset import Dataset

from oncotrack.dicom_objects import codes, content
from oncotrack.dicom_objects.lesion_groups import TOOLS
from oncotrack.dicom_objects.library import is_own
from oncotrack.dicom_objects.mask_objects import Structure
from oncotrack.dicom_objects.report import NO_READER
from oncotrack.dicom_objects.report_places import Places, UnreadError
from oncotrack.dicom_objects.scans import Scan, Scans
from oncotrack.findings.assessment import Assessment, Judgement
from oncotrack.findings.finding import Finding, Kind, Observation, Provenance, Role, Side, new_uid
from oncotrack.findings.uptake import Uptake

_TO_MM3 = {"mm3": 1.0, "ml": 1000.0, "cm3": 1000.0, "l": 1e6}


@dataclass(frozen=True)
class ReadFinding:
    """A finding at one visit, as a file gives it.

    Attributes
    ----------
    finding : Finding
        Without observations; its label is "" where the file gives none.
    scan : Scan
        The scan.
    observation : Observation
        The observation.
    time_point : tuple of str
        Identifier and label of the visit in the file, "" where it gives none.
    is_drawn : bool
        Whether a person drew what the observation measures, rather than it follows from a mask.
    """

    finding: Finding
    scan: Scan
    observation: Observation
    time_point: tuple[str, str] = ("", "")
    is_drawn: bool = True


@dataclass
class Reading:
    """What was read from some objects, and what could not be, in sentences.

    Attributes
    ----------
    findings : list of ReadFinding
        The findings.
    used_segments : set of (str, int)
        SOP Instance UID and number of the segments that a report refers to.
    problems : list of str
        What could not be read, why, and what to do.
    """

    findings: list[ReadFinding] = field(default_factory=list)
    used_segments: set[tuple[str, int]] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)


def read_report(
    document: Dataset,
    name: str,
    scans: Scans,
    segments: Mapping[tuple[str, int], tuple[Scan, Structure]],
    reading: Reading,
) -> None:
    """Read the measurement groups of a structured report.

    Parameters
    ----------
    document : Dataset
        The report.
    name : str
        Name of its file, for messages.
    scans : Scans
        The scans that its measurements lie on.
    segments : mapping
        The segments that were read, by SOP Instance UID and number.
    reading : Reading
        What is read is added to it.
    """
    groups = content.groups(document)
    if not groups:
        title = content.code_in(document.get("ConceptNameCodeSequence"))
        reading.problems.append(
            f'{name} holds no measurements (it is a "{title.meaning if title else "report"}"). '
            "Choose a report of imaging measurements (TID 1500)."
        )
    for number, group in enumerate(groups, 1):
        label = content.text(group, codes.TRACKING_ID) or f"group {number}"
        if content.item(group, codes.CURRENT_RESPONSE, codes.SUM_OF_DIAMETERS):
            continue  # computed again from the findings
        try:
            found = _Group(document, group, scans, segments, reading).read()
        except UnreadError as error:
            reading.problems.append(f"{name}: {label} was left out: {error}")
            continue
        reading.findings.append(found)


@dataclass
class _Group:
    """One measurement group."""

    document: Dataset
    group: Dataset
    scans: Scans
    segments: Mapping[tuple[str, int], tuple[Scan, Structure]]
    reading: Reading

    def read(self) -> ReadFinding:
        places = Places(self.document, self.group, self.scans, self.segments)
        scan, seen = places.placed()
        self.reading.used_segments |= places.used_segments
        self.reading.problems += places.problems
        seen = self._with_numbers(replace(seen, provenance=self._provenance(), assessment=self._assessment()))
        state = codes.of_code(codes.STATES, content.value(content.item(self.group, codes.STATE)))
        time_point = "", ""
        if is_own(self.document):
            time_point = content.text(self.group, codes.SUBJECT_TIME_POINT), content.text(self.group, codes.TIME_POINT)
        return ReadFinding(
            self._finding(), scan, replace(seen, state=state or seen.state), time_point, is_drawn=places.is_drawn
        )

    def _finding(self) -> Finding:
        group = self.group
        tracking_id = content.text(group, codes.TRACKING_ID)
        label = label_of(tracking_id)
        comment = content.text(group, codes.COMMENT)
        if label and (comment == label or comment.startswith(f"{label}: ")):
            comment = comment[len(label) + 2 :]
        site = content.item(group, codes.FINDING_SITE)
        place = content.value(site)
        side = codes.of_code(codes.SIDES, content.value(content.item(site, codes.LATERALITY))) if site else None
        code = content.value(content.item(group, codes.FINDING, kind="CODE"))
        role = codes.of_code(codes.ROLES, content.value(content.item(group, codes.BASELINE_CATEGORY)))
        words = f"{tracking_id} {place.meaning if place else ''}"
        uid = content.text(group, codes.TRACKING_UID)
        kind = codes.of_code(codes.KINDS, code)
        category = content.value(content.item(group, codes.CATEGORY))
        if category and any(codes.same(category, each) for each in codes.ANATOMY) and kind is not Kind.LYMPH_NODE:
            kind = Kind.OTHER
        return Finding(
            label=label,
            uid=uid or new_uid(),
            kind=kind if kind is Kind.LYMPH_NODE or kind is Kind.OTHER else codes.kind_of(code, words),
            site="" if place is None or place.value == "38866009" else codes.site_of(place),
            side=side or Side.NOT_STATED,
            role=role or Role.NONE,
            comment=comment,
            reader=content.text(group, codes.DESCRIBED_BY).rstrip("^"),
            split_from=content.text(group, codes.SPLIT_FROM),
        )

    def _provenance(self) -> Provenance:
        document, group = self.document, self.group
        reader = content.text(group, codes.OBSERVER_NAME) or content.text(document, codes.OBSERVER_NAME)
        maker = " ".join(filter(None, (str(document.get(k) or "") for k in ("Manufacturer", "ManufacturerModelName"))))
        method = content.text(group, codes.ALGORITHM_NAME) or (
            "" if is_own(document) else f"DICOM report of {maker or 'unknown'}"
        )
        weights = content.text(group, codes.ALGORITHM_PARAMETERS).removeprefix("weights sha256 ")
        reader = "" if reader == NO_READER else reader.rstrip("^")
        when = when_of(self.document)
        made = Provenance(method, reader, weights)
        return replace(made, when=when or made.when)

    def _assessment(self) -> Assessment:
        said = [content.value(each) for each in content.items(self.group, codes.JUDGEMENT)]
        judged = [each for code in said if (each := codes.of_code(codes.JUDGEMENTS, code))]
        peak = content.number(content.item(self.group, codes.SUL_PEAK))
        return Assessment(
            judged[0] if judged else Judgement.NONE,
            is_equivocal=any(code is not None and codes.same(code, codes.EQUIVOCAL) for code in said),
            is_larger=any(code is not None and codes.same(code, codes.LARGER) for code in said),
            merged_with=content.text(self.group, codes.MERGED_WITH),
            sul_peak=peak[0] if peak else None,
        )

    def _with_numbers(self, seen: Observation) -> Observation:
        volume = content.number(content.item(self.group, codes.VOLUME, kind="NUM"))
        if volume and volume[1] in _TO_MM3:
            seen = replace(seen, volume_mm3=volume[0] * _TO_MM3[volume[1]])
        return replace(seen, uptake=self._uptake())

    def _uptake(self) -> Uptake | None:
        """Return the uptake; None where a value of it is missing."""
        kind = next((key for key, code in codes.SUV_NAMES.items() if content.item(self.group, code)), None)
        metabolic = content.number(content.item(self.group, codes.METABOLIC_VOLUME))
        glycolysis = content.number(content.item(self.group, codes.TLG))
        if kind is None or metabolic is None or glycolysis is None:
            return None
        values = {}
        for each in content.items(self.group, codes.SUV_NAMES[kind]):
            how, value = content.value(content.item(each, codes.DERIVATION)), content.number(each)
            for name, code in (("suv_max", codes.MAXIMUM), ("suv_peak", codes.PEAK), ("suv_mean", codes.MEAN)):
                if how is not None and value is not None and codes.same(how, code):
                    values[name] = value[0]
        if len(values) < 3:
            return None
        return Uptake(**values, metabolic_volume_ml=metabolic[0], tlg_ml=glycolysis[0], kind=kind)


def segments_of(document: Dataset) -> set[tuple[str, int]]:
    """Return the segments that a report refers to, by SOP Instance UID and number.

    Parameters
    ----------
    document : Dataset
        The report.
    """
    return {key for group in content.groups(document) for key in content.segments(group)}


def label_of(tracking_id: str) -> str:
    """Return the label in a tracking identifier: what follows the name of the viewer's tool; "" where nothing does.

    Parameters
    ----------
    tracking_id : str
        For example "Cornerstone3DTools@^0.1.0:Bidirectional:L 1".
    """
    if not tracking_id.lower().startswith("cornerstone"):
        return tracking_id
    return tracking_id.split(":", 2)[2] if tracking_id.startswith(TOOLS) and tracking_id.count(":") > 1 else ""


def when_of(document: Dataset) -> str:
    """Return date and time of an object's content, ISO 8601; "" where they are missing.

    Parameters
    ----------
    document : Dataset
        The object.
    """
    day, time = str(document.get("ContentDate") or ""), str(document.get("ContentTime") or "").partition(".")[0]
    if len(day) != 8:
        return ""
    clock = f"{time[:2]}:{time[2:4]}:{time[4:6]}" if len(time) == 6 else "00:00:00"
    return f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock}"

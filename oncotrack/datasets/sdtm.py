"""Clinical-trial tables of CDISC SDTM: tumour identification (TU), tumour results (TR) and responses (RS), by subject and reader."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from oncotrack.datasets.tables import table_rows
from oncotrack.errors import InputError
from oncotrack.findings.finding import Role
from oncotrack.response.course import Course, Lesion, Reading, Seen, Visit

_ROLES = {"TARGET": Role.TARGET, "NON-TARGET": Role.NON_TARGET, "NEW": Role.NEW}
_MM = {"MM": 1.0, "CM": 10.0, "": 1.0}
_LONG, _SHORT, _STATE = ("LDIAM", "DIAMETER"), ("SAXIS", "LPERP"), "TUMSTATE"
_STATES = {
    "PRESENT": Reading(seen=Seen.PRESENT),
    "ABSENT": Reading(seen=Seen.ABSENT),
    "RESOLVED": Reading(seen=Seen.ABSENT),
    "TOO SMALL TO MEASURE": Reading(seen=Seen.TOO_SMALL),
    "INCREASED": Reading(seen=Seen.PRESENT, increased=True),
    "EQUIVOCAL": Reading(seen=Seen.PRESENT, equivocal=True),
    "UNEQUIVOCAL": Reading(seen=Seen.PRESENT),
    "UNEQUIVOCAL PROGRESSION": Reading(seen=Seen.PROGRESSED, increased=True),
    "NOT EVALUABLE": Reading(seen=Seen.NOT_EVALUABLE),
    "NE": Reading(seen=Seen.NOT_EVALUABLE),
}


@dataclass(frozen=True)
class TableResponse:
    """A response that a table gives.

    Attributes
    ----------
    visit, visit_label : str
        Number of the visit, and its name.
    test : str
        RSTESTCD, for example "OVRLRESP".
    response : str
        RSSTRESC; "" where it was not done.
    day : date, optional
        Date of the assessment, where it is complete.
    is_accepted : bool
        Whether it is the adjudicated one.
    """

    visit: str
    visit_label: str
    test: str
    response: str
    day: date | None
    is_accepted: bool


@dataclass(frozen=True)
class ReaderTables:
    """What one reader measured in one subject, and the responses given.

    Attributes
    ----------
    subject, reader : str
        Identifier of the subject, and name of the reader.
    course : Course, optional
        The measurements; None where there are none.
    responses : tuple of TableResponse
        In the order of the visits.
    """

    subject: str
    reader: str
    course: Course | None
    responses: tuple[TableResponse, ...]


@dataclass
class _Measured:
    """The rows of one reader and subject while the tables are read."""

    roles: dict[str, Role] = field(default_factory=dict)
    tests: dict[tuple[str, str], dict[str, Reading | float | None]] = field(default_factory=lambda: defaultdict(dict))


def read_sdtm(tu: str | Path, tr: str | Path, rs: str | Path) -> list[ReaderTables]:
    """Read the tables of a trial.

    Parameters
    ----------
    tu, tr, rs : path
        The CSV files of the domains TU, TR and RS.

    Returns
    -------
    list of ReaderTables
        One per subject and reader that gave a response.

    Raises
    ------
    InputError
        A file is missing or not such a table, or a value cannot be used; the message names file and line.
    """
    organs = _organs(tu)
    measured, visits = _results(tr, organs)
    responses: dict[tuple[str, str], list[TableResponse]] = defaultdict(list)
    for line, row in _rows(rs, "RS", ("USUBJID", "RSTESTCD", "VISITNUM", "RSSTRESC")):
        key = row["USUBJID"], _reader(row, "RS")
        responses[key].append(
            TableResponse(
                _visit_id(row, rs, line),
                row.get("VISIT") or row["VISITNUM"],
                row["RSTESTCD"].upper(),
                row["RSSTRESC"],
                _day(row.get("RSDTC", "")),
                row.get("RSACPTFL") == "Y",
            )
        )
    return [
        ReaderTables(*key, _course(key, measured.get(key), visits[key[0]], organs), tuple(_by_visit(found)))
        for key, found in responses.items()
    ]


def _organs(tu: str | Path) -> dict[tuple[str, str, str], tuple[str, Role | None]]:
    """Return organ and role of every lesion by subject, reader and link; the reader "" stands for any."""
    organs = {}
    for _line, row in _rows(tu, "TU", ("USUBJID", "TULNKID", "TUSTRESC")):
        found = row.get("TULOC", ""), _ROLES.get(row["TUSTRESC"].upper())
        organs[row["USUBJID"], _reader(row, "TU"), row["TULNKID"]] = found
        organs.setdefault((row["USUBJID"], "", row["TULNKID"]), found)
    return organs


def _results(
    tr: str | Path, organs: Mapping[tuple[str, str, str], tuple[str, Role | None]]
) -> tuple[dict[tuple[str, str], _Measured], dict[str, dict[str, Visit]]]:
    """Return the measurements by subject and reader, and the visits by subject."""
    measured: dict[tuple[str, str], _Measured] = defaultdict(_Measured)
    visits: dict[str, dict[str, Visit]] = defaultdict(dict)
    for line, row in _rows(tr, "TR", ("USUBJID", "TRLNKID", "TRTESTCD", "VISITNUM", "TRSTRESC")):
        subject, link, test = row["USUBJID"], row["TRLNKID"], row["TRTESTCD"].upper()
        if not link or test not in (*_LONG, *_SHORT, _STATE):
            continue
        visit, day = _visit_id(row, tr, line), _day(row.get("TRDTC", ""))
        known = visits[subject].get(visit)
        if known is None or (known.day is None and day):
            visits[subject][visit] = Visit(visit, row.get("VISIT") or visit, day)
        reader = _reader(row, "TR")
        rows = measured[subject, reader]
        _organ, role = _of_lesion(organs, subject, reader, link)
        role = role or _ROLES.get(row.get("TRGRPID", "").upper())
        if role is None:
            raise InputError(f"{tr}, line {line}: {link} of {subject} is neither target, non-target nor new.")
        rows.roles[link] = role
        rows.tests[link, visit][test] = _value(row, tr, line)
    return measured, visits


def _course(
    key: tuple[str, str],
    measured: _Measured | None,
    visits: Mapping[str, Visit],
    organs: Mapping[tuple[str, str, str], tuple[str, Role | None]],
) -> Course | None:
    if measured is None:
        return None
    subject, reader = key
    lesions = []
    for link, role in measured.roles.items():
        organ, _role = _of_lesion(organs, subject, reader, link)
        is_node = "LYMPH NODE" in organ.upper()
        readings = {
            visit: reading
            for (of, visit), tests in measured.tests.items()
            if of == link and (reading := _reading(tests, is_node)) is not None
        }
        lesions.append(Lesion(id=link, label=link, role=role, is_node=is_node, organ=organ.lower(), readings=readings))
    try:
        return Course(tuple(sorted(visits.values(), key=lambda visit: float(visit.id))), tuple(lesions), subject)
    except InputError as error:
        raise InputError(f"Subject {subject}, {reader}: {error}") from error


def _reading(tests: Mapping[str, Reading | float | None], is_node: bool) -> Reading | None:
    """Return the reading of one lesion at one visit from its tests; None where none was done."""
    state = next((value for value in tests.values() if isinstance(value, Reading)), None)
    long, short = (
        next((value for name in names if isinstance(value := tests.get(name), float)), None)
        for names in (_LONG, _SHORT)
    )
    if is_node and short is None and isinstance(tests.get("DIAMETER"), float):
        long, short = None, long
    if state is not None:
        return Reading(
            seen=state.seen, long_mm=long, short_mm=short, equivocal=state.equivocal, increased=state.increased
        )
    if long is None and short is None:
        return Reading(seen=Seen.NOT_EVALUABLE)
    return Reading(long_mm=long, short_mm=short, seen=Seen.ABSENT if not (long or short) else Seen.MEASURED)


def _value(row: Mapping[str, str], file: str | Path, line: int) -> Reading | float | None:
    """Return a length in mm, or the reading that a text stands for; None where it was not done."""
    text = row["TRSTRESC"] or row.get("TRORRES", "")
    if not text or row.get("TRSTAT", "").upper() == "NOT DONE":
        return None
    if text.upper() in _STATES:
        return _STATES[text.upper()]
    unit = (row.get("TRSTRESU") or row.get("TRORRESU", "")).upper()
    try:
        value = float(text.replace(",", ".")) * _MM[unit]
    except (ValueError, KeyError):
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise InputError(
            f"{file}, line {line}: {text} {unit.lower()} is no length in mm or cm, nor one of {', '.join(_STATES)}."
        )
    return value


def _rows(path: str | Path, domain: str, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and row of a table; "NA" and missing values are ""."""
    for line, row in table_rows(path, f"a table of the SDTM domain {domain}"):
        missing = [name for name in needed if row.get(name) is None]
        if missing:
            raise InputError(
                f"{path}, line {line} has no {', '.join(missing)}. Choose a table of the SDTM domain {domain}."
            )
        yield line, {name: "" if value in (None, "NA") else value.strip() for name, value in row.items() if name}


def _reader(row: Mapping[str, str], domain: str) -> str:
    return row.get(f"{domain}EVALID") or row.get(f"{domain}EVAL") or "reader"


def _of_lesion(
    organs: Mapping[tuple[str, str, str], tuple[str, Role | None]], subject: str, reader: str, link: str
) -> tuple[str, Role | None]:
    return organs.get((subject, reader, link)) or organs.get((subject, "", link)) or ("", None)


def _visit_id(row: Mapping[str, str], file: str | Path, line: int) -> str:
    try:
        return f"{float(row['VISITNUM']):g}"
    except ValueError:
        raise InputError(f"{file}, line {line}: {row['VISITNUM']!r} is no number of a visit.") from None


def _day(text: str) -> date | None:
    """Return a date; None where it is missing or incomplete."""
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def _by_visit(found: Sequence[TableResponse]) -> list[TableResponse]:
    return sorted(found, key=lambda each: float(each.visit))

"""The rules of RECIST 1.1 and iRECIST compared with the responses in the tables of a clinical trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from oncotrack.datasets.sdtm import ReaderTables, TableResponse
from oncotrack.response.course import Visit
from oncotrack.response.criteria import Response, Settings
from oncotrack.response.irecist import Category, Evidence, IResponse, Status, verdict
from oncotrack.response.recist import overall
from oncotrack.response.result import respond

_OVERALL, _TARGET, _NON_TARGET, _NEW = "OVRLRESP", "TRGRESP", "NTRGRESP", "NEWLIND"
_NAMES = {
    "CR": Response.CR,
    "PR": Response.PR,
    "SD": Response.SD,
    "PD": Response.PD,
    "UPD": Response.PD,
    "CPD": Response.PD,
    "NE": Response.NE,
}
_IMMUNE = "I"


@dataclass(frozen=True)
class _Row:
    """A response of the table beside that of the rules."""

    given: TableResponse
    rules: str
    why: str
    is_measured: bool
    remark: str = ""

    @property
    def agrees(self) -> bool:
        return self.given.response.casefold() == self.rules.casefold()


def evaluate_response_rules(tables: Sequence[ReaderTables], criteria: str) -> dict[str, Any]:
    """Compare every response of the tables with the rules.

    At visits with measurements the response follows from these. At visits without, it follows from the table's own
    responses of target and non-target lesions and its indicator of new lesions.

    Parameters
    ----------
    tables : sequence of ReaderTables
        From `sdtm.read_sdtm`.
    criteria : {"recist11", "irecist"}
        The rules.

    Returns
    -------
    dict
        `rows`, `agree`, `differences` with the sentence of the rules, and the same counts for the adjudicated rows.
    """
    compared = [(of, row) for of in tables for row in _compare(of, criteria)]
    rows = [row for _of, row in compared]
    adjudicated = [row for row in rows if row.given.is_accepted]
    unused = sum(each.test == _OVERALL for of in tables for each in of.responses) - sum(
        row.given.test == _OVERALL for row in rows
    )
    return {
        "criteria": criteria,
        "subjects": len({of.subject for of in tables}),
        "rows": len(rows),
        "agree": sum(row.agrees for row in rows),
        "from_measurements": sum(row.is_measured for row in rows),
        "from_components": sum(not row.is_measured for row in rows),
        "without_data": unused,
        "adjudicated": {"rows": len(adjudicated), "agree": sum(row.agrees for row in adjudicated)},
        "differences": [
            {**_where(of, row), "table": row.given.response, "rules": row.rules, "why": row.why}
            for of, row in compared
            if not row.agrees
        ],
        "remarks": [{**_where(of, row), "remark": row.remark} for of, row in compared if row.remark],
    }


def _where(of: ReaderTables, row: _Row) -> dict[str, str]:
    return {"subject": of.subject, "reader": of.reader, "visit": row.given.visit_label, "test": row.given.test}


def _compare(of: ReaderTables, criteria: str) -> Iterator[_Row]:
    measured = {visit.id for visit in of.course.visits[1:]} if of.course and len(of.course.visits) > 1 else set()
    if of.course and measured:
        yield from _from_measurements(of, criteria)
    rest = [each for each in of.responses if each.visit not in measured]
    visits = [
        (given, {each.test: each.response for each in group})
        for given, group in ((group[0], group) for group in _grouped(rest))
    ]
    if criteria == "irecist":
        yield from _immune_components(rest, visits)
    else:
        yield from _components(rest, visits)


def _from_measurements(of: ReaderTables, criteria: str) -> Iterator[_Row]:
    assert of.course is not None
    prefix = "i" if criteria == "irecist" else ""
    by_visit = {each.visit.id: each for each in respond(of.course, criteria).visits}
    for given in of.responses:
        found = by_visit.get(given.visit)
        if found is None or not given.response:
            continue
        target, non_target, new = found.target.verdict, found.non_target, found.new
        verdicts = {
            _OVERALL: (found.overall.response.value, found.overall.why),
            _TARGET: (f"{prefix}{target.response.value}", target.why),
            _NON_TARGET: (f"{prefix}{non_target.response.value}", non_target.why),
            _NEW: ("Y" if new.certain else "N", new.why),
        }
        if given.test in verdicts and not (prefix and given.test in (_TARGET, _NON_TARGET)):
            response, why = verdicts[given.test]
            reason = why if given.test != _OVERALL else f"{why} {target.why}"
            yield _Row(given, response, reason, True)


def _components(
    rest: Sequence[TableResponse], visits: Sequence[tuple[TableResponse, Mapping[str, str]]]
) -> Iterator[_Row]:
    for first, tests in visits:
        if not _has_components(tests):
            continue
        found = overall(_response(tests.get(_TARGET, "")), _non_target(tests), tests.get(_NEW) == "Y")
        for given in rest:
            if (given.visit, given.test) == (first.visit, _OVERALL):
                yield _Row(given, found.response.value, found.why, False)


def _immune_components(
    rest: Sequence[TableResponse], visits: Sequence[tuple[TableResponse, Mapping[str, str]]]
) -> Iterator[_Row]:
    status, was_complete = Status(), False
    start = next((first.day for first, _tests in visits if first.day), None)
    for first, tests in visits:
        if not _has_components(tests):
            continue
        days = (first.day - start).days if first.day and start else None
        evidence = _evidence(Visit(first.visit, first.visit_label, first.day), tests, days)
        found, status = verdict(evidence, status, Settings())
        remark = ""
        if was_complete and found.response in (IResponse.IPR, IResponse.ISD):
            remark = "The table gives disease after iCR; by RECIST 1.1 (table 3, note a) that would be progression."
        if found.response is not IResponse.NE:
            was_complete = found.response is IResponse.ICR
        for given in rest:
            if (given.visit, given.test) == (first.visit, _OVERALL):
                yield _Row(given, found.response.value, found.why, False, remark)


def _evidence(visit: Visit, tests: Mapping[str, str], days: int | None) -> Evidence:
    """Return the evidence for iRECIST from the table's own responses; iCPD of a part stands for its further growth."""
    target, non_target, has_new = _response(tests.get(_TARGET, "")), _non_target(tests), tests.get(_NEW) == "Y"
    texts = {
        Category.TARGET: f"target response {tests.get(_TARGET)}." if target is Response.PD else "",
        Category.NON_TARGET: f"non-target response {tests.get(_NON_TARGET)}." if non_target is Response.PD else "",
        Category.NEW: f"new lesions at {visit.label}." if has_new else "",
    }
    grown = {
        Category.TARGET: "CPD" in tests.get(_TARGET, "").upper(),
        Category.NON_TARGET: "CPD" in tests.get(_NON_TARGET, "").upper(),
        Category.NEW: has_new,
    }
    return Evidence(
        visit,
        target,
        non_target,
        has_new,
        {key: text for key, text in texts.items() if text},
        {key: texts[key] for key, is_grown in grown.items() if is_grown},
        texts[Category.NEW],
        days,
    )


def _has_components(tests: Mapping[str, str]) -> bool:
    return any(tests.get(name) for name in (_TARGET, _NON_TARGET))


def _response(text: str) -> Response:
    """Return the response that a table writes, with or without the "i" of iRECIST; none where it is missing."""
    word = text.upper()
    if not word:
        return Response.NONE
    return _NAMES.get(word, _NAMES.get(word.removeprefix(_IMMUNE), Response.NON))


def _non_target(tests: Mapping[str, str]) -> Response:
    """Return the response of non-target lesions; what is neither CR, PD nor NE is Non-CR/Non-PD."""
    response = _response(tests.get(_NON_TARGET, ""))
    return Response.NON if response in (Response.SD, Response.PR) else response


def _grouped(rest: Sequence[TableResponse]) -> Iterator[list[TableResponse]]:
    for _visit, group in groupby(rest, key=lambda each: each.visit):
        yield list(group)

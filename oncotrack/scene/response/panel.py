"""The contents of a response panel as text, and the commands that are possible, for both user interfaces."""

from __future__ import annotations

from dataclasses import dataclass

from oncotrack.findings.assessment import Judgement
from oncotrack.findings.csv_text import csv_text
from oncotrack.findings.finding import Finding, Observation, Role, State
from oncotrack.findings.sizes import axes_text, change_text, length_text
from oncotrack.findings.visit_table import headings, tip
from oncotrack.response.criteria import MEANING, Response
from oncotrack.response.result import CRITERIA, CourseResponse
from oncotrack.response.table import plain_text, sentences, table
from oncotrack.scene.response.response import ResponseScene

ROLES = (Role.TARGET, Role.NON_TARGET, Role.NEW)
JUDGEMENTS = {
    Judgement.NONE: "measured, or present",
    Judgement.TOO_SMALL: "too small to measure",
    Judgement.NOT_EVALUABLE: "not evaluable",
    Judgement.PROGRESSED: "unequivocal progression",
    Judgement.MERGED: "merged with another lesion",
}
"""What a reader can say about a lesion at a visit beside its size."""
_MEANINGS = {response.value: meaning for response, meaning in MEANING.items()}


@dataclass(frozen=True)
class ResponseLine:
    """A line of the table with a column a visit: `uid` of its lesion, "" for sums and responses."""

    uid: str
    head: str
    cells: tuple[str, ...]
    tips: tuple[str, ...]


@dataclass(frozen=True)
class Judged:
    """What the reader has said about the current finding at the visit that is shown."""

    uid: str
    label: str
    role: str
    site: str
    visit: str
    size: str
    long_mm: str
    short_mm: str
    judgement: str
    merged_with: str
    split_from: str
    is_equivocal: bool
    is_larger: bool
    is_absent: bool


def heads(session: ResponseScene) -> list[str]:
    """Return the heads of the columns: the visits, with their dates where these are known."""
    return headings(session.visits)


def lines(session: ResponseScene) -> list[ResponseLine]:
    """Return the lines of the table: lesions by role, then sums, changes and responses where there is a response."""
    result = session.result
    if result is None:
        chosen = [finding for role in ROLES for finding in session.session.findings if finding.role is role]
        return [_lesion_line(session, finding, f"{finding.label}, {finding.role.value}", None) for finding in chosen]
    order = [session.visits.index(next(v for v in session.visits if v.id == each.id)) for each in result.course.visits]
    lesions = [lesion for role in ROLES for lesion in result.course.of_role(role)]
    rows = table(result)[1:]
    found = []
    for number, row in enumerate(rows):
        cells: list[str] = [""] * len(session.visits)
        for place, cell in zip(order, row[1:], strict=True):
            cells[place] = cell
        if number < len(lesions):
            found.append(_lesion_line(session, session.session.findings[lesions[number].id], row[0], tuple(cells)))
        else:
            tips = tuple(_MEANINGS.get(cell.removeprefix("i"), "") for cell in cells)
            found.append(ResponseLine("", row[0], tuple(cells), tips))
    return found


def explanation(session: ResponseScene) -> list[str]:
    """Return which rule and which measurements gave each response, in sentences; without a response, why there is none."""
    result = session.result
    if result is None:
        return [session.problem]
    return [sentence for sentence in sentences(result) if not sentence.startswith("Note: ")]


def warnings(session: ResponseScene) -> list[str]:
    """Return what does not conform to RECIST 1.1, in sentences."""
    return [remark.text for remark in session.result.remarks] if session.result else []


def headline(session: ResponseScene) -> str:
    """Return the response at the last visit and the best one in words; "" without a response."""
    result = session.result
    if result is None:
        return ""
    last, best, count = result.visits[-1], result.best.response.value, len(result.remarks)
    said = f"{CRITERIA[result.criteria]}: {_named(last.overall.response.value)} at {last.visit.label}; best overall response {best}."
    return f"{said} {count} {'points' if count > 1 else 'point'} to check, see below." if count else said


def plot_words(result: CourseResponse) -> str:
    """Return what the plot shows in words: the sums of diameters of all visits, or why there is no plot."""
    sums = table(result)
    row = next((each for each in sums if each[0].startswith("Sum of diameters")), None)
    if row is None:
        return "There is no target lesion, so no sum of diameters is drawn."
    if not result.is_measured:
        return "No target lesion is measured yet, so no diameters are drawn."
    pairs = zip(result.course.visits, row[1:], strict=True)
    return "Sum of diameters in mm: " + ", ".join(f"{visit.label} {value}" for visit, value in pairs)


def judged(session: ResponseScene) -> Judged | None:
    """Return what the reader has said about the current finding at the visit that is shown; None without either."""
    finding, shown = session.session.current, session.shown
    if finding is None or shown < 0:
        return None
    visit = session.visits[shown]
    seen = finding.at(visit.id)
    about = seen.assessment if seen else None
    return Judged(
        finding.uid,
        finding.label,
        finding.role.value,
        finding.site,
        visit.label,
        _size_text(session, finding, seen),
        length_text(seen.long_axis) if seen and seen.is_measured else "",
        length_text(seen.short_axis) if seen and seen.is_measured else "",
        about.judgement.value if about else "",
        about.merged_with if about else "",
        finding.split_from,
        bool(about and about.is_equivocal),
        bool(about and about.is_larger),
        bool(seen and seen.state is State.ABSENT),
    )


def about(session: ResponseScene, finding: Finding) -> str:
    """Return place and size at baseline of a finding, "liver, 14.6 mm x 8.2 mm"."""
    seen = finding.at(session.visits[0].id) if session.visits else None
    return ", ".join(filter(None, (finding.place, axes_text(seen) if seen and seen.is_there else "")))


def others(session: ResponseScene) -> list[dict[str, str]]:
    """Return the other findings with the current one's role, as choices of what it has merged with or split from."""
    current = session.session.current
    alike = (f for f in session.session.findings if current and f.role is current.role and f.uid != current.uid)
    return [{"title": finding.label, "value": finding.uid} for finding in alike]


def relations(session: ResponseScene) -> list[tuple[str, tuple]]:
    """Return what the current finding can be to others, each in words and as method and arguments of `ResponseScene`."""
    finding = session.session.current
    if finding is None:
        return []
    seen = finding.at(session.visits[session.shown].id) if session.shown >= 0 else None
    is_merged = seen is not None and bool(seen.assessment.merged_with)
    found: list[tuple[str, tuple]] = [
        ("No part of another lesion", ("judge", "") if is_merged else ("set_split", "")),
    ]
    for other in others(session):
        found.append((f"Merged with {other['title']}", ("judge", Judgement.MERGED.value, "", -1, other["value"])))
        found.append((f"Fragment of {other['title']}", ("set_split", other["value"])))
    return found


def copied(session: ResponseScene) -> tuple[str, str]:
    """Return the response as plain text and as CSV, to copy into a clinical report; both "" without a response."""
    result = session.result
    return (plain_text(result), csv_text(table(result), "\n")) if result else ("", "")


def possible_methods(session: ResponseScene) -> frozenset[str]:
    """Return the names of the methods of `ResponseScene` that can be called now; a panel disables the others."""
    names = {"choose_criteria"}
    if session.session.current:
        names |= {"toggle_target", "set_role", "set_site", "set_split"}
        if session.shown >= 0:
            names |= {"judge", "set_equivocal", "set_larger", "mark_gone"}
    if len(session.visits) > 1:
        names |= {"choose_at", "add_new"}
    if session.result is not None:
        names.add("result")
    return frozenset(names)


def _lesion_line(session: ResponseScene, finding: Finding, head: str, cells: tuple[str, ...] | None) -> ResponseLine:
    seen = [finding.at(visit.id) for visit in session.visits]
    texts = cells or tuple(axes_text(each) if each and each.is_there else "-" for each in seen)
    tips = [_tip(session, finding, n) for n in range(len(seen))]
    marked = tuple(
        f"{text} (proposed)" if each is not None and each.is_proposal else text
        for text, each in zip(texts, seen, strict=True)
    )
    return ResponseLine(finding.uid, head, marked, tuple(tips))


def _tip(session: ResponseScene, finding: Finding, number: int) -> str:
    seen = finding.at(session.visits[number].id)
    if seen is None:
        return f"{finding.label} was not looked for at this visit."
    return " ".join(filter(None, (_size_text(session, finding, seen), tip(seen))))


def _size_text(session: ResponseScene, finding: Finding, seen: Observation | None) -> str:
    """Return sizes at a visit and their change since the first one."""
    if seen is None or not seen.is_there:
        return ""
    first = finding.at(session.visits[0].id)
    change = change_text(first, seen) if first is not seen else ""
    return ". ".join(filter(None, (axes_text(seen), f"Since baseline: {change}" if change else "")))


def _named(response: str) -> str:
    meaning = _MEANINGS.get(response) if response != Response.NONE.value else ""
    return f"{response} ({meaning})" if meaning else response

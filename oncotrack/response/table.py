"""The response as a table with one column per visit, for a clinical report: plain text and CSV."""

from __future__ import annotations

from oncotrack.findings.finding import Role
from oncotrack.findings.sizes import signed_text
from oncotrack.response.course import Lesion, Reading, Seen
from oncotrack.response.result import CRITERIA, CourseResponse
from oncotrack.response.sums import diameter_mm, target_sum


def table(result: CourseResponse) -> list[list[str]]:
    """Return the rows of the table, the first of which is the heading.

    Parameters
    ----------
    result : CourseResponse
        From `result.respond`.
    """
    course, after = result.course, result.visits
    rows = [["Lesion", *(visit.text for visit in course.visits)]]
    for role in (Role.TARGET, Role.NON_TARGET, Role.NEW):
        for lesion in course.of_role(role):
            cells = (_cell(lesion, lesion.at(visit), result) for visit in course.visits)
            rows.append([_name(lesion), *cells])
    if course.of_role(Role.TARGET):
        baseline = target_sum(course, 0, result.settings).mm
        rows.append(["Sum of diameters (mm)", _number(baseline), *(_number(each.target.total.mm) for each in after)])
        rows.append(["Change from baseline (%)", "", *(_signed(each.target.baseline_percent) for each in after)])
        rows.append(["Change from nadir (%)", "", *(_signed(each.target.nadir_percent) for each in after)])
        rows.append(["Change from nadir (mm)", "", *(_signed(each.target.nadir_change_mm) for each in after)])
        rows.append(["Target response", "", *(each.target.verdict.response.value for each in after)])
    if course.of_role(Role.NON_TARGET):
        rows.append(["Non-target response", "", *(each.non_target.response.value for each in after)])
    new = [", ".join(lesion.label for lesion in each.new.certain) or "no" for each in after]
    rows.append(["New lesions", "", *new])
    rows.append([f"Response ({CRITERIA[result.criteria]})", "", *(each.overall.response.value for each in after)])
    return rows


def plain_text(result: CourseResponse) -> str:
    """Return the table with aligned columns, and the sentences that explain it.

    Parameters
    ----------
    result : CourseResponse
        From `result.respond`.
    """
    rows = table(result)
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "", *sentences(result), ""])


def sentences(result: CourseResponse) -> list[str]:
    """Return why each response was given, the best overall response, the progression, and what does not conform.

    Parameters
    ----------
    result : CourseResponse
        From `result.respond`.
    """
    lines = []
    for each in result.visits:
        parts = (each.overall.why, each.target.verdict.why, each.non_target.why, each.new.why)
        lines.append(f"{each.visit.label}: {each.overall.response.value}. {' '.join(dict.fromkeys(parts))}")
    lines.append(f"Best overall response: {result.best.response.value}. {result.best.why}")
    if result.best_confirmed is not None:
        lines.append(f"With confirmation: {result.best_confirmed.response.value}. {result.best_confirmed.why}")
    if result.progression is not None:
        lines.append(f"Progression: {result.progression.visit.text}. {result.progression.why}")
    if result.course.of_role(Role.TARGET):
        lines.append("Sums are made of the diameters before they are rounded.")
    return [*lines, *(f"Note: {remark.text}" for remark in result.remarks)]


def _name(lesion: Lesion) -> str:
    about = ", ".join(filter(None, (lesion.organ, lesion.role.value)))
    axis = " (short axis)" if lesion.is_node and lesion.role is Role.TARGET else ""
    return f"{lesion.label}, {about}{axis}"


def _cell(lesion: Lesion, seen: Reading | None, result: CourseResponse) -> str:
    if seen is None:
        return "-"
    mm = diameter_mm(lesion, seen, result.settings)
    words = "" if seen.seen is Seen.MEASURED else seen.seen.value
    if seen.equivocal:
        words = f"{words}, equivocal".lstrip(", ")
    number = "" if mm is None or seen.seen in (Seen.ABSENT, Seen.MERGED) else f"{mm:.1f}"
    return " ".join(filter(None, (number, words))) or "not measured"


def _number(value: float | None) -> str:
    return "NE" if value is None else f"{value:.1f}"


def _signed(value: float | None) -> str:
    return "" if value is None else signed_text(value, "")

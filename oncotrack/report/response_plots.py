"""Plots of the response: sums and diameters of one patient over time; waterfall, spider and swimmer plot of a cohort."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from oncotrack.findings.finding import Role
from oncotrack.response.course import Course, Lesion
from oncotrack.response.criteria import PARTIAL_PERCENT, PROGRESSION_PERCENT
from oncotrack.response.result import CRITERIA, CourseResponse
from oncotrack.response.sums import diameter_mm, target_sum

COLOURS = {"CR": "#117733", "PR": "#44aa99", "SD": "#ddaa33", "PD": "#cc3355", "NE": "#888888"}
_LESIONS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")
_LESION_MARKS = ("o", "v", "D", "^", "P", "X")
_DARK: Any = {"text.color": "#e8eaed", "axes.labelcolor": "#e8eaed", "axes.edgecolor": "#9aa5b1", "xtick.color": "#e8eaed",
         "ytick.color": "#e8eaed", "grid.color": "#6b7580"}  # fmt: skip
_MARKS = {"CR": "^", "PR": "^", "PD": "X"}
_DAYS_PER_WEEK = 7
_NAMED = 60  # patients of a waterfall plot whose names are written


def group(response: str) -> str:
    """Return which of the `COLOURS` a response has: "iUPD" and "iCPD" that of "PD", "Non-CR/Non-PD" that of "SD".

    Parameters
    ----------
    response : str
        A response of RECIST 1.1 or iRECIST.
    """
    word = response.removeprefix("i")
    return {"UPD": "PD", "CPD": "PD"}.get(word, "SD" if word.startswith("Non") else word if word in COLOURS else "NE")


def plot_course(result: CourseResponse, *, is_small: bool = False) -> Any:
    """Draw the sum of diameters and each target lesion's diameter over time, with the thresholds of PR and PD.

    Parameters
    ----------
    result : CourseResponse
        Of one patient.
    is_small : bool
        Draw it for a narrow panel, with the legend below and no title.

    Returns
    -------
    matplotlib Figure
    """
    course = result.course
    times, unit = _times(course)
    title = "" if is_small else f"{course.name or 'Target lesions'}, {CRITERIA[result.criteria]}"
    size = {"width": 4.0, "height": 3.6} if is_small else {}
    figure, axes = _figure(title, unit, "diameter (mm)", **size)
    if unit == "visit":
        axes.set_xticks(times, [visit.label for visit in course.visits], rotation=20 if is_small else 0)
    top = 1.0
    for number, lesion in enumerate(course.of_role(Role.TARGET)):
        points = list(_diameters(result, lesion, times))
        if points:
            top = max(top, *(mm for _time, mm in points))
            colour, mark = _LESIONS[number % len(_LESIONS)], _LESION_MARKS[number % len(_LESION_MARKS)]
            line = {"color": colour, "marker": mark, "linewidth": 1.2, "markersize": 5}
            axes.plot(*zip(*points, strict=True), label=lesion.label, **line)
    sums = [target_sum(course, n, result.settings).mm for n in range(len(course.visits))]
    known = [(time, mm) for time, mm in zip(times, sums, strict=True) if mm is not None]
    if known:
        axes.plot(*zip(*known, strict=True), "s-", color=axes.xaxis.label.get_color(), label="sum", linewidth=2)
    if sums[0]:
        axes.axhline(
            sums[0] * (1 - PARTIAL_PERCENT / 100), color=COLOURS["PR"], linestyle=":", label="PR from baseline"
        )
    top = max([top, *(mm for _time, mm in known)])
    for time, each in zip(times[1:], result.visits, strict=True):
        axes.annotate(
            each.overall.response.value, (time, 1.0), xycoords=("data", "axes fraction"), xytext=(0, -12),
            textcoords="offset points", ha="center", color=COLOURS[group(each.overall.response.value)], weight="bold",
        )  # fmt: skip
    axes.set_ylim(0, top * 1.2)
    if axes.get_legend_handles_labels()[0] and is_small:
        figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    elif axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
    return figure


def course_svg(result: CourseResponse, *, is_dark: bool) -> str:
    """Return `plot_course` as SVG with a transparent background, for a dark or a light page.

    Parameters
    ----------
    result : CourseResponse
        Of one patient.
    is_dark : bool
        Whether the page is dark.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context(_DARK if is_dark else {}):
        plot_course(result, is_small=True).savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()


def plot_waterfall(results: Sequence[CourseResponse]) -> Any:
    """Draw the best change of the sum of diameters of every patient, coloured by the best overall response.

    Parameters
    ----------
    results : sequence of CourseResponse
        One per patient; those without a sum are left out and counted.

    Returns
    -------
    matplotlib Figure
    """
    return plot_changes(
        [(r.course.name or str(n), r.best_change_percent, r.best.response.value) for n, r in enumerate(results, 1)]
    )


def plot_changes(patients: Sequence[tuple[str, float | None, str]]) -> Any:
    """Draw a waterfall plot; patients are named below it up to a number that can be read.

    Parameters
    ----------
    patients : sequence of (name, best change in per cent or None, best overall response)
        Those without a change are left out and counted.

    Returns
    -------
    matplotlib Figure
    """
    known = sorted((each for each in patients if each[1] is not None), key=lambda each: -(each[1] or 0))
    title = f"Best change from baseline, {len(known)} of {len(patients)} patients"
    is_named = len(known) <= _NAMED
    width = max(6.0, 0.35 * len(known) + 3) if is_named else 24.0
    figure, axes = _figure(title, "patient", "sum of diameters (%)", width=width)
    colours = [COLOURS[group(response)] for _name, _change, response in known]
    axes.bar(range(len(known)), [change for _name, change, _response in known], color=colours, width=0.8)
    axes.set_xticks(*((range(len(known)), [name for name, *_ in known]) if is_named else ([], [])), rotation=90)
    _thresholds(axes)
    _legend(axes, {group(response) for *_, response in known})
    return figure


def plot_spider(results: Sequence[CourseResponse]) -> Any:
    """Draw the change of the sum of diameters of every patient over time.

    Parameters
    ----------
    results : sequence of CourseResponse
        One per patient.

    Returns
    -------
    matplotlib Figure
    """
    times_of, unit = _common_times(results)
    figure, axes = _figure("Change from baseline", unit, "sum of diameters (%)")
    for result, times in zip(results, times_of, strict=True):
        changes = [0.0, *(each.target.baseline_percent for each in result.visits)]
        points = [(time, change) for time, change in zip(times, changes, strict=True) if change is not None]
        colour = COLOURS[group(result.best.response.value)]
        axes.plot(*zip(*points, strict=True), "o-", color=colour, linewidth=1.2, markersize=4)
        axes.annotate(result.course.name, points[-1], (4, 0), textcoords="offset points", fontsize=7, va="center")
    _thresholds(axes)
    _legend(axes, {group(result.best.response.value) for result in results})
    return figure


def plot_swimmer(results: Sequence[CourseResponse]) -> Any:
    """Draw how long every patient was followed, when a response was first seen, and when the disease progressed.

    Parameters
    ----------
    results : sequence of CourseResponse
        One per patient.

    Returns
    -------
    matplotlib Figure
    """
    times_of, unit = _common_times(results)
    figure, axes = _figure("Time on study", unit, "", height=max(3.0, 0.35 * len(results) + 1.5))
    timed = sorted(zip(times_of, results, strict=True), key=lambda each: each[0][-1])
    for row, (times, result) in enumerate(timed):
        axes.barh(row, times[-1], color=COLOURS[group(result.best.response.value)], alpha=0.55, height=0.6)
        seen: set[str] = set()
        for time, each in zip(times[1:], result.visits, strict=True):
            word = group(each.overall.response.value)
            if word in _MARKS and word not in seen and word != "PD":
                seen.add(word)
                axes.plot(time, row, _MARKS[word], color=COLOURS[word], markeredgecolor="black", markersize=8)
        if result.progression:
            axes.plot(times[result.progression.index], row, _MARKS["PD"], color=COLOURS["PD"], markersize=9)
        else:
            axes.annotate("", (times[-1] * 1.05, row), (times[-1], row), arrowprops={"arrowstyle": "->"})
    axes.set_yticks(range(len(timed)), [r.course.name or str(n + 1) for n, (_times, r) in enumerate(timed)])
    _legend(
        axes, {group(result.best.response.value) for result in results}, "Triangle: CR or PR first seen. Cross: PD."
    )
    return figure


def _figure(title: str, x: str, y: str, width: float = 7.5, height: float = 4.2) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    return figure, axes


def _times(course: Course) -> tuple[list[float], str]:
    """Return the time of each visit in weeks; their numbers where a date is missing."""
    days = [course.days(index) for index in range(len(course.visits))]
    if all(day is not None for day in days):
        return [(day or 0) / _DAYS_PER_WEEK for day in days], "weeks since baseline"
    return [float(number) for number in range(len(days))], "visit"


def _common_times(results: Sequence[CourseResponse]) -> tuple[list[list[float]], str]:
    """Return the times of all patients' visits in weeks; the visits' numbers where a date of any patient is missing."""
    known = [_times(result.course) for result in results]
    if len({unit for _, unit in known}) == 1:
        return [times for times, _unit in known], known[0][1]
    return [[float(number) for number in range(len(times))] for times, _unit in known], "visit"


def _diameters(result: CourseResponse, lesion: Lesion, times: Sequence[float]) -> Any:
    for time, visit in zip(times, result.course.visits, strict=True):
        seen = lesion.at(visit)
        mm = diameter_mm(lesion, seen, result.settings)
        if mm is not None:
            yield time, mm


def _thresholds(axes: Any) -> None:
    axes.axhline(0, color="black", linewidth=0.8)
    for percent in (-PARTIAL_PERCENT, PROGRESSION_PERCENT):
        axes.axhline(percent, color="#666666", linestyle="--", linewidth=0.8)


def _legend(axes: Any, used: set[str], note: str = "") -> None:
    from matplotlib.patches import Patch

    patches = [Patch(color=colour, label=name) for name, colour in COLOURS.items() if name in used]
    axes.legend(
        handles=patches, title=f"best response\n{note}".strip(), loc="upper left", bbox_to_anchor=(1.01, 1.0),
        frameon=False,
    )  # fmt: skip

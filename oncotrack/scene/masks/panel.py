"""The contents of a masks panel as text, and the commands that are possible, for both user interfaces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from oncotrack.findings.finding import Finding, Observation
from oncotrack.findings.sizes import axes_text, length_text
from oncotrack.findings.visit_table import state
from oncotrack.masks.axes import PERPENDICULAR_WITHIN, RecistAxes
from oncotrack.masks.recist import slice_count
from oncotrack.scene.masks.recist import RecistScene
from oncotrack.scene.masks.recist_files import ImportResult

NO_MASK = "none"


@dataclass(frozen=True)
class MaskLine:
    """A line of the table of findings: `cells` under `MASK_COLUMNS`; `tip` gives the position, and how the mask was made."""

    uid: str
    cells: tuple[str, ...]
    tip: str


def lines(session: RecistScene) -> list[MaskLine]:
    """Return the findings of the scan, in the list's order."""
    time_point = session.time_point
    return [line(finding, finding.at(time_point)) for finding in session.shown]


def summary(session: RecistScene) -> str:
    """Return a sentence with the number of findings; "" while there are none."""
    time_point = session.time_point
    seen = [finding.at(time_point) for finding in session.shown]
    masks = sum(each.mask is not None for each in seen)
    return f"{_count(len(seen), 'finding')}, {_count(masks, 'mask')}." if seen else ""


def measurement_text(session: RecistScene) -> str:
    """Return a sentence with the current finding's measurements; "" without one."""
    finding, seen = session.current, session.observation
    if finding is None:
        return ""
    if seen.long_axis is None or seen.short_axis is None:
        return f"{finding.label} has no diameters here: draw them, or press Suggest diameters and mask."
    words = f"{finding.label}: {axes_text(seen)}"
    words += f", mask {mask_text(seen)}" if seen.mask else ", no mask"
    if seen.volume_mm3:
        words += f", {seen.volume_mm3 / 1000:.2f} ml"
    if seen.has_box_axes:
        return words + ". Long and short are the sides of its largest slice box, no measured diameters."
    off = RecistAxes.of(seen.long_axis, seen.short_axis).off_perpendicular
    slanted = [f"The diameters are {off:.0f} degrees off the right angle."] * (off > PERPENDICULAR_WITHIN)
    return " ".join([f"{words}.", *slanted, *session.mask_warnings])


def mask_text(seen: Observation) -> str:
    """Return the extent of a mask in words: "in 3 slices", "in one slice", or "none" without a mask."""
    if seen.mask is None:
        return NO_MASK
    slices = slice_count(seen.mask)
    return "in one slice" if slices == 1 else f"in {slices} slices"


def outcome_text(session: RecistScene, outcome: object) -> str:
    """Return a sentence on the outcome of a task that was just applied."""
    if isinstance(outcome, Finding):
        return f"The mask of {outcome.label} is {mask_text(outcome.at(session.time_point))} now."
    if isinstance(outcome, ImportResult):
        parts = [f"{_count(len(outcome.new), 'new finding')}"]
        parts += [f"{_count(len(outcome.changed), 'changed mask')}"] * bool(outcome.changed)
        words = f"{', '.join(parts)}."
        return words + (f" {len(outcome.refused)} refused: {' '.join(outcome.refused)}" if outcome.refused else "")
    paths: tuple[Path, ...] = outcome
    return f"Written to {paths[0].parent}: {', '.join(path.name for path in paths)}."


def possible_methods(session: RecistScene) -> frozenset[str]:
    """Return the names of the methods of `RecistScene` that can be called now; a panel disables the others."""
    names = set()
    if session.scan is not None:
        names |= {"draw_axes", "measure_table", "import_masks"}
    if session.hint:
        names.add("cancel_drawing")
    if session.shown:
        names |= {"next", "previous"}
    if (seen := session.observation) is not None:
        names |= {"accept", "reject", "remove_from_scan", "suggest", "enlarge"}
        if seen.long_axis and seen.short_axis:
            names |= {"rebuild", "make_perpendicular", "extend_to_3d", "add_diameters"}
        if seen.mask is not None:
            names |= {"remeasure", "remove_mask", "fill", "smooth"}
    time_point = session.time_point
    if any(finding.at(time_point).mask is not None for finding in session.shown):
        names.add("export")
    if session.findings.can_undo:
        names.add("undo")
    if session.findings.can_redo:
        names.add("redo")
    return frozenset(names)


def line(finding: Finding, seen: Observation) -> MaskLine:
    """Return the line of a finding with its observation in the scan."""
    volume = "" if seen.volume_mm3 is None else f"{seen.volume_mm3 / 1000:.2f}"
    cells = (
        finding.label,
        state(seen),
        "" if seen.has_box_axes else length_text(seen.long_axis),
        "" if seen.has_box_axes else length_text(seen.short_axis),
        volume,
        mask_text(seen),
    )
    position = ", ".join(f"{value:.1f}" for value in seen.centre)
    source = " and ".join(filter(None, (seen.provenance.method, seen.provenance.reader))) or "unknown"
    tip = f"{finding.label}, {finding.place}".strip(", ") + f" at {position} mm (R A S), by {source}"
    return MaskLine(finding.uid, cells, tip)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"

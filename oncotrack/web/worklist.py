"""The worklist on the page: the patients of an archive's results, opened one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oncotrack.archive.cases import Case
from oncotrack.archive.worklist import FILTERS, ORDERS, Row, Worklist
from oncotrack.background.jobs import Progress
from oncotrack.errors import InputError
from oncotrack.findings.dates import day_text
from oncotrack.findings.finding_list import read_findings
from oncotrack.findings.sizes import signed_text
from oncotrack.images.volume import Volume
from oncotrack.web.roles import BASELINE, FOLLOWUP, VISIT

if TYPE_CHECKING:
    from oncotrack.web.files import Files
    from oncotrack.web.viewer import Viewer

_SHOWN = 100  # rows on the page; the filters and the search find the others


class WorklistPage:
    """Connects the worklist with the page.

    Parameters
    ----------
    viewer : Viewer
        Its state gets `worklist` (rows), `worklist_more`, `worklist_filter`, `worklist_order`, `worklist_words`,
        `worklist_patient` (the folder of the open one) and `worklist_text`.
    files : Files
        Opens the scans.
    folder : Path
        The results of an archive.

    Raises
    ------
    InputError
        The folder holds no results.
    """

    def __init__(self, viewer: Viewer, files: Files, folder: Path) -> None:
        self._viewer, self._files, self._worklist = viewer, files, Worklist(folder)
        self._open = ""
        viewer.state.update(
            {
                "worklist_filters": [{"title": title, "value": name} for name, (title, _is) in FILTERS.items()],
                "worklist_orders": [{"title": title, "value": name} for name, (title, _key) in ORDERS.items()],
                "worklist_filter": "all",
                "worklist_order": "patient",
                "worklist_words": "",
                "worklist_patient": "",
                "worklist_is_read": False,
            }
        )
        self._refresh()

    def filter(self, chosen: str, order: str, words: str) -> None:
        """Choose which patients are shown, in which order."""
        if chosen not in FILTERS or order not in ORDERS:
            raise InputError("There is no such filter or order of the worklist.")
        self._viewer.state.update({"worklist_filter": chosen, "worklist_order": order, "worklist_words": words or ""})
        self._refresh()

    def open(self, folder: str) -> None:
        """Open a patient; findings of the present one that are not saved are saved first."""
        case, findings = self._worklist.case(folder), read_findings(self._worklist.findings(folder))
        if self._open and not self._viewer.session.findings.is_saved:
            self._files.saving.save_findings()

        def read(progress: Progress) -> dict[str, Volume]:
            return _read(case, progress)

        self._viewer.results.use(self._worklist.reading(folder))
        self._files.open_patient(f"Opening {case.patient}", read, findings)
        self._open = folder
        self._refresh()

    def next(self) -> None:
        """Open the next patient of the list."""
        self._step(1)

    def previous(self) -> None:
        """Open the previous patient of the list."""
        self._step(-1)

    def mark_read(self) -> None:
        """Mark the open patient as read, or as not read."""
        self._worklist.mark(self._open, not self._worklist.row(self._open).is_read)
        self._refresh()

    @property
    def is_open(self) -> bool:
        """Whether a patient of the worklist is open."""
        return bool(self._open)

    def can_step(self, step: int) -> bool:
        """Return whether there is a patient before (-1) or after (1) the open one."""
        return bool(self._neighbour(step))

    def _step(self, step: int) -> None:
        self.open(self._neighbour(step))

    def _neighbour(self, step: int) -> str:
        """Return the patient after (1) or before (-1) the open one among those that the filter shows; "" for none.

        An open patient that the filter no longer shows, because it was read, keeps its place in the order.
        """
        state = self._viewer.state
        shown = [row.folder for row in self._selected()]
        if not self._open:
            return shown[0] if shown and step > 0 else ""
        every = [row.folder for row in self._worklist.select(order=state.worklist_order)]
        place = every.index(self._open)
        others = every[place + 1 :] if step > 0 else every[:place][::-1]
        known = set(shown)
        return next((folder for folder in others if folder in known), "")

    def _selected(self) -> list[Row]:
        state = self._viewer.state
        return self._worklist.select(state.worklist_filter, state.worklist_order, state.worklist_words)

    def _refresh(self) -> None:
        state, rows = self._viewer.state, self._selected()
        state.worklist = [
            {"folder": row.folder, "patient": row.patient, "is_read": row.is_read, "details": _details(row)}
            for row in rows[:_SHOWN]
        ]
        everybody = self._worklist.select()
        unread = sum(not row.is_read for row in everybody)
        more = f", the first {_SHOWN} are shown" if len(rows) > _SHOWN else ""
        state.worklist_text = f"{len(rows)} of {len(everybody)} patients{more}; {unread} not read yet"
        state.worklist_patient = self._open
        state.worklist_is_read = bool(self._open) and self._worklist.row(self._open).is_read
        self._viewer.refresh_commands()


def _read(case: Case, progress: Progress) -> dict[str, Volume]:
    from oncotrack.archive.scans import read_scan

    volumes = {}
    for number, scan in enumerate(case.scans):
        role = (BASELINE, FOLLOWUP)[number] if number < 2 else f"{VISIT} {number + 1}"
        progress(number / len(case.scans), f"visit {number + 1} of {len(case.scans)}")
        volumes[role] = read_scan(case.root, scan)
    return volumes


def _details(row: Row) -> str:
    """Return what is known of a patient, "2 visits, last 2026-03-01 · 5 findings, 1 possibly new · PD (+31 %)"."""
    visits = f"{row.visits} visit{'s' * (row.visits != 1)}" + (
        f", last {day_text(row.last_date)}" if row.last_date else ""
    )
    new = f", {row.new_findings} possibly new" if row.new_findings else ""
    findings = f"{row.findings} finding{'s' * (row.findings != 1)}{new}"
    change = "" if row.change_percent is None else f" ({signed_text(row.change_percent, '%')})"
    response = f"{row.response}{change}" if row.response else ""
    return " · ".join(filter(None, (visits, findings, response)))

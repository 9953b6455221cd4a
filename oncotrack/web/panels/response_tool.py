"""The Response tab: target lesions, the table of visits with sums and responses, judgements, plot, and the report."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from trame.widgets import html

from oncotrack.background.jobs import Progress
from oncotrack.errors import InputError
from oncotrack.findings.finding import Kind, Point, Role
from oncotrack.findings.sites import suggested_sites
from oncotrack.scene.commands import PAGE, RESPONSE, commands_of
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.nodes.volumes import to_volume
from oncotrack.scene.response import panel
from oncotrack.scene.response.response import ResponseScene
from oncotrack.scene.views.view_rows import middle
from oncotrack.web.appearance import DARK
from oncotrack.web.files import Files
from oncotrack.web.panels.response_card import ResponseCard
from oncotrack.web.tools import Command, page_command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_TABLE, _PAGE = commands_of(RESPONSE), commands_of(PAGE)


class ResponseTool:
    """The tab of the response to treatment; its table has a column a visit, and a click on a cell shows that lesion there.

    Parameters
    ----------
    viewer : Viewer
        Its state gets `response` (table, sentences, plot, texts to copy) and `judged` (the current lesion at the visit shown).
    files : Files
        Where the report goes.
    """

    name, title, icon = "response", "Response", "mdi-chart-line"

    def __init__(self, viewer: Viewer, files: Files) -> None:
        self._viewer, self._files = viewer, files
        self._session = ResponseScene(viewer.session)
        self._drawn: tuple[Any, str, str] | None = None
        self._card = ResponseCard(viewer)
        viewer.state.update(
            {"response": {}, "judged": {}, "response_picks": False, "response_as": Role.TARGET.value, "response_organ": "",
             "response_name": "", "response_sites": list(suggested_sites(Kind.LESION))}
        )  # fmt: skip
        viewer.click_handlers[self.name] = self._on_click
        viewer.updates.on(self._session.changed, self.refresh)
        viewer.state.change("tab", "theme")(lambda **_state: self.refresh())
        viewer.closed.connect(self._session.close)
        self.refresh()

    @property
    def commands(self) -> Sequence[Command]:
        """Roles, judgements, criteria, new lesions and the report."""
        session, can = self._session, self._can
        return (
            page_command(_TABLE["response_target"], "mdi-star-outline", self._toggle, can("toggle_target")),
            page_command(_TABLE["response_role"], "mdi-tag-outline", self._set_role),
            page_command(_TABLE["response_site"], "mdi-human", session.set_site),
            page_command(_TABLE["response_judge"], "mdi-gavel", session.judge),
            page_command(_TABLE["response_split"], "mdi-call-split", session.set_split),
            page_command(_TABLE["response_resize"], "mdi-ruler", self._resize),
            page_command(_TABLE["response_equivocal"], "mdi-help", session.set_equivocal),
            page_command(_TABLE["response_larger"], "mdi-arrow-expand", session.set_larger),
            page_command(_TABLE["response_gone"], "mdi-minus-circle-outline", session.mark_gone, can("mark_gone")),
            page_command(_TABLE["response_criteria"], "mdi-format-list-checks", session.choose_criteria),
            page_command(_TABLE["response_click"], "mdi-cursor-default-click-outline", self._pick, can("choose_at"),
                         active="response_picks"),
            page_command(_TABLE["response_new"], "mdi-plus-circle-outline", self._add_in_middle, can("add_new")),
            page_command(_PAGE["response_report"], "mdi-file-chart-outline", self._write,
                         lambda: self._session.result is not None),
            page_command(_PAGE["response_copy"], "mdi-content-copy", self._say_copied),
        )  # fmt: skip

    def build(self) -> None:
        """Create choosing, the table, the judgements, warnings, plot, sentences and the report."""
        commands = {command.name: command for command in self.commands}
        html.P("Open a baseline and a follow-up in the tab Files.", v_if=("!has_scans && !job.text",))
        self._card.build(commands)

    def refresh(self) -> None:
        """Update the page's state from the session; the plot is drawn only while the tab is open."""
        state, session = self._viewer.state, self._session
        if state.tab != self.name:
            return
        text, table = panel.copied(session)
        plot, words = self._plot()
        state.response = {
            "criteria": session.criteria,
            "headline": panel.headline(session),
            "heads": panel.heads(session),
            "shown": session.shown,
            "lines": [{"uid": n.uid, "head": n.head, "cells": list(n.cells), "tips": list(n.tips),
                       "is_current": bool(n.uid) and n.uid == self._current} for n in panel.lines(session)],
            "others": [{"uid": f.uid, "label": f.label, "about": panel.about(session, f)}
                       for f in self._viewer.session.findings if f.role is Role.NONE],
            "why": panel.explanation(session),
            "warnings": panel.warnings(session),
            "plot": plot,
            "plot_words": words,
            "text": text,
            "csv": table,
        }  # fmt: skip
        judged = panel.judged(session)
        state.judged = {**vars(judged), "others": panel.others(session)} if judged else {}
        self._viewer.refresh_commands()

    # private

    @property
    def _current(self) -> str:
        current = self._viewer.session.current
        return current.uid if current else ""

    def _can(self, name: str) -> Any:
        return lambda: name in panel.possible_methods(self._session)

    def _plot(self) -> tuple[str, str]:
        """Return the plot as the address of a picture, and its words."""
        result, theme = self._session.result, self._viewer.state.theme
        if result is None:
            return "", ""
        if not result.is_measured:
            return "", panel.plot_words(result)
        if self._drawn is None or self._drawn[:2] != (result, theme):
            from oncotrack.report.response_plots import course_svg

            svg = course_svg(result, is_dark=theme == DARK)
            self._drawn = result, theme, "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
        return self._drawn[2], panel.plot_words(result)

    def _toggle(self, uid: str = "") -> None:
        self._session.toggle_target(uid)

    def _set_role(self, role: str, uid: str = "") -> None:
        known = self._viewer.session.findings[uid].site if uid else ""
        self._session.set_role(role, uid, known or self._viewer.state.response_organ or "")

    def _resize(self, part: str, typed: str, uid: str, visit: int) -> None:
        try:
            length_mm = float(typed.strip().replace(",", "."))
        except ValueError as error:
            self.refresh()
            raise InputError(f'"{typed}" is no length. Type the diameter in mm, for example 23.5.') from error
        self._viewer.submit(self._session.resize(part, length_mm, uid, visit))

    def _pick(self) -> None:
        self._viewer.state.response_picks = not self._viewer.state.response_picks

    def _on_click(self, node: slicer.vtkMRMLSliceNode, at: Point) -> bool:
        state = self._viewer.state
        time_point = self._viewer.session.time_point_of(node)
        if not state.response_picks or not time_point:
            return False
        self._viewer.attempt(self._choose, time_point, at)
        return True

    def _choose(self, time_point: str, at: Point) -> None:
        state = self._viewer.state
        task = self._session.choose_at(time_point, at, state.response_as, state.response_organ or "")
        if task is not None:
            self._viewer.submit(task)

    def _add_in_middle(self) -> None:
        state, session = self._viewer.state, self._viewer.session
        row = session.followup_row
        name = state.used_view if state.used_view in row.names else row.names[0]
        self._session.add_new(middle(row.slice_at(row.names.index(name))), -1, state.response_organ or "")

    def _say_copied(self, is_copied: bool = True) -> None:
        if not is_copied:
            raise InputError("The browser does not allow copying. Write the report, and take the text from there.")
        self._viewer.show_message("Copied.")

    def _write(self) -> None:
        from oncotrack.report.response import Scans, write_response

        session, result = self._viewer.session, self._session.result
        if result is None:
            raise InputError(self._session.problem)
        result = replace(result, course=replace(result.course, name=" ".join(self._viewer.state.response_name.split())))
        folder = self._viewer.results.folder
        scans = Scans(session.time_points, session.findings.findings, [to_volume(each) for each in session.visits])

        def work(progress: Progress) -> list[Path]:
            progress(0.1, "Drawing the pictures")
            return write_response(folder, "response", result, scans)

        done = self._files.saving.show
        self._viewer.submit(Task("Writing the report", work, lambda paths: done(*paths)))

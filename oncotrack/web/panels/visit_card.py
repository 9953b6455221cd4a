"""The card of the visits: a table of the findings with one column per visit, and the commands that follow through all visits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.scene.commands import FINDINGS, PAGE, commands_of
from oncotrack.scene.followup import panel
from oncotrack.web.attributes import raw
from oncotrack.web.panels.visit_heading import visit_heading
from oncotrack.web.tools import Command, page_command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_TABLE, _PAGE = commands_of(FINDINGS), commands_of(PAGE)


class VisitCard:
    """Table of the visits, shown for three visits or more; a click on a cell shows that finding at that visit.

    Parameters
    ----------
    viewer : Viewer
        Its state gets `visits`: head and rows of the table, and the visit that the follow-up's views show.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer, self._session = viewer, viewer.session
        viewer.updates.on(viewer.session.changed, self.refresh)
        self.refresh()

    @property
    def commands(self) -> Sequence[Command]:
        """Following through the visits, and showing one."""
        session, submit, can = self._session, self._viewer.submit, self._viewer.can
        return (
            page_command(_TABLE["find_in_every_visit"], "mdi-chevron-double-right",
                         lambda: submit(session.follow_through()), can("follow_through")),
            page_command(_TABLE["find_all_in_every_visit"], "mdi-playlist-play",
                         lambda: submit(session.follow_all_through()), can("follow_all_through")),
            page_command(_TABLE["redo_from_visit"], "mdi-arrow-right-bold",
                         lambda: submit(session.follow_onward()), can("follow_onward")),
            page_command(_TABLE["show_visit"], "mdi-calendar", self._show),
            page_command(_PAGE["third_visit"], "mdi-view-column-outline", self._toggle_third,
                         lambda: bool(session.third.candidates)),
        )  # fmt: skip

    def build(self) -> None:
        """Create the buttons and the table."""
        with html.Div(v_if=("visits.heads.length > 2",), **raw(data_visits="yes")):
            v.VDivider(classes="my-2")
            html.H2("Visits")
            with html.Div(classes="d-flex flex-wrap mb-1", style="gap: 6px;"):
                for command in (*self.commands[:3], self.commands[-1]):
                    v.VBtn(
                        command.title,
                        size="small",
                        variant="tonal",
                        title=command.tooltip,
                        disabled=(f"!({command.enabled}) || !!job.text",),
                        click=(self._viewer.run, f"['{command.name}']"),
                        **raw(data_do=command.name),
                    )
            with html.Div(style="overflow-x: auto;"), html.Table(classes="visits"):
                with html.Thead(), html.Tr():
                    html.Th("Finding")
                    with html.Th(
                        v_for="(head, visit) in visits.heads",
                        key="visit",
                        classes=("visit === visits.shown ? 'shown' : ''",),
                    ):
                        visit_heading(self._viewer, data_visit=("visit",))
                with html.Tbody(), html.Tr(v_for="row in visits.rows", key="row.uid"):
                    html.Th("{{ row.label }}")
                    with html.Td(
                        v_for="(cell, visit) in row.cells",
                        key="visit",
                        title=("row.tips[visit]",),
                        classes=("visit === visits.shown ? 'shown' : ''",),
                    ):
                        html.Button(
                            "{{ cell }}",
                            type="button",
                            click=(self._viewer.run, "['show_visit', visit, row.uid]"),
                            **raw(data_cell=("row.label + ' ' + visit",)),
                        )

    def refresh(self) -> None:
        """Update the page's state from the session."""
        session = self._session
        heads, lines = panel.visit_table(session)
        shown = session.visits.index(session.followup) if session.followup else -1
        rows = [{"uid": n.uid, "label": n.label, "cells": list(n.cells), "tips": list(n.tips)} for n in lines]
        self._viewer.state.visits = {"heads": heads, "rows": rows, "shown": shown}

    def _show(self, visit: int, uid: str) -> None:
        self._viewer.hang(lambda: self._session.show_visit(visit), uid)

    def _toggle_third(self) -> None:
        third = self._session.third
        if third.is_shown:
            third.hide()
        else:
            self._viewer.hang(third.show)

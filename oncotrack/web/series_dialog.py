"""The dialog in which the reader chooses one of several series, with a picture of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.scene.files.series_list import SeriesChoice, SeriesRow
from oncotrack.scene.files.thumbnails import png
from oncotrack.web.attributes import raw

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer


@dataclass(frozen=True)
class _Question:
    """A choice that waits for the reader's answer."""

    title: str
    choice: SeriesChoice
    chosen: Callable[[SeriesRow], object]
    cancelled: Callable[[], object]


class SeriesDialog:
    """The choices that wait for the reader, one at a time.

    Parameters
    ----------
    viewer : Viewer
        Its state gets `series`: title, text and rows of the choice that is shown; empty when there is none.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._waiting: list[_Question] = []
        self._number = 0
        viewer.state.series = {}

    def ask(
        self,
        title: str,
        choice: SeriesChoice,
        chosen: Callable[[SeriesRow], object],
        cancelled: Callable[[], object],
    ) -> None:
        """Show a choice, after those that wait already; one of the two functions is called once."""
        self._waiting.append(_Question(title, choice, chosen, cancelled))
        if len(self._waiting) == 1:
            self._show()

    def picture(self, dialog: int, row: int) -> bytes | None:
        """Return the picture of a row as PNG, None without one; may be called on any thread.

        Parameters
        ----------
        dialog : int
            Number of the choice that is shown, so that a row of an earlier one is not taken for a present one.
        row : int
            Number of the row, from 1.
        """
        waiting = self._waiting[:1]
        if dialog != self._number or not waiting or not 1 <= row <= len(waiting[0].choice.rows):
            return None
        choice = waiting[0].choice
        picture = choice.thumbnail(choice.rows[row - 1].key)
        return None if picture is None else png(picture)

    def build(self) -> None:
        """Create the dialog; called once, inside the page."""
        with (
            v.VDialog(
                model_value=("!!series.title",),
                persistent=True,
                scrollable=True,
                max_width=780,
                **raw(aria_label=("series.title",)),
            ),
            v.VCard(
                title=("series.title",),
                **raw(data_series_dialog="yes"),
            ),
        ):
            with v.VCardText():
                html.P("{{ series.text }}", classes="mb-2")
                with (
                    html.Ul(classes="series-list"),
                    html.Li(v_for="row in series.rows", key="row.number", **raw(data_series=("row.number",))),
                ):
                    with html.Button(
                        v_if=("row.opens_at_once",),
                        type="button",
                        classes="series-row",
                        click=(self._choose, "[series.number, row.number]"),
                    ):
                        self._build_row()
                    with html.Div(v_else=True, classes=("row.problem ? 'series-row no-volume' : 'series-row'",)):
                        self._build_row()
                        v.VBtn(
                            "Resample to a regular grid",
                            v_if=("row.resampling",),
                            size="small",
                            variant="tonal",
                            click=(self._choose, "[series.number, row.number]"),
                            **raw(data_series_resample="yes"),
                        )
            with v.VCardActions():
                v.VSpacer()
                v.VBtn("Cancel", click=(self._cancel, "[series.number]"), **raw(data_series_cancel="yes"))

    def _build_row(self) -> None:
        with html.Span(classes="series-picture"):
            html.Img(
                src=("`series/${series.number}/${row.number}.png`",),
                alt="",
                loading="lazy",
                **raw("""@error="$event.target.style.visibility = 'hidden'\""""),
            )
        with html.Span(classes="series-text"):
            html.Span("{{ row.title }}", classes="name")
            html.Span("{{ row.details }}", classes="more")
            html.Span("{{ row.problem || row.resampling }}", v_if=("row.problem || row.resampling",), classes="reason")

    def _show(self) -> None:
        self._number += 1
        if not self._waiting:
            self._viewer.state.series = {}
            return
        question = self._waiting[0]
        self._viewer.state.series = {
            "number": self._number,
            "title": question.title,
            "text": question.choice.question,
            "rows": [_as_state(row) for row in question.choice.rows],
        }

    def _choose(self, dialog: int, row: int) -> None:
        self._answer(dialog, lambda question: question.chosen(question.choice.rows[row - 1]))

    def _cancel(self, dialog: int) -> None:
        self._answer(dialog, lambda question: question.cancelled())

    def _answer(self, dialog: int, act: Callable[[_Question], object]) -> None:
        if dialog == self._number and self._waiting:  # a second click finds the dialog answered
            question = self._waiting.pop(0)
            self._show()
            self._viewer.attempt(act, question)


def _as_state(row: SeriesRow) -> dict[str, object]:
    return {
        "number": row.number,
        "title": row.title,
        "details": row.details,
        "problem": row.problem,
        "resampling": row.resampling,
        "opens_at_once": not row.problem and not row.resampling,
    }

"""Questions to the reader, one at a time, in a dialog that stays until it is answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trame.widgets import html
from trame.widgets import vuetify3 as v
from trame_server.state import State

from oncotrack.web.attributes import raw


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Question:
    """A question with two answers.

    Attributes
    ----------
    title, text : str
        What is asked.
    yes, no : str
        The buttons.
    on_yes : callable
        Called with the reader's words ("" where none are asked for). If it raises, the question stays.
    on_no : callable
        Called without arguments.
    words : str
        Label of a text field that must be filled in for `yes`; "" for none.
    """

    title: str
    text: str
    yes: str
    no: str
    on_yes: Callable[[str], object]
    on_no: Callable[[], object] = _nothing
    words: str = ""


class Questions:
    """The questions that wait for an answer; the first is shown.

    Parameters
    ----------
    state : State
        The page's; it gets `ask`, the question as the page shows it, and `ask_words`, what the reader types.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._waiting: list[Question] = []
        state.update({"ask": {}, "ask_words": ""})

    def ask(self, question: Question) -> None:
        """Show a question, after those that wait already."""
        self._waiting.append(question)
        self._show()

    def answer(self, is_yes: bool, words: str = "") -> None:
        """Act on the reader's answer to the question that is shown."""
        if not self._waiting:
            return
        question = self._waiting[0]
        self._state.message_closed = self._state.message["number"]  # it was about an earlier answer
        if is_yes:
            question.on_yes(words)
        else:
            question.on_no()
        self._waiting.remove(question)
        self._show()

    def build(self, run: Callable[..., None]) -> None:
        """Create the dialog; `run` runs a command by its name."""
        with (
            v.VDialog(model_value=("!!ask.text",), persistent=True, max_width=520, **raw(aria_label=("ask.title",))),
            v.VCard(title=("ask.title",), **raw(data_question="yes")),
        ):
            with v.VCardText():
                html.Div("{{ ask.text }}", **raw(role="alert"))
                v.VTextarea(
                    v_model=("ask_words",), v_if=("ask.words",), label=("ask.words",), rows=2, auto_grow=True,
                    variant="outlined", hide_details=True, classes="mt-3", autofocus=True, **raw(data_answer_words="yes"),
                )  # fmt: skip
            with v.VCardActions():
                v.VSpacer()
                v.VBtn("{{ ask.no }}", click=(run, "['answer', false]"), **raw(data_answer="no"))
                v.VBtn(
                    "{{ ask.yes }}",
                    color="accent",
                    disabled=("!!ask.words && !ask_words.trim()",),
                    click=(run, "['answer', true, ask_words]"),
                    **raw(data_answer="yes"),
                )

    def _show(self) -> None:
        state, question = self._state, self._waiting[0] if self._waiting else None
        shown = {name: getattr(question, name) for name in ("title", "text", "yes", "no", "words")} if question else {}
        if shown != state.ask:
            state.ask, state.ask_words = shown, ""

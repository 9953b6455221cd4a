"""The card of what the reader says about the current finding: kind, role, side, organ or station, comment, and the reader's name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.findings.finding import Kind, Role, Side
from oncotrack.findings.sites import suggested_sites
from oncotrack.scene.commands import FINDINGS, commands_of
from oncotrack.web.attributes import raw
from oncotrack.web.tools import Command, page_command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_CHOICES = {
    "kind": ("Kind", tuple(kind.value for kind in Kind)),
    "role": ("Role", tuple(role.value for role in Role)),
    "side": ("Side", tuple(side.value for side in Side)),
}
_TEXTS = {"site": "Organ or station", "comment": "Comment"}
_SITES = "oncotrack-sites"
_FIELD = {"density": "compact", "variant": "outlined", "hide_details": True, "classes": "mb-2"}


class DescriptionCard:
    """Choices and fields for the current finding; each change is one step of undo.

    Parameters
    ----------
    viewer : Viewer
        Its state gets `about`, the description of the current finding, and `reader_name`.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer, self._session = viewer, viewer.session
        viewer.state.update({"about": {}, "sites": [], "reader_name": ""})
        viewer.updates.on(viewer.session.changed, self.refresh)
        self.refresh()

    @property
    def commands(self) -> Sequence[Command]:
        """Describing the finding, and naming the reader."""
        table = commands_of(FINDINGS)
        return (
            page_command(table["describe"], "mdi-tag-outline", self._describe),
            page_command(table["name_reader"], "mdi-account", self._name_reader),
        )

    def build(self) -> None:
        """Create the choices and the fields."""
        with html.Div(v_if=("about.uid",), key="about.uid", **raw(data_about_card=("about.label",))):
            v.VDivider(classes="my-2")
            html.H2("About {{ about.label }}")
            for name, (title, values) in _CHOICES.items():
                items = [{"title": value or "not stated", "value": value} for value in values]
                v.VSelect(
                    model_value=(f"about.{name}",),
                    items=(f"{name}_choices", items),
                    label=title,
                    update_modelValue=(self._viewer.run, f"['describe', about.uid, '{name}', $event]"),
                    **_FIELD,
                    **raw(data_about=name),
                )
            for name, title in _TEXTS.items():
                self._text(title, f"about.{name}", f"['describe', about.uid, '{name}', $event.target.value]", name)
            self._text("Reader's name", "reader_name", "['name_reader', $event.target.value]", "reader")
            with html.Datalist(id=_SITES):
                html.Option(v_for="site in sites", key="site", value=("site",))
            html.P("Described by {{ about.reader }}.", v_if=("about.reader",), classes="quiet")

    @staticmethod
    def _text(title: str, model: str, command: str, name: str) -> None:
        """Create a text field whose text is sent when the reader presses Enter or leaves it."""
        listed = {"list": _SITES} if name == "site" else {}
        send = f"@change=\"trigger('oncotrack.command', {command})\""
        v.VTextField(model_value=(model,), label=title, **_FIELD, **raw(send, data_about=name, **listed))

    def refresh(self) -> None:
        """Update the page's state from the session."""
        state, finding = self._viewer.state, self._session.current
        state.reader_name = self._session.reader
        if finding is None:
            state.about = {}
            return
        state.sites = list(suggested_sites(finding.kind))
        state.about = {
            "uid": finding.uid,
            "label": finding.label,
            **{name: getattr(finding, name).value for name in _CHOICES},
            **{name: getattr(finding, name) for name in (*_TEXTS, "reader")},
        }

    def _describe(self, uid: str, name: str, value: str) -> None:
        try:
            self._session.describe(uid, **{name: value})
        finally:
            self.refresh()

    def _name_reader(self, name: str) -> None:
        self._session.reader = name
        self.refresh()

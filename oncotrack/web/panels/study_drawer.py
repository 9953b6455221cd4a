"""The drawer of the study browser: open visits and listed series, to be clicked or dragged into a view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.web.attributes import raw
from oncotrack.web.roles import BASELINE, FOLLOWUP, PET, VISIT

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_WIDTH_PX = 250
_ROLES = {BASELINE: "Baseline", FOLLOWUP: "Follow-up", VISIT: "Additional", PET: "PET"}


def study_drawer(viewer: Viewer) -> None:
    """Create the drawer at the left of the page; called once, inside the page."""
    with (
        v.VNavigationDrawer(
            v_model=("is_browser_open",), location="left", persistent=True, disable_resize_watcher=True, width=_WIDTH_PX,
            **raw(data_browser="yes"),
        ),
        html.Div(classes="panel", v_if=("is_browser_open",)),
    ):  # fmt: skip
        html.H2("Visits")
        html.P("No scan is open yet.", v_if=("!browser_visits.length",), classes="quiet")
        with html.Ul(classes="series-list"):
            _row("visit in browser_visits", "visit", "`visit:${visit.number}`", "visit.picture", (BASELINE, FOLLOWUP))
        html.H2("Series in a folder", v_if=("browser_studies.length",))
        with html.Div(v_for="folder in browser_studies", key="folder", classes="mb-1"):
            v.VBtn(
                "List {{ folder.split('/').pop() }}",
                size="small",
                variant="tonal",
                prepend_icon="mdi-folder-search-outline",
                title=("folder",),
                click=(viewer.run, "['list_folder', folder]"),
                **raw(data_list_folder=("folder",)),
            )
        with html.Div(v_for="(listed, index) in browser_folders", key="listed.name"):
            html.H3("{{ listed.name }}")
            with html.Ul(classes="series-list"):
                _row(
                    "series in listed.rows",
                    "series",
                    "`series:${index}:${series.number}`",
                    "`folder/${index}/${series.number}.png`",
                    (BASELINE, FOLLOWUP, VISIT, PET),
                )
        html.P("Drag a scan into a view, or use its buttons.", classes="quiet")


def _row(each: str, name: str, item: str, picture: str, roles: tuple[str, ...]) -> None:
    usable = f"!{name}.problem"
    with html.Li(
        v_for=(each,),
        key=f"{name}.number",
        classes=(f"{usable} ? 'browser-row' : 'browser-row no-volume'",),
        **raw(data_hang=(item,), draggable=(f"{usable} ? 'true' : 'false'",)),
    ):
        with html.Div(classes="series-row"):
            with html.Span(classes="series-picture small"):
                html.Img(src=(picture,), alt="", loading="lazy", draggable="false",
                         **raw("""@error="$event.target.style.visibility = 'hidden'\""""))  # fmt: skip
            with html.Span(classes="series-text"):
                html.Span(f"{{{{ {name}.title }}}}", classes="name")
                html.Span(f"{{{{ {name}.details }}}}", classes="more")
                html.Span(f"{{{{ {name}.shown || {name}.problem }}}}", v_if=(f"{name}.shown || {name}.problem",),
                          classes="reason")  # fmt: skip
        with html.Div(v_if=(usable,), classes="hang-buttons"):
            for role in roles:
                v.VBtn(
                    _ROLES[role],
                    size="x-small",
                    variant="tonal",
                    click=f"trigger('oncotrack.command', ['hang', {item}, '{role}'])",
                    **raw(aria_label=(f"'{_ROLES[role]}: ' + {name}.title",), data_hang_as=role),
                )

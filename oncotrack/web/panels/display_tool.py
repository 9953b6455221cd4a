"""The View tab: window and level, maps over the follow-up, the link between the scans."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.followup.residual import LIMIT_MM
from oncotrack.images.windows import CT_WINDOWS
from oncotrack.scene.commands import PAGE, VIEW, commands_of
from oncotrack.scene.views.mouse_mode import LEFT_DRAGS, SUV_WINDOW, WINDOW
from oncotrack.scene.views.scan_text import NONE, WITHOUT_NAMES
from oncotrack.web.appearance import Appearance
from oncotrack.web.attributes import raw
from oncotrack.web.display import Display
from oncotrack.web.panels.cine_card import CineCard
from oncotrack.web.panels.command_button import command_button
from oncotrack.web.panels.slab_card import SlabCard
from oncotrack.web.tools import Command, page_command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_TABLE, _PAGE = commands_of(VIEW), commands_of(PAGE)
_RESIDUAL = (
    f"Residual: median distance from registration to the most similar tissue within {LIMIT_MM:.0f} mm along each axis, at "
    "points on edges. No landmarks are used; where the body was deformed it is larger."
)


class DisplayTool:
    """The tab of the display settings.

    Parameters
    ----------
    viewer : Viewer
    display : Display
    """

    name, title, icon = "view", "View", "mdi-contrast-circle"

    def __init__(self, viewer: Viewer, display: Display) -> None:
        self._viewer, self._display, self._session = viewer, display, viewer.session
        appearance = Appearance(viewer.state)
        self._link_here = page_command(_PAGE["link_here"], "mdi-link-lock", self._session.link_here,
                                       lambda: self._session.registration is not None)  # fmt: skip
        self._page_commands = (
            page_command(_PAGE["help"], "mdi-help-circle-outline", self._toggle_help, is_in_bar=True),
            page_command(_PAGE["change_theme"], "mdi-theme-light-dark", appearance.change_theme),
            page_command(_PAGE["change_text_size"], "mdi-format-size", appearance.change_text_size),
        )
        self._enlarge_command = page_command(_PAGE["enlarge"], "mdi-magnify-scan", self._enlarge,
                                             lambda: self._session.current is not None)  # fmt: skip
        self._cine, self._slab = CineCard(viewer), SlabCard(viewer)
        viewer.state.change("tab", "has_registration")(self._on_state)

    @property
    def commands(self) -> Sequence[Command]:
        """Maps, window, link, presets."""
        session = self._session
        windows = (
            Command(f"window {number}", window.name, f"{window.name} ({number})", "mdi-contrast",
                    partial(self._display.use_preset, window.name), str(number), self._has_scan, is_in_bar=False)
            for number, window in enumerate(CT_WINDOWS, 1)
        )  # fmt: skip
        return (
            page_command(_TABLE["show_anatomy_map"], "mdi-blur", self._toggle_map, self._viewer.can("accept"),
                         active="is_map_shown", is_in_bar=True),
            page_command(_TABLE["show_probability"], "mdi-chart-bell-curve", self._toggle_probability,
                         self._can_show_probability, active="is_probability_shown"),
            page_command(_TABLE["set_window"], "mdi-contrast-circle", self._display.toggle_windowing, self._has_scan,
                         active=f"mouse_mode === '{WINDOW}'"),
            page_command(_TABLE["choose_mouse"], "mdi-mouse", self._display.choose_mouse),
            *self._cine.commands,
            self._enlarge_command,
            *self._slab.commands,
            page_command(_TABLE["same_window"], "mdi-equal", self._display.toggle_same),
            page_command(_TABLE["link_views"], "mdi-link-variant", self._toggle_link,
                         lambda: session.registration is not None, active="is_linked && has_registration",
                         is_in_bar=True),
            page_command(_TABLE["register"], "mdi-vector-link", self._viewer.register),
            page_command(_TABLE["hide_names"], "mdi-account-off-outline", self._viewer.views.text.toggle_names,
                         active=f"image_text === '{WITHOUT_NAMES}'", is_in_bar=True),
            page_command(_TABLE["hide_text"], "mdi-format-text-variant-outline", self._viewer.views.text.toggle_text,
                         active=f"image_text === '{NONE}'"),
            *windows,
            self._link_here,
            *self._page_commands,
        )  # fmt: skip

    def build(self) -> None:
        """Create the sliders, the text on the images, the link, and the look of the page."""
        html.H2(_TABLE["choose_mouse"].title)
        with v.VRadioGroup(
            model_value=("mouse_mode",),
            density="compact",
            hide_details=True,
            update_modelValue=(self._viewer.run, "['choose_mouse', $event]"),
            **raw(data_mouse_modes="yes"),
        ):
            for mode, title in LEFT_DRAGS.items():
                v.VRadio(label=title, value=mode, **({"v_if": ("pet.name",)} if mode == SUV_WINDOW else {}))
        self._cine.build()
        command_button(self._viewer, self._enlarge_command, self._enlarge_command.title, data_view_command="enlarge")
        self._slab.build()
        html.H2("Window")
        with html.Div(style="display: flex; gap: 4px; flex-wrap: wrap;"):
            for number, window in enumerate(CT_WINDOWS, 1):
                v.VBtn(
                    f"{number} {window.name}",
                    size="small",
                    variant="tonal",
                    color=(f"window_name === '{window.name}' ? 'accent' : undefined",),
                    title=f"{window.name}: width {window.width:g}, level {window.level:g} HU ({number})",
                    disabled=("!scan_names[0] && !scan_names[1]",),
                    click=(self._viewer.run, f"['window {number}']"),
                    **raw(data_preset=window.name, aria_pressed=(f"window_name === '{window.name}'",)),
                )
        for name, label, low, high in (("width", "Width", 1, 4000), ("level", "Level", -1500, 3000)):
            v.VSlider(
                v_model=(f"window_{name}",),
                label=label,
                name=label,
                min=low,
                max=high,
                step=1,
                hide_details=True,
                thumb_label=True,
                density="compact",
                disabled=("!scan_names[0] && !scan_names[1]",),
            )
        html.P("Width {{ Math.round(window_width) }}, level {{ Math.round(window_level) }}", classes="quiet")
        v.VCheckbox(
            model_value=("is_same_window",),
            label=_TABLE["same_window"].tip,
            density="compact",
            hide_details=True,
            disabled=("!has_scans",),
            click=(self._viewer.run, "['same_window']"),
            **raw(data_same_window="yes"),
        )
        html.H2("Text on the images")
        for name, value in (("hide_names", WITHOUT_NAMES), ("hide_text", NONE)):
            v.VCheckbox(
                model_value=(f"image_text === '{value}'",),
                label=_TABLE[name].tip,
                density="compact",
                hide_details=True,
                click=(self._viewer.run, f"['{name}']"),
                **raw(data_image_text=name),
            )
        html.H2("Link between the scans", v_if=("has_scans",))
        html.P("{{ link_text }}", v_if=("link_text",), **raw(data_link_text="yes"))
        html.P(_RESIDUAL, v_if=("link_text.includes('residual')",), classes="quiet")
        with html.Div(v_if=("has_registration",)):
            command_button(self._viewer, self._link_here, "{{ is_link_held ? 'Link by registration' : 'Link here' }}",
                           data_link_here="yes")  # fmt: skip
        v.VBtn(
            _TABLE["register"].title,
            size="small",
            variant="tonal",
            v_if=("has_scans && !has_registration",),
            disabled=("!!job.text",),
            click=(self._viewer.run, "['register']"),
            **raw(data_register="yes"),
        )
        html.H2("This page")
        with html.Div(classes="d-flex flex-wrap mb-2", style="gap: 6px;"):
            for command in self._page_commands:
                command_button(self._viewer, command, command.title, data_page_command=command.name)
        html.P("{{ theme === 'dark' ? 'Dark' : 'Light' }} page, text at {{ text_size }} %.", classes="quiet")

    def _on_state(self, tab: str, has_registration: bool, **_state: object) -> None:
        """Measure the residual of the registration when the tab that shows it is open."""
        if tab == self.name and has_registration and (task := self._session.residual.task()):
            self._viewer.background.submit(task, self._viewer.refresh)

    def _has_scan(self) -> bool:
        return self._session.baseline is not None or self._session.followup is not None

    def _can_show_probability(self) -> bool:
        return self._session.overlays.is_probability_shown or "map_probability" in self._viewer.possible

    def _enlarge(self) -> None:
        """Enlarge the current lesion; where the views show that already, fit them to the whole scans again."""
        views = self._viewer.views
        before = views.shown()
        self._session.enlarge()
        if views.shown() == before:
            for view in views.slices():
                views.reset(view.get_singleton_tag())

    def _toggle_help(self) -> None:
        self._viewer.state.is_help_open = not self._viewer.state.is_help_open

    def _toggle_map(self) -> None:
        self._session.overlays.is_map_shown = not self._session.overlays.is_map_shown

    def _toggle_link(self) -> None:
        self._session.linking.is_enabled = not self._session.linking.is_enabled
        self._viewer.refresh()

    def _toggle_probability(self) -> None:
        if self._session.overlays.is_probability_shown:
            self._session.overlays.hide_probability()
        else:
            self._viewer.submit(self._session.map_probability())

"""The frame of the page: the bar of commands, the views, the tabs of the tools, progress and messages."""

from __future__ import annotations

from trame.ui.vuetify3 import VAppLayout
from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.images.windows import CT_WINDOWS
from oncotrack.scene.commands import VIEW
from oncotrack.scene.views.mouse_mode import LEFT_DRAGS, SUV_WINDOW
from oncotrack.web.attributes import raw
from oncotrack.web.page_part import page_part
from oncotrack.web.panels.help_dialog import help_dialog
from oncotrack.web.tools import Command
from oncotrack.web.viewer import Viewer

_PANEL_PX, _BAR_PX, _TABS_IN_A_ROW = 330, 54, 7
_ALWAYS_IN_BAR = ("place_lesion", "previous", "next", "accept", "reject", "mark_absent", "undo", "redo")
"""Commands that stay in the bar of a narrow window; the others move into its menu."""


def build(viewer: Viewer, page: VAppLayout) -> None:
    """Replace the content of a page by that of a viewer."""
    viewer.state.left_drags = [{"title": title, "value": mode} for mode, title in LEFT_DRAGS.items()]
    viewer.state.key_titles = {command.name: command.title for command in viewer.commands.values() if command.key}
    viewer.state.change("tab")(lambda tab, **_state: _on_tab(viewer, tab))
    viewer.state.tab, viewer.state.opened_tabs = viewer.tools[0].name, []
    _on_tab(viewer, viewer.state.tab)
    page.root.clear()
    with page:
        with (
            v.VAppBar(flat=True, border="b", height=_BAR_PX),
            page_part(page.server, "bar", classes="bar", **raw(role="toolbar", aria_label="Commands")),
        ):
            html.H1("OncoTrack", classes="text-subtitle-1 font-weight-medium mx-2")
            for tool in viewer.tools:
                for command in tool.commands:
                    if command.is_in_bar:
                        _button(viewer, command)
                html.Span(classes="bar-gap")
            v.VSpacer()
            with html.Div(classes="choices folds"):
                _left_button(viewer)
                _windows(viewer)
            _more(viewer)
            _panel_button()
        with (
            v.VNavigationDrawer(
                location="right",
                permanent=("is_panel_open",),
                v_model=("is_panel_open", True),
                width=(f"{_PANEL_PX} * text_size / 100",),
                mobile_breakpoint=0,
                scrim=False,
                disable_resize_watcher=True,
            ),
            html.Div(classes="zoomed", style=("{ zoom: text_size / 100 }",)),
        ):
            rows = "tool-tabs in-two-rows" if len(viewer.tools) > _TABS_IN_A_ROW else "tool-tabs"
            with v.VTabs(v_model=("tab",), density="compact", grow=True, classes=rows):
                for tool in viewer.tools:
                    v.VTab(tool.title, value=tool.name, size="small")
            for tool in viewer.tools:
                # a panel is created on the page when its tab is first opened
                with (
                    html.Div(
                        v_if=(f"tab === '{tool.name}' || opened_tabs.includes('{tool.name}')",),
                        v_show=(f"tab === '{tool.name}'",),
                    ),
                    page_part(page.server, f"panel-{tool.name}", classes="panel", **raw(data_panel=tool.name)),
                ):
                    tool.build()
        with v.VMain(style="height: 100vh;"), html.Div(style="position: relative; height: 100%;"):
            with html.Div(
                classes=(
                    "`views mouse-${mouse_mode}${is_following && mouse_mode === 'select' ? ' is-following' : ''}`",
                )
            ):
                viewer.views.layout.initialize_layout_grid(page)
            _hint()
        with page_part(page.server, "news"):
            _progress(viewer)
            _autosave(viewer)
            _message()
        with page_part(page.server, "dialogs"):
            viewer.questions.build(viewer.run)
            help_dialog(viewer)


def _on_tab(viewer: Viewer, tab: str) -> None:
    """Create the tab's panel if it is opened for the first time, and assign the keys.

    A key acts where it is shown: that of a button in the bar or of a command on the views everywhere, others on their tab.
    """
    if tab not in viewer.state.opened_tabs:
        viewer.state.opened_tabs = [*viewer.state.opened_tabs, tab]
    keys = {}
    for tool in sorted(viewer.tools, key=lambda tool: tool.name != tab):
        for command in tool.commands:
            if tool.name in (tab, VIEW) or command.is_in_bar:
                keys.setdefault(command.key, command.name)
    viewer.state.keys = {key: name for key, name in keys.items() if key}


def _button(viewer: Viewer, command: Command) -> None:
    """Create a button of the bar; it runs what its key does on the open tab."""
    colour = {"color": (f"{command.active} ? 'accent' : undefined",)} if command.active else {}
    text = {"undo": "undo_text", "redo": "redo_text"}.get(command.name)
    title = f"{text} + ' ({command.key_text})'" if text else f"'{command.tooltip}'"
    name = f"(keys['{command.key}'] || '{command.name}')" if command.key else f"'{command.name}'"
    v.VBtn(
        command.title,
        classes="" if command.name in _ALWAYS_IN_BAR else "folds",
        stacked=True,
        prepend_icon=command.icon,
        size="x-small",
        variant=(f"{command.active} ? 'tonal' : 'text'",) if command.active else "text",
        disabled=(f"!enabled.includes({name})",),
        click=(viewer.run, f"[{name}]"),
        **colour,
        title=(title,),
        **raw(data_command=command.name, **({"aria_pressed": (f"!!({command.active})",)} if command.active else {})),
    )


def _more(viewer: Viewer) -> None:
    """Create the menu of a narrow window, with what has no room in its bar."""
    with v.VMenu(close_on_content_click=False):
        with v.Template(v_slot_activator="{ props }"):
            v.VBtn("More", classes="more", v_bind="props", stacked=True, prepend_icon="mdi-dots-horizontal",
                   size="x-small", variant="text", **raw(data_more="yes"))  # fmt: skip
        with v.VList(density="compact", **raw(data_menu="yes")):
            for tool in viewer.tools:
                for command in tool.commands:
                    if command.is_in_bar and command.name not in _ALWAYS_IN_BAR:
                        name = f"(keys['{command.key}'] || '{command.name}')" if command.key else f"'{command.name}'"
                        v.VListItem(title=command.title, prepend_icon=command.icon, click=(viewer.run, f"[{name}]"),
                                    disabled=(f"!enabled.includes({name})",), **raw(data_in_menu=command.name))  # fmt: skip
            with html.Div(classes="choices"):
                _left_button(viewer)
                _windows(viewer)


def _panel_button() -> None:
    v.VBtn("{{ is_panel_open ? 'Hide panel' : 'Show panel' }}", click="is_panel_open = !is_panel_open", stacked=True,
           prepend_icon="mdi-dock-right", size="x-small", variant="text",
           title="Hide the tabs on the right, or show them again", **raw(data_panel_button="yes"))  # fmt: skip


def _left_button(viewer: Viewer) -> None:
    v.VSelect(
        model_value=("mouse_mode",),
        items=(f"left_drags.filter(each => each.value !== '{SUV_WINDOW}' || pet.name)",),
        label="Left button",
        density="compact",
        variant="outlined",
        hide_details=True,
        update_modelValue=(viewer.run, "['choose_mouse', $event]"),
        **raw(data_left_button="yes"),
    )


def _windows(viewer: Viewer) -> None:
    """Create the choice of the window; what is chosen is run as the command of its key."""
    items = [{"title": f"{window.name} ({number})", "value": window.name, "command": f"window {number}"}
             for number, window in enumerate(CT_WINDOWS, 1)]  # fmt: skip
    v.VSelect(
        model_value=("window_name",),
        items=("window_choices", items),
        label="Window",
        density="compact",
        variant="outlined",
        hide_details=True,
        disabled=("!scan_names[0] && !scan_names[1]",),
        **raw(
            "@update:model-value=\"trigger('oncotrack.command', [window_choices.find(each => each.value === $event).command])\"",
            data_windows=("window_name",),
        ),
    )


def _hint() -> None:
    with html.Div(
        classes="hint",
        v_if=("is_following && mouse_mode === 'select' && !maximised && has_scans && !findings.length && !job.text",),
    ):
        html.Span("Click a lesion here to find it in the follow-up")


def _progress(viewer: Viewer) -> None:
    with html.Div(classes="job", v_if=("job.text",), **raw(role="status", data_job=("job.text",))):
        html.Span("{{ job.text }}", classes="job-text")
        v.VProgressLinear(
            model_value=("job.percent",), indeterminate=("!job.percent",), height=8, rounded=True, classes="share"
        )
        html.Span("{{ job.waiting }} more waiting", v_if=("job.waiting",))
        v.VBtn(
            "Cancel",
            prepend_icon="mdi-close",
            size="small",
            variant="outlined",
            v_if=("!job.stopping",),
            click=(viewer.work.cancel, "[job.last]"),
            **raw(data_cancel="yes"),
        )


def _autosave(viewer: Viewer) -> None:
    with html.Div(classes="job", v_if=("autosaved.text && !job.text",), **raw(role="status")):
        v.VIcon("mdi-history")
        html.Span("{{ autosaved.text }}", style="flex: 1 0 80%;")
        for name in ("restore", "discard"):
            v.VBtn(
                viewer.commands[f"{name}_autosave"].title,
                size="small",
                variant="outlined",
                click=(viewer.run, f"['{name}_autosave']"),
                v_if=("autosaved.fits" if name == "restore" else "true",),
                **raw(data_autosave=name),
            )


def _message() -> None:
    with v.VSnackbar(
        key=("message.number",),
        model_value=("message.number > message_closed",),
        timeout=("message.kind === 'error' ? -1 : 5000",),
        color=("message.kind === 'error' ? 'red-darken-4' : 'blue-grey-darken-3'",),
        location="bottom left",
        multi_line=True,
        **raw('@update:modelValue="message_closed = message.number"'),
    ):
        with html.Div(
            style="display: flex; gap: 10px; font-size: 14px;", **raw(role="alert", data_message=("message.kind",))
        ):
            v.VIcon(icon=("message.kind === 'error' ? 'mdi-alert' : 'mdi-information'",))
            html.Span("{{ message.text }}", style="overflow-wrap: anywhere;")
        with v.Template(v_slot_actions=True):
            v.VBtn("Close", variant="text", click="message_closed = message.number")

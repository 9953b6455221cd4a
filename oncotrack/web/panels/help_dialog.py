"""The help of the page: a tour, the mouse and the keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.scene.commands import PAGE, commands_of
from oncotrack.web.attributes import raw

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_MATCH_IS_HERE = commands_of(PAGE)["move_match"]
_TOUR = (
    ("Open two scans", "Tab Files: choose a folder or file as baseline, then a later scan as follow-up. The two are "
     "registered by themselves; from then on their views scroll together."),
    ("Follow a lesion", "Tab Findings: click a lesion in the baseline. Its match appears in the follow-up with a reverse "
     "check: how far a search back from the match misses your click."),
    ("Check it", "Accept it (A), reject it (X), or drag the mark to where it belongs; on another slice, centre the lesion and press "
     f"{_MATCH_IS_HERE.title} ({_MATCH_IS_HERE.key}). S swaps it with the next candidate, O records that the lesion is gone. Ctrl+Z undoes every step."),
    ("Measure it", "Measure (=) under the match proposes mask, diameters and volume in both scans and gives the change; Measure "
     "all does so for every finding. Drag the end of a diameter where it is wrong, then accept the size (A)."),
    ("Save", "Save findings (Ctrl+S) writes JSON and CSV. Response report in the tab Response writes the report for the clinic. "
     "Tab Files writes a report of all matches, a scene for 3D Slicer and DICOM. "
     "Findings are kept after every edit and offered again after a crash."),
)  # fmt: skip
_MORE = (
    ("Response", "Give lesions a role: their sum, its change, and the response by RECIST 1.1 or iRECIST at each visit"),
    ("Nodes", "Find lymph nodes proposes boxes on one scan: check every one, and look for missed nodes. PET is shown there"),
    ("Masks", "Choose a finding, Draw diameters, click both ends of the long and of the short one: its mask appears, and "
     "Extend to 3D continues it. Brush and eraser change it"),
    ("Measure", "Distance, two diameters, angle or region on any slice"),
    ("View", "Left mouse button, cine, slab, window, text on the images, link between the scans, light page, larger text"),
    ("Files", "Open and save, archives (PACS), DICOM reports and segmentations"),
)  # fmt: skip
_MOUSE = (
    ("Wheel", "Next or previous slice; turned quickly it moves further"),
    ("Left drag", "As chosen in the bar: select or mark, window/level, scroll, pan or zoom"),
    ("Click in the baseline", "Follow the lesion (tab Findings)"),
    ("Drag a mark", "Move the finding or the end of a measurement"),
    ("Double click", "Show the view alone, or all views again"),
    ("Right drag", "Zoom"),
    ("Middle drag", "Pan"),
    ("Shift and move", "Mark the same position in both scans"),
    ("Left drag in a 3D view", "Turn"),
)


def help_dialog(viewer: Viewer) -> None:
    """Create the dialog, shown while the state's `is_help_open` is true; called once, inside the page."""
    viewer.state.is_help_open = False
    with (
        v.VDialog(v_model=("is_help_open",), scrollable=True, max_width=860, **raw(aria_label="Help")),
        v.VCard(title="Help", **raw(data_help="yes")),
    ):
        with v.VCardText(classes="help", **raw(tabindex="0")):
            html.H2("OncoTrack in five minutes")
            with html.Ol():
                for title, text in _TOUR:
                    with html.Li():
                        html.B(f"{title}. ")
                        html.Span(text)
            html.P(
                "To try it without scans of your own, start oncotrack view without a path: it opens a sample patient."
            )
            html.H2("What the tabs are for")
            _table("Tabs", _MORE)
            html.H2("Mouse")
            _table("Mouse", _MOUSE)
            html.H2("Keys")
            html.P("Keys of buttons in the bar and of the tab View act on every tab, the others on their own tab.")
            for tool in viewer.tools:
                keys = [(command.key_text, command.title) for command in tool.commands if command.key]
                if keys:
                    html.H3(f"Tab {tool.title}")
                    _table(f"Keys of the tab {tool.title}", keys)
        with v.VCardActions():
            v.VSpacer()
            v.VBtn("Close", click="is_help_open = false", **raw(data_help_close="yes"))


def _table(name: str, rows: tuple[tuple[str, str], ...] | list[tuple[str, str]]) -> None:
    with html.Table(classes="keys", **raw(aria_label=name)), html.Tbody():
        for key, meaning in rows:
            with html.Tr():
                with html.Th(scope="row"):
                    html.Kbd(key)
                html.Td(meaning)

"""The look of the page: dark or light, and the size of its text; the colours pass the contrast of WCAG 2.1 AA."""

from __future__ import annotations

from trame_server.state import State

DARK, LIGHT = "dark", "light"
TEXT_SIZES = (100, 115, 130)
"""Sizes of the text of bar, panel and images, in per cent."""
VUETIFY = {
    "theme": {
        "defaultTheme": DARK,
        "themes": {
            DARK: {"dark": True, "colors": {"accent": "#FFD54F"}},
            LIGHT: {
                "dark": False,
                "colors": {"accent": "#7A4F00"},
                "variables": {"medium-emphasis-opacity": 0.8},
            },
        },
    }
}
"""Themes of the page; `accent` marks what is switched on."""


class Appearance:
    """Theme and text size of the page.

    Parameters
    ----------
    state : State
        The page's; it gets `theme` and `text_size`.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        state.update({"theme": DARK, "text_size": TEXT_SIZES[0]})

    def change_theme(self) -> None:
        """Change between dark and light."""
        self._state.theme = LIGHT if self._state.theme == DARK else DARK

    def change_text_size(self, size: int = 0) -> None:
        """Use a size in per cent, by default the next one."""
        next_size = TEXT_SIZES[(TEXT_SIZES.index(self._state.text_size) + 1) % len(TEXT_SIZES)]
        self._state.text_size = size if size in TEXT_SIZES else next_size

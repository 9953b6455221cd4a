"""The legend of the PET over a slice: its colours with the SUV at both ends and in the middle, as HTML."""

from __future__ import annotations

from trame.widgets import html

from oncotrack.scene.views.fusion import COLOURS
from oncotrack.web.attributes import raw

_GRADIENT = ", ".join("rgb({:.0f} {:.0f} {:.0f})".format(*(255 * colour)) for colour in COLOURS)
_PLACES = (("low", "0%"), ("middle", "50%"), ("high", "100%"))


def pet_legend(view: str) -> None:
    """Create the legend of a view; the state's `pet_legend` has the `views` that show a PET, `low`, `high` and `unit`."""
    with html.Div(
        classes="pet-legend",
        v_if=(f"pet_legend.views && pet_legend.views.includes('{view}') && image_text !== 'none'",),
        style=f"background: linear-gradient(to top, {_GRADIENT});",
        **raw(
            data_pet_legend=view,
            role="img",
            aria_label=("`${pet_legend.unit}, from ${pet_legend.low} to ${pet_legend.high}`",),
        ),
    ):
        for name, place in _PLACES:
            html.Span(f"{{{{ pet_legend.{name} }}}}", style=f"bottom: calc({place} - 5px);")
        html.Span("SUV", style="bottom: calc(100% + 8px); right: -6px;", title=("pet_legend.unit",))

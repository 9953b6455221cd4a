"""The list of lymph nodes: score threshold, filters, order, and one row per node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.findings.sizes import NOT_MEASURED
from oncotrack.scene.detection import panel
from oncotrack.scene.detection.detection import DetectionScene
from oncotrack.web.attributes import raw
from oncotrack.web.panels.scan_tool import ICONS, NODES
from oncotrack.web.tools import Command, page_command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_CELLS = ("label", "state", "score", "region", "long", "short", "slices", "volume", "size", "suv_max", "suv_peak",
          "suv_mean", "metabolic", "tlg", "distance", "reach", "side", "site")  # fmt: skip
_REVERSE = NODES.table["reverse_order"]


class NodeList:
    """Rows of the state's `nodes`; a click on a row goes to its node.

    Parameters
    ----------
    viewer : Viewer
    session : DetectionScene
    """

    def __init__(self, viewer: Viewer, session: DetectionScene) -> None:
        self._viewer, self._session = viewer, session
        viewer.state.update(
            {
                "nodes": [],
                "node_summary": "",
                "node_threshold": session.threshold,
                "node_hidden": 0,
                "node_shown": next(iter(panel.SHOWN)),
                "node_size": next(iter(panel.SIZES)),
                "node_order": next(iter(panel.ORDERS)),
                "is_node_order_reversed": False,
            }
        )
        viewer.state.change("node_threshold")(self._on_threshold)
        viewer.state.change("node_shown", "node_size", "node_order")(self._on_filter)

    @property
    def commands(self) -> Sequence[Command]:
        """Reversing the order."""
        return (page_command(_REVERSE, "mdi-swap-vertical", self._reverse, prefix=NODES.prefix),)

    def refresh(self) -> None:
        """Update the rows from the session."""
        state, current = self._viewer.state, self._session.current
        state.node_summary = panel.summary(self._session)
        state.node_threshold, state.node_hidden = self._session.threshold, self._session.hidden_count
        lines = panel.lines(
            self._session, state.node_shown, state.node_size, state.node_order, state.is_node_order_reversed
        )
        self._session.listed = panel.navigation_order(lines, state.node_shown)
        state.nodes = [
            {
                "uid": line.uid,
                "tip": line.tip,
                "is_current": current is not None and line.uid == current.uid,
                "icon": ICONS.get(line.cells[1], ICONS["absent (reader)"]),
                **dict(zip(_CELLS, line.cells, strict=True)),
            }
            for line in lines
        ]  # fmt: skip

    def build(self) -> None:
        """Create the summary, the slider, the filters and the rows."""
        html.P("{{ node_summary }}", **raw(data_node_summary="yes"))
        v.VSlider(
            v_model=("node_threshold",), label="Probability", name="Least probability", min=0, max=1, step=0.01, hide_details=True, density="compact",
            **raw(data_threshold="yes"),
        )  # fmt: skip
        html.P(
            "{{ node_hidden ? node_hidden + (node_hidden === 1 ? ' proposal' : ' proposals') + ' less probable than ' "
            "+ node_threshold.toFixed(2) + ' hidden; move the slider to the left to show more.' "
            ": 'All proposals are shown.' }}",
            classes="quiet", **raw(data_node_hidden="yes"),
        )  # fmt: skip
        with html.Div(classes="d-flex flex-wrap my-2", style="gap: 8px 4px;"):
            for name, label, choices in (
                ("node_shown", "State", panel.SHOWN),
                ("node_size", "Short side", panel.SIZES),
                ("node_order", "Order", panel.ORDERS),
            ):
                v.VSelect(
                    v_model=(name,), items=(f"{name}_choices", list(choices)), label=label, density="compact",
                    variant="outlined", hide_details=True, style="min-width: 120px; flex: 1;",
                    **raw(data_node_filter=name.removeprefix("node_")),
                )  # fmt: skip
            v.VBtn(
                icon=("is_node_order_reversed ? 'mdi-sort-ascending' : 'mdi-sort-descending'",), size="small",
                variant="text", click=(self._viewer.run, f"['{NODES.prefix}reverse_order']"),
                **raw(title=_REVERSE.tooltip, aria_label=_REVERSE.tooltip, data_node_reverse="yes"),
            )  # fmt: skip
        with html.Div(style="max-height: 28vh; overflow-y: auto;"):
            NODES.rows(
                self._viewer,
                "{{ ' · ' + row.state + (row.score ? ' · ' + row.score : '') }}",
                self._details,
                lambda: None,
            )
        html.P("No node passes the filters.", v_if=("!nodes.length",))

    def _details(self) -> None:
        with html.Div(classes="more"):
            html.Span("{{ row.region }}", v_if=("row.region",), classes="region mr-1")
            html.Span(
                f"{{{{ row.size === '{NOT_MEASURED}' ? 'box ' : '' }}}}{{{{ row.long }}}} mm x {{{{ row.short }}}} mm · "
                "{{ row.slices }} {{ row.slices === '1' ? 'slice' : 'slices' }} · {{ row.volume }} ml"
            )
            html.Span(
                "SUVmax {{ row.suv_max }} · SUVpeak {{ row.suv_peak }} · SUVmean {{ row.suv_mean }} · "
                "metabolic volume {{ row.metabolic }} ml · TLG {{ row.tlg }} ml",
                v_if=("row.suv_max",),
                style="display: block;",
                **raw(data_uptake=("row.label",)),
            )
            html.Span(
                "{{ row.distance ? row.distance + ' mm from the tumour, ' + row.reach + ' · ' : '' }}"
                "{{ [row.side, row.site].filter(Boolean).join(' ') }}",
                v_if=("row.suv_max",),
                style="display: block;",
                **raw(data_place=("row.label",)),
            )
            html.Span("{{ row.size }}", v_if=(f"row.size && row.size !== '{NOT_MEASURED}'",), classes="size")

    def _reverse(self) -> None:
        state = self._viewer.state
        state.is_node_order_reversed = not state.is_node_order_reversed
        self.refresh()

    def _on_filter(self, **_state: object) -> None:
        self._session.changed.emit()

    def _on_threshold(self, node_threshold: float, **_state: object) -> None:
        self._viewer.attempt(setattr, self._session, "threshold", float(node_threshold))

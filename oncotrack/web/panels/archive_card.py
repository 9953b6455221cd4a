"""The card of the Files tab for an archive (PACS)."""

from __future__ import annotations

from collections.abc import Callable

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.scene.files.exchange_text import NO_ARCHIVE, NO_STUDY
from oncotrack.web.attributes import raw
from oncotrack.web.roles import BASELINE, FOLLOWUP, VISIT

_ROLES = ((BASELINE, "Baseline"), (FOLLOWUP, "Follow-up"), (VISIT, "Additional visit"))


def build_archive_card(run: Callable[..., object]) -> None:
    """Create the fields and lists.

    Parameters
    ----------
    run : callable
        Runs a command of the page by its name.
    """
    html.H2("Archive (PACS)")
    html.Div(
        NO_ARCHIVE,
        v_if=("!archives.length",),
        classes="quiet mb-2",
    )
    with html.Div(v_if=("archives.length",), **raw(data_archive="yes")):
        v.VSelect(
            v_model=("archive",), items=("archives",), label="Archive", density="compact", variant="outlined",
            hide_details=True, v_if=("archives.length > 1",), classes="mb-2",
        )  # fmt: skip
        for name, title in (("archive_patient", "Patient ID"), ("archive_name", "Name (* for anything)")):
            v.VTextField(
                v_model=(name,), label=title, density="compact", variant="outlined", hide_details=True,
                classes="mb-2", **raw(data_field=name),
            )  # fmt: skip
        with html.Div(classes="d-flex flex-wrap mb-2", style="gap: 6px;"):
            v.VBtn(
                "Search", size="small", variant="tonal",
                click=(run, "['search_archive', archive, archive_patient, archive_name]"), **raw(data_search="yes"),
            )  # fmt: skip
            v.VBtn(
                "Load", size="small", variant="tonal", disabled=("!Object.keys(archive_roles).length",),
                click=(run, "['load_series']"), **raw(data_load="yes"),
            )  # fmt: skip
            v.VBtn(
                "Send results", size="small", variant="tonal", disabled=("!enabled.includes('send_results')",),
                click=(run, "['send_results', archive]"), **raw(data_send="yes"),
            )  # fmt: skip
        html.Div(NO_STUDY, v_if=("archive_searched && !archive_studies.length",), classes="quiet")
        with html.Div(
            v_for="study in archive_studies", key="study.uid", classes="mb-2", **raw(data_study=("study.uid",))
        ):
            html.Div("{{ study.title }}", style="font-weight: 600;")
            html.Div("{{ study.patient }}", classes="quiet")
            with html.Div(v_for="series in study.series", key="series.uid", **raw(data_series=("series.uid",))):
                html.Div("{{ series.text }}")
                with html.Div(classes="d-flex flex-wrap mb-1", style="gap: 4px;"):
                    for role, title in _ROLES:
                        chosen = f"archive_roles['{role}'] === series.uid"
                        v.VBtn(
                            f"{{{{ {chosen} ? '✓ ' : '' }}}}{title}",
                            size="x-small",
                            variant=(f"{chosen} ? 'flat' : 'outlined'",),
                            click=(run, f"['choose_series', series.uid, '{role}']"),
                            **{**raw(data_role=role), "aria_pressed": (f"{chosen}",)},
                        )

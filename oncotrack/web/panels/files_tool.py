"""The Files tab: opening of scans, scenes and findings, saving of results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.scene.commands import FILES, PAGE, commands_of
from oncotrack.web.archive import ArchivePage
from oncotrack.web.attributes import raw
from oncotrack.web.files import Files
from oncotrack.web.panels.archive_card import build_archive_card
from oncotrack.web.roles import BASELINE, FOLLOWUP, PET, VISIT
from oncotrack.web.study_browser import StudyBrowser
from oncotrack.web.tools import Command, page_command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_TABLE, _PAGE = commands_of(FILES), commands_of(PAGE)
_SCANS = ".nii,.gz,.nrrd,.nhdr,.mha,.mhd,.raw,.zraw,.dcm,.zip,.mrb,.json"


class FilesTool:
    """The tab for opening by path or upload, and for saving.

    Parameters
    ----------
    viewer : Viewer
    files : Files
    browser : StudyBrowser
    """

    name, title, icon = "files", "Files", "mdi-folder-open-outline"

    def __init__(self, viewer: Viewer, files: Files, browser: StudyBrowser) -> None:
        self._viewer, self._files, self._browser = viewer, files, browser
        self._archive = ArchivePage(viewer, files)

    @property
    def commands(self) -> Sequence[Command]:
        """Saving, opening, the autosave."""
        files, archive = self._files, self._archive
        return (
            page_command(_PAGE["show_studies"], "mdi-folder-multiple-image", self._browser.toggle,
                         active="is_browser_open", is_in_bar=True),
            page_command(_PAGE["list_folder"], "mdi-folder-search-outline", self._browser.list_folder),
            page_command(_PAGE["hang"], "mdi-image-move", self._browser.hang),
            page_command(_TABLE["save_findings"], "mdi-content-save", files.saving.save_findings, self._has_findings,
                         active="unsaved", is_in_bar=True),
            page_command(_TABLE["save_scene"], "mdi-package-down", files.saving.save_scene, self._has_scan),
            page_command(_TABLE["save_report"], "mdi-file-chart", files.saving.save_report, self._has_findings),
            page_command(_TABLE["export_dicom"], "mdi-file-export", archive.export, self._has_findings),
            page_command(_TABLE["import_dicom"], "mdi-file-import", archive.read_objects, self._has_scan),
            page_command(_TABLE["search_archive"], "mdi-database-search", archive.search),
            page_command(_TABLE["choose_series"], "mdi-check", archive.choose),
            page_command(_TABLE["load_series"], "mdi-database-arrow-down", archive.load),
            page_command(_TABLE["send_results"], "mdi-database-arrow-up", archive.send, self._has_findings),
            page_command(_TABLE["open"], "mdi-folder-open", files.open_typed),
            page_command(_TABLE["restore_autosave"], "mdi-history", files.restore_autosave),
            page_command(_TABLE["discard_autosave"], "mdi-close", files.discard_autosave),
            Command("answer", "Answer", "Answer the question.", "mdi-help", self._viewer.questions.answer, is_in_bar=False),
        )  # fmt: skip

    def build(self) -> None:
        """Create the fields and buttons for opening, uploading and saving."""
        run = self._viewer.run
        with html.Div(v_if=("scan_names[0] || scan_names[1]",)):
            html.Div("{{ visit_names[0] || 'Baseline' }}: {{ scan_names[0] || 'none' }}", classes="quiet")
            html.Div("{{ visit_names[1] || 'Follow-up' }}: {{ scan_names[1] || 'none' }}", classes="quiet mb-2")
            self._saving()
        html.H2("Open a file, DICOM folder or zip archive")
        v.VTextField(
            v_model=("typed",), label="Path", density="compact", variant="outlined", hide_details=True,
            title="In one of the folders OncoTrack was started with", **raw(data_path="yes"),
        )  # fmt: skip
        html.Div("Folders: {{ folders.join(', ') }}", classes="quiet")
        with html.Div(classes="d-flex flex-wrap my-2", style="gap: 6px;"):
            for role, title in (
                (BASELINE, "As baseline"), (FOLLOWUP, "As follow-up"), (VISIT, "As additional visit"), (PET, "As PET"),
            ):  # fmt: skip
                v.VBtn(
                    title,
                    size="small",
                    variant="tonal",
                    click=(run, f"['open', typed, '{role}']"),
                    **raw(data_open=role),
                )
        html.Div("You can also open a scene (.mrb) or findings (.json) here.", classes="quiet mb-2")
        v.VBtn(
            "Read DICOM objects", size="small", variant="tonal", classes="mb-2",
            disabled=("!enabled.includes('import_dicom')",), click=(run, "['import_dicom', typed]"),
            **raw(data_open="dicom"),
        )  # fmt: skip
        build_archive_card(run)
        html.H2("Upload")
        html.Div(
            "A zip archive of DICOM files, or one scan: its DICOM slices, its file, or its header and data files.",
            classes="quiet",
        )
        for role, title in (
            (BASELINE, "Baseline, scene or findings"),
            (FOLLOWUP, "Follow-up"),
            (VISIT, "An additional visit"),
        ):
            with html.Label(title, classes="upload"):
                html.Input(type="file", accept=_SCANS, **raw("multiple", data_upload=role))
        for role, title in (
            (BASELINE, "Baseline: DICOM folder"),
            (FOLLOWUP, "Follow-up: DICOM folder"),
            (VISIT, "An additional visit: DICOM folder"),
        ):
            with html.Label(title, classes="upload"):
                html.Input(type="file", **raw("webkitdirectory", "multiple", data_upload=role))

    def _saving(self) -> None:
        """Create the buttons that save, and the links to what was saved."""
        run = self._viewer.run
        html.H2("Save")
        with html.Div(classes="d-flex flex-wrap mb-2", style="gap: 6px;"):
            for name, title in (
                ("save_findings", "Findings (.json, .csv)"),
                ("save_scene", "Scene (.mrb)"),
                ("save_report", "Report of all matches"),
                ("export_dicom", "DICOM report and segmentation"),
            ):
                v.VBtn(
                    title, size="small", variant="tonal", disabled=(f"!enabled.includes('{name}')",), click=(run, f"['{name}']"),
                    **raw(data_save=name),
                )  # fmt: skip
        with html.Div(v_for="name in saved", key="name", classes="mb-1"):
            html.A(
                "{{ name }}",
                href=("'saved/' + name",),
                target="_blank",
                style="color: var(--link);",
                **raw(data_saved=("name",)),
            )

    def _has_findings(self) -> bool:
        return len(self._viewer.session.findings) > 0

    def _has_scan(self) -> bool:
        return self._viewer.session.baseline is not None or self._viewer.session.followup is not None

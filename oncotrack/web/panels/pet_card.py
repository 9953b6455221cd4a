"""The PET in the tab Nodes: opening it, its colours and its window, the projection, and the primary tumour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import slicer
from trame.widgets import html
from trame.widgets import vuetify3 as v

from oncotrack.background.jobs import Progress
from oncotrack.errors import InputError
from oncotrack.images.volume import Volume
from oncotrack.scene.commands import PAGE, PETCT, commands_of
from oncotrack.scene.detection import panel
from oncotrack.scene.detection.detection import DetectionScene
from oncotrack.scene.files.series_list import ScanSource
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.views.mouse_mode import SELECT, SUV_WINDOW, is_placing
from oncotrack.scene.views.projection import Projection, link_crosshair
from oncotrack.web.attributes import raw
from oncotrack.web.display import Display
from oncotrack.web.files import Files
from oncotrack.web.panels.command_button import command_button
from oncotrack.web.questions import Question
from oncotrack.web.roles import PET, TUMOUR
from oncotrack.web.tools import Command, page_command

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_TABLE = commands_of(PETCT, PAGE)
_MOST_SUV = 30.0


class PETCard:
    """Shows the PET of the scan in the tab Nodes.

    Parameters
    ----------
    viewer : Viewer
        Its state gets `pet` (what is shown), `pet_legend`, and what the reader sets: `pet_opacity`, `pet_range`, `pet_kind`,
        `pet_weight`, `tumour_suv` and `tumour_uid`.
    display : Display
    files : Files
    session : DetectionScene
    call_session : callable
        Calls a method of the session by its name.
    """

    def __init__(
        self,
        viewer: Viewer,
        display: Display,
        files: Files,
        session: DetectionScene,
        call_session: Callable[..., None],
    ) -> None:
        self._viewer, self._display, self._files, self._session = viewer, display, files, session
        self._call_session = call_session
        session.pet.has_legend = False  # the page draws its own
        files.openers |= {PET: self._open, TUMOUR: self._open_tumour}
        self._projection = Projection(viewer.views.view_3d.get_view_node(), self._rendering)
        viewer.state.update(
            {
                "pet": {}, "pet_legend": {}, "pet_opacity": session.pet.opacity, "pet_range": list(session.pet.window),
                "pet_kind": "BW", "pet_weight": None, "tumour_suv": None, "tumour_uid": None,
            }
        )  # fmt: skip
        viewer.state.change("pet_opacity", "pet_range", "pet_kind", "tumour_suv", "tumour_uid")(self._on_state)
        session.tumour.found.connect(viewer.show_message)

    @property
    def commands(self) -> Sequence[Command]:
        """The PET over the CT, its projection, the click, the removal."""
        has_pet = lambda: self._session.pet.volume is not None  # noqa: E731
        return (
            page_command(_TABLE["show_pet"], "mdi-layers", self._toggle, has_pet, active="pet.is_shown"),
            page_command(
                _TABLE["show_projection"], "mdi-rotate-orbit", self._project, has_pet, active="pet.is_projected"
            ),
            page_command(_TABLE["click_tumour"], "mdi-target", self._click, has_pet),
            page_command(_TABLE["remove_pet"], "mdi-close", lambda: self._call_session("pet.remove"), has_pet),
        )

    def build(self) -> None:
        """Create the fields for opening where there is no PET, and otherwise its display and the tumour."""
        commands = {command.name: command for command in self.commands}
        html.H2("PET", v_if=("scan_names[0] || scan_names[1]",))
        with html.Div(v_if=("!pet.name && (scan_names[0] || scan_names[1])",), **raw(data_pet_open="yes")):
            html.P(
                "Open the PET of the same examination: in the tab Files as PET, or here. DICOM, or a file that holds SUV.",
                classes="quiet",
            )
            for title, folder in (("PET: file or zip archive", ()), ("PET: DICOM folder", ("webkitdirectory",))):
                with html.Label(title, classes="upload"):
                    html.Input(type="file", **raw(*folder, "multiple", data_upload=PET))
            v.VTextField(
                v_model_number=("pet_weight",), type="number", label="Weight in kg, if the PET has none",
                density="compact", variant="outlined", hide_details=True, **raw(data_pet_weight="yes"),
            )  # fmt: skip
        with html.Div(v_if=("pet.name",), **raw(data_pet=("pet.name",))):
            html.P("{{ pet.name }} · {{ pet.unit }}", classes="quiet")
            with html.Div(classes="d-flex flex-wrap my-1", style="gap: 6px;"):
                for name in ("show_pet", "show_projection", "remove_pet"):
                    self._button(commands[name])
                v.VBtn(
                    "Window by mouse", size="small", prepend_icon="mdi-contrast-circle",
                    variant="tonal",
                    color=(f"mouse_mode === '{SUV_WINDOW}' ? 'accent' : undefined",),
                    click=(self._viewer.run, f"['choose_mouse', mouse_mode === '{SUV_WINDOW}' ? '{SELECT}' : '{SUV_WINDOW}']"),
                    **raw(title="Drag with the left mouse button in a slice: sideways for the width of the SUV window, up and "
                                "down for its level.", data_pet_window="yes"),
                )  # fmt: skip
            self._sliders()
            html.H2("Primary tumour")
            html.P("{{ pet.tumour }}", **raw(data_tumour_text="yes"))
            self._tumour(commands["click_tumour"])

    def refresh(self) -> None:
        """Update the page's state from the session."""
        state, session = self._viewer.state, self._session
        pet = session.pet
        pet.draw()
        if pet.volume is None and self._projection.is_shown:
            self._hide_projection()
        link_crosshair(session.scene, session.scan, pet.is_shown and self._viewer.session.followup is None)
        tumour = session.tumour.finding
        choices = [{"title": label, "value": uid} for uid, label in panel.tumour_choices(session)]
        kinds = [{"title": name, "value": kind} for kind, name in pet.kinds.items()]
        shown = {} if pet.volume is None else {
            "name": pet.volume.GetName(), "unit": pet.unit, "is_shown": pet.is_shown, "kinds": kinds,
            "is_projected": self._projection.is_shown, "tumour": panel.tumour_text(session), "choices": choices,
        }  # fmt: skip
        low, high = (round(value, 2) for value in pet.window)
        legend = {
            "views": [node.GetLayoutName() for node in self._slices()] if pet.is_shown else [],
            "low": low, "middle": round((low + high) / 2, 2), "high": high, "unit": pet.unit,
        }  # fmt: skip
        for name, value in (
            ("pet", shown), ("pet_legend", legend), ("pet_range", [low, high]), ("pet_kind", pet.kind),
            ("pet_opacity", round(pet.opacity, 2)), ("tumour_uid", tumour.uid if tumour else None),
        ):  # fmt: skip
            if state[name] != value:
                state[name] = value

    # page

    def _sliders(self) -> None:
        v.VSlider(
            v_model=("pet_opacity",), label="Opacity", name="Opacity of the PET", min=0, max=1, step=0.05, hide_details=True,
            density="compact", **raw(data_pet_opacity="yes"),
        )  # fmt: skip
        v.VRangeSlider(
            v_model=("pet_range",), label="SUV", name="SUV window", min=0, max=_MOST_SUV, step=0.1, hide_details=True,
            density="compact", **raw(data_pet_range="yes"),
        )  # fmt: skip
        html.P("SUV {{ pet_range[0].toFixed(1) }} to {{ pet_range[1].toFixed(1) }}", classes="quiet")
        v.VSelect(
            v_model=("pet_kind",), items=("pet.kinds || []",), label="Uptake related to", density="compact",
            variant="outlined", hide_details=True, v_if=("pet.kinds && pet.kinds.length > 1",), **raw(data_pet_kind="yes"),
        )  # fmt: skip

    def _tumour(self, click: Command) -> None:
        with html.Div(classes="d-flex flex-wrap align-center my-1", style="gap: 6px;"):
            self._button(click)
            v.VTextField(
                v_model_number=("tumour_suv",), type="number", label="From SUV (empty: 41 % of the maximum)", density="compact",
                variant="outlined", hide_details=True, style="min-width: 150px;", **raw(data_tumour_suv="yes"),
            )  # fmt: skip
        with html.Label("Open a mask: label map, DICOM SEG, RTSTRUCT", classes="upload"):
            html.Input(type="file", **raw(data_upload=TUMOUR))
        v.VSelect(
            v_model=("tumour_uid",), items=("pet.choices || []",), label="Finding with a mask", density="compact",
            variant="outlined", hide_details=True, v_if=("pet.choices && pet.choices.length",), **raw(data_tumour_choice="yes"),
        )  # fmt: skip
        html.P("Edit its mask in the tab Masks; undo restores the one before.", classes="quiet")

    def _button(self, command: Command) -> None:
        command_button(self._viewer, command, command.title, data_pet_command=command.name)

    # opening

    def _open(self, source: ScanSource, finished: Callable[[], object]) -> None:
        weight = self._viewer.state.pet_weight
        pet = ScanSource(
            source.path, source.series, source.resample, suv=True, weight_kg=float(weight) if weight else None
        )

        def show(volumes: dict[str, Volume]) -> None:
            finished()
            self._add(volumes[PET])

        self._files.opener.open({PET: pet}, show, finished)

    def _add(self, pet: Volume, reason: str = "") -> None:
        try:
            task = self._session.pet.add(pet, reason)
        except InputError as error:
            if error.parameter != "same_patient":
                raise
            self._viewer.questions.ask(
                Question("One examination?", str(error), "They belong together", "Do not open",
                         lambda words: self._add(pet, words), words="Reason why they belong together")
            )  # fmt: skip
            return
        self._viewer.submit(task, self._opened)

    def _opened(self, sentence: str) -> None:
        self._viewer.state.tab = "nodes"
        self._viewer.show_message(sentence)

    def _open_tumour(self, source: ScanSource, finished: Callable[[], object]) -> None:
        from oncotrack.datasets.tumour_masks import read_tumour_mask

        ct = self._session.image()

        def work(_progress: Progress) -> Volume:
            return replace(read_tumour_mask(source.path, ct), name=source.path.name)

        def apply(mask: Volume) -> None:
            finished()
            self._viewer.show_message(self._session.tumour.use(mask))

        self._viewer.submit(Task("Reading the tumour's mask", work, apply, finished))

    # display

    def _toggle(self) -> None:
        self._session.pet.is_shown = not self._session.pet.is_shown

    def _project(self) -> None:
        if self._projection.is_shown:
            self._hide_projection()
        else:
            self._viewer.views.is_projecting = True
            self._projection.show(self._session.pet.volume)
            self._viewer.views.view_3d.fit_view_to_content()
            self._viewer.views.text.solid = self._session.pet.volume
        self.refresh()

    def _hide_projection(self) -> None:
        self._projection.hide()
        self._viewer.views.is_projecting = False
        self._display.apply_last()

    def _rendering(self, pet: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLVolumeRenderingDisplayNode:
        rendering = self._viewer.app.volume_rendering
        display = rendering.create_display_node(pet, "")
        display.SetViewNodeIDs([self._viewer.views.view_3d.get_view_node_id()])
        return display

    def _slices(self) -> Sequence[slicer.vtkMRMLSliceNode]:
        return self._session.slice_nodes()

    # tumour

    def _click(self) -> None:
        was_placing = is_placing(self._session.scene)
        self._display.choose_mouse(SELECT)
        if not was_placing:
            self._session.tumour.begin_click()
            self._viewer.show_message("Click into the primary tumour in a slice.")

    def _on_state(self, **_state: Any) -> None:
        """Apply what the reader has set, where it differs from what is shown."""
        state, pet, tumour = self._viewer.state, self._session.pet, self._session.tumour
        suv = state.tumour_suv
        tumour.fixed_suv = float(suv) if isinstance(suv, int | float) and suv > 0 else None
        if pet.volume is None:
            return
        low, high = map(float, state.pet_range)
        if [low, high] != [round(value, 2) for value in pet.window] and low < high:
            self._viewer.attempt(pet.set_window, low, high)
        if round(float(state.pet_opacity), 2) != round(pet.opacity, 2):
            self._viewer.attempt(setattr, pet, "opacity", float(state.pet_opacity))
        if state.pet_kind != pet.kind:
            self._viewer.attempt(pet.set_kind, state.pet_kind)
        chosen = tumour.finding
        if state.tumour_uid and (chosen is None or state.tumour_uid != chosen.uid):
            self._viewer.attempt(tumour.choose, state.tumour_uid)

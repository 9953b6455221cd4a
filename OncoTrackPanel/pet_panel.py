"""The PET in the panel of LN-Tracker: its choice, its colours and its window, the projection, and the primary tumour.

Packages that Slicer lacks are imported when they are needed, so that Slicer starts without them.
"""

from pathlib import Path

import qt
import slicer

from OncoTrackPanel.study_dialog import open_study


class PETPanel:
    """Shows the PET of the session, and passes on what the reader sets.

    The panel's .ui file contains the widgets named here; its parameters are `pet`, `shows_pet`, `shows_projection`,
    `pet_opacity`, `suv_low`, `suv_high`, `pet_weight` and `tumour_suv`, its session is a `DetectionScene`.
    """

    def __init__(self, panel):
        self._panel, self._projection = panel, None
        self._kinds, self._tumours, self._asked = [], [], False
        panel.ui.openPetButton.connect("clicked()", self._open)
        panel.ui.kindComboBox.connect(
            "activated(int)", lambda _index: self._choose(panel.ui.kindComboBox, "pet.set_kind")
        )
        panel.ui.tumourComboBox.connect(
            "activated(int)", lambda _index: self._choose(panel.ui.tumourComboBox, "tumour.choose")
        )

    def connect_session(self):
        """Connect the signals of a new session."""
        self._panel.session.tumour.found.connect(self._panel.show_message)

    def show_parameters(self):
        """Update the session from the panel's parameters."""
        session, parameters = self._panel.session, self._panel.parameters
        session.tumour.fixed_suv = parameters.tumour_suv or None
        if parameters.pet is not session.pet.volume:
            if parameters.pet is not self._asked:  # chosen by the reader, and not refused before
                self._asked = parameters.pet
                self._submit(lambda reason: session.pet.choose(parameters.pet, reason))
            return
        self._asked = False
        if session.pet.volume is None:
            return
        session.pet.is_shown, session.pet.opacity = parameters.shows_pet, parameters.pet_opacity
        if parameters.suv_low < parameters.suv_high:
            session.pet.set_window(parameters.suv_low, parameters.suv_high)
        self._project(parameters.shows_projection)

    def show_session(self):
        """Update the panel from the session."""
        from oncotrack.scene.detection import panel as text

        session, parameters, ui = self._panel.session, self._panel.parameters, self._panel.ui
        pet = session.pet
        pet.draw()
        if pet.volume is not None:
            with slicer.util.NodeModify(parameters):
                parameters.pet, parameters.shows_pet, parameters.pet_opacity = pet.volume, pet.is_shown, pet.opacity
                parameters.suv_low, parameters.suv_high = pet.window
        elif self._projection is not None:
            self._project(False)
        ui.petTextLabel.text = pet.unit if pet.volume is not None else "No PET is chosen."
        ui.tumourTextLabel.text = text.tumour_text(session)
        chosen = session.tumour.finding
        self._kinds = self._fill(ui.kindComboBox, self._kinds, list(pet.kinds.items()), pet.kind)
        choices = text.tumour_choices(session)
        self._tumours = self._fill(ui.tumourComboBox, self._tumours, choices, chosen.uid if chosen else "")

    def open_tumour(self):
        """Read the tumour's mask from a label map or a segmentation."""
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), "Mask of the primary tumour")
        if not path:
            return
        from oncotrack.errors import InputError, OncoTrackError
        from oncotrack.masks.label_reader import read_labels

        try:
            masks = read_labels(Path(path))
            if len(masks) != 1:
                raise InputError(
                    f"{path} holds {len(masks)} masks ({', '.join(masks)}). Choose a file with that of the primary tumour alone."
                )
            self._panel.show_message(self._panel.session.tumour.use(next(iter(masks.values()))))
        except OncoTrackError as error:
            self._panel.show_error(error)

    def _open(self):
        """Let the reader choose the folder of a PET."""

        def add(pet):
            self._submit(lambda reason: self._panel.session.pet.add(pet, reason))
            return f"Read {pet.name}."

        open_study(self._panel, add, suv=True, weight_kg=self._panel.parameters.pet_weight or None)

    def _submit(self, make):
        """Queue the task that `make` returns for a reason; the reason is asked for where the files contradict each other."""
        from oncotrack.errors import OncoTrackError

        try:
            task = make("")
        except OncoTrackError as error:
            if error.parameter != "same_patient":
                self._panel.show_error(error)
                return
            words = f"{error}\n\nReason why they belong together:"
            reason = qt.QInputDialog.getText(slicer.util.mainWindow(), "One examination?", words).strip()
            if not reason:
                self._panel.show_error(error)
                return
            task = make(reason)
        self._panel.submit(task, str)

    def _choose(self, box, method):
        self._panel.call_session(method, box.currentData)

    def _fill(self, box, known, choices, chosen):
        """Fill a combo box where its choices have changed, and return them."""
        if choices != known:
            box.clear()
            for key, name in choices:
                box.addItem(name, key)
        box.currentIndex = box.findData(chosen)
        box.enabled = bool(choices)
        return choices

    def _project(self, shown):
        """Show the projection in the first 3D view, or hide it."""
        from oncotrack.scene.views.projection import Projection

        if shown and self._projection is None:
            view = slicer.app.layoutManager().threeDWidget(0).mrmlViewNode()
            logic = slicer.modules.volumerendering.logic()

            def rendering(pet):
                display = logic.GetFirstVolumeRenderingDisplayNode(pet) or logic.CreateDefaultVolumeRenderingNodes(pet)
                display.SetViewNodeIDs([view.GetID()])
                return display

            self._projection = Projection(view, rendering)
            self._projection.show(self._panel.session.pet.volume)
        elif not shown and self._projection is not None:
            self._projection.hide()
            self._projection = None

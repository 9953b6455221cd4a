"""Lesion Follow-Up: click a lesion in the baseline, see its match in the follow-up.

A face for `oncotrack.scene.follow_up.FollowUpScene`. What needs packages that Slicer lacks is imported when the module
is entered, so that Slicer starts without them.
"""

import sys
from pathlib import Path
from typing import Annotated

import qt
import slicer
import vtk
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

_HERE = Path(__file__).resolve().parent
_ENGINE = _HERE if (_HERE / "oncotrack").is_dir() else _HERE.parent  # beside this file when installed
if str(_ENGINE) not in sys.path:
    sys.path.append(str(_ENGINE))

ACTIONS = (
    ("placeButton", "L", "begin_placing"),
    ("acceptButton", "A", "accept"),
    ("rejectButton", "X", "reject"),
    ("absentButton", "O", "mark_absent"),
    ("deleteButton", "Del", "delete"),
    ("nextButton", "N", "next"),
    ("previousButton", "P", "previous"),
    ("againButton", "M", "follow_again"),
    ("missingButton", "T", "follow_missing"),
    ("rematchButton", "", "rematch"),
    ("throughButton", "", "follow_through"),
    ("allThroughButton", "", "follow_all_through"),
    ("onwardButton", "", "follow_onward"),
    ("registerButton", "", "register"),
    ("undoButton", "Ctrl+Z", "undo"),
    ("redoButton", "Ctrl+Y", "redo"),
)
"""Button, keyboard shortcut while the module is open, and the method of FollowUpScene that it calls."""
MAP_SHORTCUT = "H"


class LesionFollowUp(ScriptedLoadableModule):
    """What Slicer's module list shows."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = "Lesion Follow-Up"
        parent.categories = ["Oncology"]
        parent.dependencies = []
        parent.contributors = ["OncoTrack contributors"]
        parent.helpText = (
            "Choose a baseline and a follow-up scan, press Place lesion and click a lesion in the upper row: the lower "
            "row shows its match. Drag the match where it is wrong; accept or reject it. Every edit can be undone and "
            "is saved with the scene.<p><b>For research use only. Not a medical device.</b></p>"
            '<p>See <a href="https://github.com/OncoTrack/SlicerOncoTrack">the project\'s page</a>.</p>'
        )
        parent.acknowledgementText = (
            "Registration by elastix (Klein et al., 2010); self-similarity descriptors after MIND (Heinrich et al., "
            "2012); the anatomy map after Deep Lesion Tracker (Cai et al., 2021)."
        )
        slicer.app.connect("startupCompleted()", register_sample_data)


def register_sample_data():
    """Offer the public sample scans in the Sample Data module."""
    from SampleData import SampleDataLogic

    from oncotrack.scene.sample_data import sources

    for source in sources(_HERE / "Resources" / "Icons" / "LesionFollowUp.png"):
        SampleDataLogic.registerCustomSampleDataSource(**source)


@parameterNodeWrapper
class LesionFollowUpParameters:
    """What the panel remembers, in the scene."""

    baseline: slicer.vtkMRMLScalarVolumeNode
    followup: slicer.vtkMRMLScalarVolumeNode
    radius_mm: Annotated[float, WithinRange(1.0, 100.0)] = 10.0
    shown: Annotated[str, Choice(["all", "to review", "accepted", "rejected", "absent"])] = "all"
    is_map_shown: bool = False
    are_views_linked: bool = True


class LesionFollowUpLogic(ScriptedLoadableModuleLogic):
    """Gives the widget its parameters and its session."""

    def getParameterNode(self):
        return LesionFollowUpParameters(super().getParameterNode())

    def new_session(self):
        """The findings of Slicer's scene, with the methods that can be used; needs the packages."""
        from oncotrack.scene.follow_up import FollowUpScene
        from oncotrack.scene.packages import trackers

        return FollowUpScene(slicer.mrmlScene, trackers=trackers())


class LesionFollowUpWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel."""

    def __init__(self, parent=None):
        self.logic = self.session = self.pump = self.parameters = None
        self._gui_tag, self._lines, self._visit_lines, self._shortcuts = None, [], [], []
        super().__init__(parent)

    # what Slicer calls

    def setup(self):
        super().setup()
        panel = slicer.util.loadUI(self.resourcePath("UI/LesionFollowUp.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = LesionFollowUpLogic()
        for name, key, action in ACTIONS:
            button = getattr(self.ui, name)
            button.connect("clicked()", lambda action=action: self._act(action))
            self._add_shortcut(button, key)
        self._add_shortcut(self.ui.mapCheckBox, MAP_SHORTCUT)
        self.ui.alternativeButton.connect("clicked()", self._take_alternative)
        self.ui.lesionTable.connect("itemSelectionChanged()", self._on_row_chosen)
        self.ui.methodComboBox.connect("activated(int)", self._on_method_chosen)
        self.ui.probabilityButton.connect("clicked()", self._toggle_probability)
        self.ui.addVisitButton.connect("clicked()", self._add_visit)
        self.ui.visitTable.connect("cellClicked(int,int)", self._on_visit_chosen)
        self.ui.visitTable.horizontalHeader().connect(
            "sectionClicked(int)", lambda visit: self._act("show_visit", visit)
        )
        self.ui.installButton.connect("clicked()", self._install)
        self.ui.layoutButton.connect("clicked()", self._show_layout)
        self.ui.cancelButton.connect("clicked()", lambda: self.pump.worker.cancel_all())
        self._show_busy(False)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._on_scene_closing)
        for event in (scene.EndCloseEvent, scene.EndImportEvent):
            self.addObserver(scene, event, self._on_scene_ready, priority=-1.0)  # after the session's own observers

    def enter(self):
        self._start()
        self._use_parameters(self.logic.getParameterNode())
        for shortcut in self._shortcuts:
            shortcut.enabled = True

    def exit(self):
        for shortcut in self._shortcuts:
            shortcut.enabled = False
        if self.session:
            self.session.stop_placing()
            self.session.linking.is_enabled = False
        self._use_parameters(None)

    def cleanup(self):
        self._use_parameters(None)
        self.removeObservers()
        self._stop()
        for shortcut in self._shortcuts:
            shortcut.setParent(None)
        self._shortcuts = []

    # the session

    def _start(self):
        from oncotrack.scene import packages

        sentence = packages.sentence()
        is_usable = not packages.lacks_required()
        self.ui.workWidget.enabled = is_usable
        self.ui.installButton.visible = bool(sentence)
        if sentence:
            self._say(sentence)
        if is_usable and self.session is None:
            self._open_session()

    def _open_session(self):
        from oncotrack.pump import Pump

        timer = qt.QTimer()
        timer.setInterval(Pump.TICK_MS)
        self.pump = Pump(timer, lambda: self._show_busy(False))
        timer.connect("timeout()", self.pump.tick)
        self.session = self.logic.new_session()
        self.session.changed.connect(self._on_session_changed)
        self.session.placed.connect(self._on_placed)
        self.session.refused.connect(self._complain)
        self.ui.methodComboBox.clear()
        for name in self.session.method.names:
            self.ui.methodComboBox.addItem(self.session.method.about(name).title)
        self.ui.layoutButton.enabled = True
        self._show_layout()
        if self.session.problem:
            self._complain(self.session.problem)

    def _stop(self):
        if self.session:
            self.pump.close()
            self.session.close()
        self.session = self.pump = None

    def _install(self):
        from oncotrack.errors import MissingPackageError
        from oncotrack.scene import packages

        self._use_parameters(None)
        self._stop()  # what is installed may bring more methods
        problem = None
        try:
            packages.install(packages.slicer_packages, packages.slicer_torch)
        except MissingPackageError as error:
            problem = error
        self.enter()
        if problem:
            self._complain(problem)
        else:
            self._say("The packages are installed.")

    def _act(self, name, *arguments):
        """Call a method of the session; what goes wrong is said, long work goes to the worker."""
        from oncotrack.errors import OncoTrackError
        from oncotrack.scene.tasks import Task

        try:
            outcome = getattr(self.session, name)(*arguments)
        except OncoTrackError as error:
            self._complain(error)
            return
        if isinstance(outcome, Task):
            self._show_busy(True)
            self.ui.progressBar.value = 0
            outcome.submit(self.pump.worker, self._complain, self._show_progress, self._on_done)
            self.pump.start()

    def _on_placed(self, at):
        self._act("follow", at, self.parameters.radius_mm if self.parameters else 10.0)

    def _on_done(self, outcome):
        from oncotrack.scene.panel import method_tip, verdict

        if isinstance(outcome, str):  # the name of a method that is ready
            self._say(method_tip(self.session, outcome))
        else:
            self._say(verdict(self.session) or "The rows are linked now.")

    # from the panel to the session

    def _use_parameters(self, parameters):
        if self.parameters:
            self.parameters.disconnectGui(self._gui_tag)
            self.removeObserver(self.parameters, vtk.vtkCommand.ModifiedEvent, self._on_parameters_changed)
        self.parameters = parameters
        if parameters:
            if self.session:
                self._on_session_changed()  # a reopened scene knows its scans by itself
            self._gui_tag = parameters.connectGui(self.ui)
            self.addObserver(parameters, vtk.vtkCommand.ModifiedEvent, self._on_parameters_changed)
            self._on_parameters_changed()

    def _on_parameters_changed(self, _caller=None, _event=None):
        session, wanted = self.session, self.parameters
        if not session or not wanted or slicer.mrmlScene.IsClosing() or slicer.mrmlScene.IsImporting():
            return
        if (wanted.baseline, wanted.followup) != (session.baseline, session.followup):
            self._act("set_scans", wanted.baseline, wanted.followup)
            with session.linking.paused():
                slicer.util.resetSliceViews()
        session.layers.is_map_shown = wanted.is_map_shown
        session.linking.is_enabled = wanted.are_views_linked
        self._show_lines()

    def _on_method_chosen(self, index):
        self._act("choose_method", self.session.method.names[index])

    def _toggle_probability(self):
        if self.session.layers.is_probability_shown:
            self.session.layers.hide_probability()
        else:
            self._act("map_probability")
        self.ui.probabilityButton.checked = self.session.layers.is_probability_shown  # until the map has come

    def _add_visit(self):
        volume = self.ui.visitSelector.currentNode()
        if volume and volume not in self.session.visits:
            self._act("set_visits", [*self.session.visits, volume])

    def _on_visit_chosen(self, row, column):
        if 0 <= row < len(self._visit_lines):
            self._act("go_to", self._visit_lines[row].uid)
            self._act("show_visit", column)

    def _on_row_chosen(self):
        row = self.ui.lesionTable.currentRow()
        if 0 <= row < len(self._lines):
            self._act("go_to", self._lines[row].uid)

    def _take_alternative(self):
        self._act("take_alternative", self.ui.alternativeComboBox.currentIndex)

    # from the session to the panel

    def _on_session_changed(self):
        if not self.parameters or slicer.mrmlScene.IsClosing():
            return
        from oncotrack.scene import panel

        session = self.session
        if session.baseline or session.followup:
            with slicer.util.NodeModify(self.parameters):
                if self.parameters.baseline != session.baseline:
                    self.parameters.baseline = session.baseline
                if self.parameters.followup != session.followup:
                    self.parameters.followup = session.followup
        for selector in (self.ui.baselineSelector, self.ui.followupSelector, self.ui.visitSelector):
            selector.sortFilterProxyModel().hiddenNodeIDs = panel.own_volumes(session)
        self.ui.methodComboBox.setCurrentIndex(session.method.names.index(session.method.name))
        self.ui.methodNoteLabel.text = panel.method_tip(session)
        self._show_lines()
        self._show_visits()
        self.ui.alternativeComboBox.clear()
        self.ui.alternativeComboBox.addItems(panel.alternatives(session))
        possible = panel.possible(session)
        for name, _key, action in ACTIONS:
            getattr(self.ui, name).enabled = action in possible
        self.ui.alternativeButton.enabled = self.ui.alternativeComboBox.enabled = "take_alternative" in possible
        self.ui.probabilityButton.checked = session.layers.is_probability_shown
        self.ui.probabilityButton.enabled = session.layers.is_probability_shown or "map_probability" in possible
        if session.layers.is_probability_shown:
            self.parameters.is_map_shown = False  # one map at a time
        self.ui.undoButton.toolTip = f"Undo {session.findings.undo_text} (Ctrl+Z)"
        self.ui.redoButton.toolTip = f"Redo {session.findings.redo_text} (Ctrl+Y)"

    def _show_lines(self):
        from oncotrack.scene.panel import lines

        shown, table = lines(self.session, self.parameters.shown), self.ui.lesionTable
        was_blocked = table.blockSignals(True)
        if shown != self._lines:
            self._lines = shown
            table.setRowCount(len(shown))
            for row, line in enumerate(shown):
                for column, text in enumerate(line.cells):
                    item = qt.QTableWidgetItem(text)
                    item.setToolTip(line.tip)
                    table.setItem(row, column, item)
        current = self.session.current
        rows = [row for row, line in enumerate(shown) if current and line.uid == current.uid]
        if rows:
            table.selectRow(rows[0])
        else:
            table.clearSelection()
        table.blockSignals(was_blocked)

    def _show_visits(self):
        from oncotrack.scene.panel import visit_table

        headings, self._visit_lines = visit_table(self.session)
        table = self.ui.visitTable
        table.setRowCount(len(self._visit_lines))
        table.setColumnCount(len(headings))
        table.setHorizontalHeaderLabels(headings)
        table.setVerticalHeaderLabels([line.label for line in self._visit_lines])
        for row, line in enumerate(self._visit_lines):
            for column, (text, tip) in enumerate(zip(line.cells, line.tips, strict=True)):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(tip)
                table.setItem(row, column, item)

    def _show_progress(self, fraction, text):
        self.ui.progressBar.value = round(100 * fraction)
        self.ui.progressBar.format = f"{text} %p%"

    def _show_busy(self, is_busy):
        self.ui.progressBar.visible = self.ui.cancelButton.visible = is_busy

    def _complain(self, error):
        from oncotrack.errors import Cancelled

        self._say(str(error), is_problem=not isinstance(error, Cancelled))

    def _say(self, sentence, is_problem=False):
        kind = qt.QStyle.SP_MessageBoxWarning if is_problem else qt.QStyle.SP_MessageBoxInformation
        self.ui.messageIcon.setPixmap(slicer.app.style().standardIcon(kind).pixmap(20, 20))
        self.ui.messageLabel.text = sentence

    # the scene and the views

    def _on_scene_closing(self, _caller, _event):
        if self.pump:
            self.pump.worker.cancel_all()
        self._use_parameters(None)

    def _on_scene_ready(self, _caller, _event):
        if self.parent.isEntered:
            self._use_parameters(self.logic.getParameterNode())

    def _show_layout(self):
        from oncotrack.scene.layout import show_rows

        manager = slicer.app.layoutManager()
        if manager:  # Slicer may run without its main window
            show_rows(manager.layoutLogic().GetLayoutNode())
            self.session.layers.show_scans()

    def _add_shortcut(self, button, key):
        window = slicer.util.mainWindow()
        if not key or window is None:
            return
        shortcut = qt.QShortcut(window)
        shortcut.setKey(qt.QKeySequence(key))
        shortcut.connect("activated()", button.click)
        shortcut.enabled = False
        self._shortcuts.append(shortcut)
        button.toolTip = f"{button.toolTip} ({key})"


class LesionFollowUpTest(ScriptedLoadableModuleTest):
    """Follows one lesion of a made-up patient in Slicer's own scene."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_a_lesion_is_followed_and_undone()

    def test_a_lesion_is_followed_and_undone(self):
        from oncotrack.scene import packages

        if packages.lacks_required():
            self.delayDisplay("Skipped: the packages of Resources/requirements.txt are not installed.")
            return
        from dataclasses import replace

        import numpy as np

        from oncotrack.phantom import make_patient
        from oncotrack.scene.volumes import add_volume

        visit = make_patient(1, visits=1, size=(96, 96, 60)).visits[0]
        baseline = visit.image
        shift = np.array([6.0, -4.0, 8.0])
        origin = tuple(baseline.geometry.origin + shift)
        followup = replace(baseline, geometry=replace(baseline.geometry, origin=origin))
        session = LesionFollowUpLogic().new_session()
        session.set_scans(*(add_volume(slicer.mrmlScene, scan) for scan in (baseline, followup)))
        lesion = max(visit.truth.instances, key=lambda instance: instance.volume_mm3)
        centre, radius = np.array(lesion.centre), lesion.long_axis.length_mm / 2
        session.follow(centre, radius).run()
        self.assertLess(np.linalg.norm(session.match.centre - (centre + shift)), 4.0)
        session.undo()
        self.assertEqual(len(session.findings), 0)
        session.close()

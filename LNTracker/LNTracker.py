"""LN-Tracker: find the lymph nodes of a CT and correct their boxes slice by slice.

A face for `oncotrack.scene.detection.DetectionScene`. What needs packages that Slicer lacks is imported when the module
is entered, so that Slicer starts without them.
"""

import sys
from operator import attrgetter
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
    ("deleteButton", "Del", "delete"),
    ("nextButton", "N", "next"),
    ("previousButton", "P", "previous"),
    ("undoButton", "Ctrl+Z", "undo"),
    ("redoButton", "Ctrl+Y", "redo"),
    ("addBoxButton", "Ins", "editor.add_box"),
    ("deleteBoxButton", "Backspace", "editor.delete_box"),
    ("extendUpButton", "", "editor.extend_up"),
    ("extendDownButton", "", "editor.extend_down"),
    ("trimAboveButton", "", "editor.trim_above"),
    ("trimBelowButton", "", "editor.trim_below"),
    ("splitButton", "", "editor.split"),
)
"""Button, keyboard shortcut while the module is open, and the method of DetectionScene that it calls."""


class LNTracker(ScriptedLoadableModule):
    """What Slicer's module list shows."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = "LN-Tracker"
        parent.categories = ["Oncology"]
        parent.dependencies = []
        parent.contributors = ["OncoTrack contributors"]
        parent.helpText = (
            "Choose a CT and press Find lymph nodes: every node of the scan is boxed in 3D and on each of its slices. "
            "Raise the least score to see fewer. Drag the handles of a slice box where it is wrong; split, merge, cut and "
            "follow nodes further; accept or reject them. Every edit can be undone and is saved with the scene."
            "<p><b>The network was trained on synthetic scans and on nodes put into real ones: check every node, and look "
            "for those it missed. For research use only. Not a medical device.</b></p>"
            '<p>See <a href="https://github.com/OncoTrack/SlicerOncoTrack">the project\'s page</a>.</p>'
        )
        parent.acknowledgementText = (
            "The network follows LN-Tracker, which follows nodes through the slices with the queries of a detection "
            "transformer; sizes are called enlarged and measurable after RECIST 1.1 (Schwartz et al., 2009)."
        )


@parameterNodeWrapper
class LNTrackerParameters:
    """What the panel remembers, in the scene."""

    scan: slicer.vtkMRMLScalarVolumeNode
    threshold: Annotated[float, WithinRange(0.0, 1.0)] = 0.0
    shown: Annotated[str, Choice(["all", "to review", "accepted", "rejected"])] = "all"
    size: Annotated[str, Choice(["any size", "enlarged", "measurable"])] = "any size"
    order: Annotated[str, Choice(["score", "size", "label", "state", "position"])] = "score"
    is_reversed: bool = False


class LNTrackerLogic(ScriptedLoadableModuleLogic):
    """Gives the widget its parameters and its session."""

    def getParameterNode(self):
        return LNTrackerParameters(super().getParameterNode())

    def new_session(self, detectors=None):
        """The nodes of Slicer's scene; needs the packages."""
        from oncotrack.scene.detection import DetectionScene

        return DetectionScene(slicer.mrmlScene, detectors=detectors)


class LNTrackerWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel."""

    def __init__(self, parent=None):
        self.logic = self.session = self.pump = self.parameters = None
        self._gui_tag, self._lines, self._shortcuts = None, [], []
        super().__init__(parent)

    # what Slicer calls

    def setup(self):
        super().setup()
        panel = slicer.util.loadUI(self.resourcePath("UI/LNTracker.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = LNTrackerLogic()
        for name, key, action in ACTIONS:
            button = getattr(self.ui, name)
            button.connect("clicked()", lambda action=action: self._act(action))
            self._add_shortcut(button, key)
        self.ui.detectButton.connect("clicked()", self._detect)
        self.ui.mergeButton.connect("clicked()", self._merge)
        self.ui.exportButton.connect("clicked()", self._export)
        self.ui.nodeTable.connect("itemSelectionChanged()", self._on_row_chosen)
        self.ui.nodeTable.connect("itemChanged(QTableWidgetItem*)", self._on_name_typed)
        self.ui.installButton.connect("clicked()", self._install)
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
            self.session.leave()
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

        sentence = packages.sentence_on_detection()
        is_usable = not packages.lacks_required()
        self.ui.workWidget.enabled = is_usable
        self.ui.installButton.visible = bool(sentence)
        if sentence:
            self._say(sentence)
        if is_usable and self.session is None:
            self._open_session()
        if self.session:
            self.session.enter()

    def _open_session(self):
        from oncotrack.pump import Pump

        timer = qt.QTimer()
        timer.setInterval(Pump.TICK_MS)
        self.pump = Pump(timer, lambda: self._show_busy(False))
        timer.connect("timeout()", self.pump.tick)
        self.session = self.logic.new_session()
        self.session.changed.connect(self._on_session_changed)
        self.session.placed.connect(lambda finding: self._act("follow_new", finding.uid))
        self.session.refused.connect(self._complain)
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
        self._stop()
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
            outcome = attrgetter(name)(self.session)(*arguments)
        except OncoTrackError as error:
            self._complain(error)
            return
        if isinstance(outcome, Task):
            self._show_busy(True)
            self.ui.progressBar.value = 0
            outcome.submit(self.pump.worker, self._complain, self._show_progress, self._on_done)
            self.pump.start()

    def _detect(self):
        from oncotrack.tracklet_edits import Rerun

        rerun = None
        if self.session.has_decisions:
            box = qt.QMessageBox(slicer.util.mainWindow())
            box.setWindowTitle("LN-Tracker")
            box.setText("Nodes of this scan were accepted, edited or rejected. What becomes of them?")
            keep = box.addButton("Keep them", qt.QMessageBox.AcceptRole)
            replace = box.addButton("Replace them", qt.QMessageBox.DestructiveRole)
            box.addButton(qt.QMessageBox.Cancel)
            box.exec_()
            if box.clickedButton() not in (keep, replace):
                return
            rerun = Rerun.KEEP if box.clickedButton() == keep else Rerun.REPLACE
        self._act("detect", rerun)

    def _merge(self):
        self._act("editor.merge", self.ui.mergeComboBox.currentData)

    def _export(self):
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), "Folder for the nodes")
        if folder:
            self._act("export", Path(folder))

    def _on_done(self, outcome):
        from oncotrack.scene.detection_panel import done

        self._say(done(self.session, outcome))

    # from the panel to the session

    def _use_parameters(self, parameters):
        if self.parameters:
            self.parameters.disconnectGui(self._gui_tag)
            self.removeObserver(self.parameters, vtk.vtkCommand.ModifiedEvent, self._on_parameters_changed)
        self.parameters = parameters
        if parameters:
            if self.session:
                self._on_session_changed()  # a reopened scene knows its scan by itself
            self._gui_tag = parameters.connectGui(self.ui)
            self.addObserver(parameters, vtk.vtkCommand.ModifiedEvent, self._on_parameters_changed)
            self._on_parameters_changed()

    def _on_parameters_changed(self, _caller=None, _event=None):
        session, wanted = self.session, self.parameters
        if not session or not wanted or slicer.mrmlScene.IsClosing() or slicer.mrmlScene.IsImporting():
            return
        if wanted.scan is not session.scan:
            self._act("set_scan", wanted.scan)
            if wanted.scan:
                slicer.util.setSliceViewerLayers(background=wanted.scan, fit=True)
        session.threshold = wanted.threshold
        self._show_lines()

    def _on_row_chosen(self):
        row = self.ui.nodeTable.currentRow()
        if 0 <= row < len(self._lines):
            self._act("go_to", self._lines[row].uid)

    def _on_name_typed(self, item):
        self._act("rename", item.text(), self._lines[item.row()].uid)
        self._lines = []  # what was typed may have been refused
        self._show_lines()

    # from the session to the panel

    def _on_session_changed(self):
        if not self.parameters or slicer.mrmlScene.IsClosing():
            return
        from oncotrack.scene import detection_panel

        session = self.session
        if session.scan and self.parameters.scan != session.scan:
            self.parameters.scan = session.scan
        self._show_lines()
        self.ui.summaryLabel.text = detection_panel.summary(session)
        self.ui.sliceLabel.text = detection_panel.slice_words(session)
        self.ui.mergeComboBox.clear()
        for uid, label in detection_panel.mergeable(session):
            self.ui.mergeComboBox.addItem(label, uid)
        possible = detection_panel.possible(session)
        for name, _key, action in ACTIONS:
            getattr(self.ui, name).enabled = action in possible
        self.ui.detectButton.enabled = "detect" in possible
        self.ui.exportButton.enabled = "export" in possible
        self.ui.mergeButton.enabled = self.ui.mergeComboBox.enabled = "editor.merge" in possible
        self.ui.undoButton.toolTip = f"Undo {session.findings.undo_text} (Ctrl+Z)"
        self.ui.redoButton.toolTip = f"Redo {session.findings.redo_text} (Ctrl+Y)"

    def _show_lines(self):
        from oncotrack.scene.detection_panel import lines

        wanted, table = self.parameters, self.ui.nodeTable
        shown = lines(self.session, wanted.shown, wanted.size, wanted.order, wanted.is_reversed)
        was_blocked = table.blockSignals(True)
        if shown != self._lines:
            self._lines = shown
            table.setRowCount(len(shown))
            for row, line in enumerate(shown):
                for column, text in enumerate(line.cells):
                    item = qt.QTableWidgetItem(text)
                    item.setToolTip(line.tip)
                    if column:
                        item.setFlags(qt.Qt.ItemIsSelectable | qt.Qt.ItemIsEnabled)
                    table.setItem(row, column, item)
        current = self.session.current
        rows = [row for row, line in enumerate(shown) if current and line.uid == current.uid]
        if rows:
            table.selectRow(rows[0])
        else:
            table.clearSelection()
        table.blockSignals(was_blocked)

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

    # the scene

    def _on_scene_closing(self, _caller, _event):
        if self.pump:
            self.pump.worker.cancel_all()
        self._use_parameters(None)

    def _on_scene_ready(self, _caller, _event):
        if self.parent.isEntered:
            if self.session:
                self.session.enter()
            self._use_parameters(self.logic.getParameterNode())

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


class LNTrackerTest(ScriptedLoadableModuleTest):
    """Adds a node to a made-up patient in Slicer's own scene, edits its boxes and takes it back."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_a_node_is_added_edited_and_undone()

    def test_a_node_is_added_edited_and_undone(self):
        from oncotrack.scene import packages

        if packages.lacks_required():
            self.delayDisplay("Skipped: the packages of Resources/requirements.txt are not installed.")
            return
        from dataclasses import replace

        from oncotrack.phantom import make_patient
        from oncotrack.scene.volumes import add_volume

        visit = make_patient(1, visits=1, size=(96, 96, 60)).visits[0]
        node = max(visit.truth.instances, key=lambda instance: instance.volume_mm3)
        session = LNTrackerLogic().new_session()
        session.set_scan(add_volume(slicer.mrmlScene, visit.image))
        session.editor.add_node(node.centre)
        box = session.editor.tracklet.boxes[0]
        session.editor.set_box(replace(box, slice_index=box.slice_index + 1))
        self.assertEqual(len(session.editor.tracklet.boxes), 2)
        self.assertIsNotNone(slicer.mrmlScene.GetFirstNodeByName("LN 1 outline"))
        session.undo()
        self.assertEqual(len(session.editor.tracklet.boxes), 1)
        session.undo()
        self.assertEqual(len(session.findings), 0)
        session.close()

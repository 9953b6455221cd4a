"""Slicer module LN-Tracker: detect the lymph nodes of a CT or an MR and correct their boxes slice by slice.

Its panel drives a `DetectionScene` of `oncotrack.scene.detection.detection`.
"""

import sys
from pathlib import Path
from typing import Annotated

import qt
import slicer
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
)

_HERE = Path(__file__).resolve().parent
_ENGINE = _HERE if (_HERE / "oncotrack").is_dir() else _HERE.parent  # beside this file when installed
if str(_ENGINE) not in sys.path:
    sys.path.append(str(_ENGINE))

from oncotrack.scene import choices  # noqa: E402  (found only now)
from oncotrack.scene.commands import NODES, PETCT  # noqa: E402
from oncotrack.scene.files import packages  # noqa: E402
from OncoTrackPanel.findings_table import FindingsTable  # noqa: E402
from OncoTrackPanel.panel_widget import PanelWidget  # noqa: E402
from OncoTrackPanel.parameter_nodes import wrapped  # noqa: E402
from OncoTrackPanel.pet_panel import PETPanel  # noqa: E402
from OncoTrackPanel.sample_data import register_at_startup  # noqa: E402

BUTTONS = {
    "detectButton": "detect",
    "placeButton": "add_node",
    "acceptButton": "accept",
    "rejectButton": "reject",
    "removeButton": "remove_from_scan",
    "nextButton": "next",
    "previousButton": "previous",
    "enlargeButton": "enlarge",
    "undoButton": "undo",
    "redoButton": "redo",
    "exportButton": "export_nodes",
    "addBoxButton": "add_box",
    "deleteBoxButton": "delete_box",
    "extendUpButton": "extend_up",
    "extendDownButton": "extend_down",
    "trimAboveButton": "trim_above",
    "trimBelowButton": "trim_below",
    "splitButton": "split",
    "mergeButton": "merge",
    "removePetButton": "remove_pet",
    "clickTumourButton": "click_tumour",
    "openTumourButton": "open_tumour",
}
"""Name of each button in the .ui file, and of its command in `oncotrack.scene.commands`."""
HANDLERS = {
    "accept": "accept",
    "reject": "reject",
    "enlarge": "enlarge",
    "add_node": "begin_placing",
    "detect": "_detect",
    "merge": "_merge",
    "export_nodes": "_export",
    "open_tumour": "_open_tumour",
}
"""Name of a command, and of the widget's method that runs it; other commands call the session."""
IN_TOOLTIP = ("Slices", "Volume (ml)", "RECIST size")
"""Columns for which the panel is too narrow; the tooltips of the rows have them."""


class LNTracker(ScriptedLoadableModule):
    """The module's entry in Slicer's module list."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = "LN-Tracker"
        parent.categories = ["Oncology"]
        parent.dependencies = []
        parent.contributors = ["OncoTrack contributors"]
        parent.helpText = (
            "Choose a CT or an MR and press Find lymph nodes: each proposed node gets a box in 3D and on each of its slices. "
            "The most probable are shown first; lower the least probability to see more. Drag the handles of a slice box where it is wrong; split, merge, cut and "
            "extend nodes; accept or reject them. Every edit can be undone and is saved with the scene."
            "<p><b>The networks were trained on synthetic scans and on nodes inserted into real CTs: check every node, and "
            "look for missed nodes. For research use only. Not a medical device.</b></p>"
            '<p><a href="https://github.com/OncoTrack/SlicerOncoTrack/blob/main/docs/tutorial.md">Tutorial</a>, '
            '<a href="https://github.com/OncoTrack/SlicerOncoTrack">the project\'s page</a>.</p>'
        )
        parent.acknowledgementText = (
            "The detector for CT is LN-Tracker (Yu et al.), which tracks nodes through the slices with the queries of a "
            "detection transformer; that for MR follows S. Wang et al. (Medical Image Analysis, 2022). Enlarged and "
            "measurable are the sizes of RECIST 1.1 (Schwartz et al., 2009); they are given for measured nodes only."
        )
        register_at_startup(parent.title, _HERE / "Resources" / "Icons" / "LNTracker.png", scans=1)


@parameterNodeWrapper
class LNTrackerParameters:
    """The panel's parameters, stored in the scene."""

    scan: slicer.vtkMRMLScalarVolumeNode
    threshold: Annotated[float, WithinRange(0.0, 1.0)] = 0.0
    shown: Annotated[str, Choice(list(choices.NODE_STATES))] = choices.NODE_STATES[0]
    short_side: Annotated[str, Choice(list(choices.NODE_SIZES))] = choices.NODE_SIZES[0]
    order: Annotated[str, Choice(list(choices.NODE_ORDERS))] = choices.NODE_ORDERS[0]
    is_reversed: bool = False
    pet: slicer.vtkMRMLScalarVolumeNode
    shows_pet: bool = True
    shows_projection: bool = False
    pet_opacity: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    suv_low: float = 0.0
    suv_high: float = 10.0
    pet_weight: float = 0.0
    tumour_suv: float = 0.0


class LNTrackerLogic(ScriptedLoadableModuleLogic):
    """Provides the widget's parameters and its session."""

    def getParameterNode(self):
        return wrapped(LNTrackerParameters, super().getParameterNode())

    def new_session(self, detectors=None):
        """Return the lymph node session of Slicer's scene; needs the packages."""
        from oncotrack.scene.detection.detection import DetectionScene

        return DetectionScene(slicer.mrmlScene, detectors=detectors)


class LNTrackerWidget(PanelWidget):
    """The module's panel; see `PanelWidget`."""

    logic_class = LNTrackerLogic
    tools, buttons = (NODES, PETCT), BUTTONS
    handlers = HANDLERS
    placing_hint = "Click the middle of a lymph node."
    needs = packages.DETECTION

    def connect_panel(self):
        self._mergeable = []
        self.table = FindingsTable(self, self.ui.nodeTable, choices.NODE_COLUMNS + choices.PET_COLUMNS, ["Region"])
        for title in IN_TOOLTIP:
            self.ui.nodeTable.setColumnHidden(choices.NODE_COLUMNS.index(title), True)
        self._pet = PETPanel(self)

    def connect_session(self):
        self.session.placed.connect(lambda finding: self.call_session("follow_new", finding.uid))
        self._pet.connect_session()

    def show_parameters(self):
        session, parameters = self.session, self.parameters
        if parameters.scan is not session.scan:
            self.call_session("set_scan", parameters.scan)
        self.show_scan(parameters.scan)
        self._pet.show_parameters()
        if parameters.threshold != session.threshold:
            session.threshold = parameters.threshold
        else:
            session.changed.emit()  # the session has no signal for filters and order

    def show_session(self):
        from oncotrack.scene.detection import panel as detection_panel

        session = self.session
        if session.scan and self.parameters.scan != session.scan:
            self.parameters.scan = session.scan
        self._pet.show_session()
        if self.session.shown:
            self.fold_once("scanCollapsibleButton")
        if self.parameters.threshold != session.threshold:  # set by a detection, which shows the most probable first
            self.parameters.threshold = session.threshold
        self._show_nodes()
        self.ui.summaryLabel.text = detection_panel.summary(session)
        self.ui.sliceLabel.text = detection_panel.slice_text(session)
        self._show_mergeable(detection_panel.mergeable(session))
        self.ui.mergeComboBox.enabled = "editor.merge" in self.possible_methods()

    def possible_methods(self):
        from oncotrack.scene.detection.panel import possible_methods

        return possible_methods(self.session) - ({"detect"} if self.lacks_torch else set())

    def use_scan(self, volume):
        self.parameters.scan = volume

    def outcome_text(self, outcome):
        from oncotrack.scene.detection.panel import outcome_text

        return outcome_text(self.session, outcome)

    def _show_mergeable(self, choices):
        chosen = self.ui.mergeComboBox
        if choices == self._mergeable:  # unchanged, for example while the reader scrolls: keep the chosen node
            return
        self._mergeable, uid = choices, chosen.currentData
        chosen.clear()
        for each, label in choices:
            chosen.addItem(label, each)
        chosen.currentIndex = max(chosen.findData(uid), 0)

    def _show_nodes(self):
        from oncotrack.scene.detection.panel import lines, navigation_order

        parameters = self.parameters
        chosen = lines(self.session, parameters.shown, parameters.short_side, parameters.order, parameters.is_reversed)
        self.session.listed = navigation_order(chosen, parameters.shown)
        self.table.show(chosen)
        has_pet = self.session.pet.volume is not None
        for column in range(len(choices.NODE_COLUMNS), len(choices.NODE_COLUMNS + choices.PET_COLUMNS)):
            self.ui.nodeTable.setColumnHidden(column, not has_pet)
        fit = qt.QHeaderView.ResizeToContents if has_pet else qt.QHeaderView.Stretch
        self.ui.nodeTable.horizontalHeader().setSectionResizeMode(choices.NODE_COLUMNS.index("Region"), fit)

    # commands that need an answer or a choice

    def _detect(self):
        from oncotrack.findings.tracklet_edits import Rerun

        rerun = None
        if self.session.has_decisions:
            box = qt.QMessageBox(slicer.util.mainWindow())
            box.setWindowTitle("LN-Tracker")
            box.setText("Nodes of this scan were accepted, edited or rejected. What should happen to them?")
            keep = box.addButton("Keep them", qt.QMessageBox.AcceptRole)
            replace = box.addButton("Replace them", qt.QMessageBox.DestructiveRole)
            box.addButton(qt.QMessageBox.Cancel)
            box.exec_()
            if box.clickedButton() not in (keep, replace):
                return
            rerun = Rerun.KEEP if box.clickedButton() == keep else Rerun.REPLACE
        self.call_session("detect", rerun)

    def _merge(self):
        self.call_session("editor.merge", self.ui.mergeComboBox.currentData)

    def _open_tumour(self):
        self._pet.open_tumour()

    def _export(self):
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), "Folder for the nodes")
        if folder:
            self.call_session("export", Path(folder))


class LNTrackerTest(ScriptedLoadableModuleTest):
    """Adds a node to a simulated patient in Slicer's own scene, edits its boxes and undoes it."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_a_node_is_added_edited_and_undone()

    def test_a_node_is_added_edited_and_undone(self):
        if packages.lacks_required():
            self.delayDisplay("Skipped: the packages of oncotrack/resources/requirements.txt are not installed.")
            return
        from dataclasses import replace

        from oncotrack.phantom import make_patient
        from oncotrack.scene.nodes.volumes import add_volume

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
        slicer.mrmlScene.Clear()

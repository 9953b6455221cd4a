"""Slicer module Lesion Follow-Up: click a lesion in the baseline and see its match in the follow-up.

Its panel drives a `FollowUpScene` of `oncotrack.scene.followup.follow_up`. Packages that Slicer lacks are imported when
the module is entered, so that Slicer starts without them.
"""

import sys
from pathlib import Path
from typing import Annotated, ClassVar

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
from oncotrack.scene.commands import FINDINGS, RESPONSE, VIEW  # noqa: E402
from oncotrack.scene.files import packages  # noqa: E402
from OncoTrackPanel.description_section import DescriptionSection  # noqa: E402
from OncoTrackPanel.findings_table import FindingsTable  # noqa: E402
from OncoTrackPanel.panel_widget import PanelWidget  # noqa: E402
from OncoTrackPanel.parameter_nodes import wrapped  # noqa: E402
from OncoTrackPanel.response_section import ResponseSection  # noqa: E402
from OncoTrackPanel.sample_data import register_at_startup  # noqa: E402
from OncoTrackPanel.scan_question import ScanQuestion  # noqa: E402
from OncoTrackPanel.slicer_views import are_rows_shown, layout_node, renderer_of  # noqa: E402

BUTTONS = {
    "registerButton": "register",
    "placeButton": "place_lesion",
    "acceptButton": "accept",
    "rejectButton": "reject",
    "absentButton": "mark_absent",
    "removeButton": "remove_everywhere",
    "nextButton": "next",
    "previousButton": "previous",
    "againButton": "search_again",
    "missingButton": "find_all",
    "rematchButton": "search_all_again",
    "alternativeButton": "take_alternative",
    "probabilityButton": "show_probability",
    "addVisitButton": "add_visit",
    "throughButton": "find_in_every_visit",
    "allThroughButton": "find_all_in_every_visit",
    "onwardButton": "redo_from_visit",
    "measureButton": "measure_match",
    "measureAllButton": "measure_matches",
    "targetButton": "response_target",
    "goneButton": "response_gone",
    "newLesionButton": "response_new",
    "saveResponseButton": "response_save",
    "enlargeButton": "enlarge",
    "undoButton": "undo",
    "redoButton": "redo",
}
"""Name of each button in the .ui file, and of its command in `oncotrack.scene.commands`."""
CHECK_BOXES = {
    "mapCheckBox": "show_anatomy_map",
    "linkCheckBox": "link_views",
    "namesCheckBox": "hide_names",
    "textCheckBox": "hide_text",
}
"""The same for check boxes, which the .ui file binds to parameters."""
HANDLERS = {
    "accept": "accept",
    "reject": "reject",
    "enlarge": "enlarge",
    "place_lesion": "begin_placing",
    "remove_everywhere": "_remove",
    "take_alternative": "_take_alternative",
    "show_probability": "_toggle_probability",
    "add_visit": "_add_visit",
    "response_target": "_toggle_target",
    "response_gone": "_mark_gone",
    "response_new": "_add_new_lesion",
    "response_save": "_save_response",
}
"""Name of a command, and of the widget's method that runs it; other commands call the session."""


class LesionFollowUp(ScriptedLoadableModule):
    """The module's entry in Slicer's module list."""

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
            '<p><a href="https://github.com/OncoTrack/SlicerOncoTrack/blob/main/docs/tutorial.md">Tutorial</a>, '
            '<a href="https://github.com/OncoTrack/SlicerOncoTrack">the project\'s page</a>.</p>'
        )
        parent.acknowledgementText = (
            "Registration by elastix (Klein et al., 2010); self-similarity descriptors after MIND (Heinrich et al., "
            "2012); the anatomy map after Deep Lesion Tracker (Cai et al., 2021)."
        )
        register_at_startup(parent.title, _HERE / "Resources" / "Icons" / "LesionFollowUp.png")
        slicer.app.connect("startupCompleted()", self._register_layout)

    def _register_layout(self):
        from oncotrack.scene.views.layout import register_rows

        if (node := layout_node()) is not None:
            register_rows(node)


@parameterNodeWrapper
class LesionFollowUpParameters:
    """The panel's parameters, stored in the scene."""

    baseline: slicer.vtkMRMLScalarVolumeNode
    followup: slicer.vtkMRMLScalarVolumeNode
    radius_mm: Annotated[float, WithinRange(1.0, 100.0)] = 10.0
    shown: Annotated[str, Choice(list(choices.MATCH_STATES))] = choices.MATCH_STATES[0]
    is_map_shown: bool = False
    are_views_linked: bool = True
    are_names_hidden: bool = False
    is_text_hidden: bool = False


class LesionFollowUpLogic(ScriptedLoadableModuleLogic):
    """Provides the widget's parameters and its session."""

    def getParameterNode(self):
        return wrapped(LesionFollowUpParameters, super().getParameterNode())

    def new_session(self):
        """Return the follow-up session of Slicer's scene, with the methods that can be used; needs the packages."""
        from oncotrack.scene.files.packages import trackers
        from oncotrack.scene.followup.follow_up import FollowUpScene

        return FollowUpScene(slicer.mrmlScene, trackers=trackers())


class LesionFollowUpWidget(PanelWidget):
    """The module's panel; see `PanelWidget`."""

    logic_class = LesionFollowUpLogic
    tools, buttons = (FINDINGS, RESPONSE, VIEW), BUTTONS
    handlers = HANDLERS
    archive_roles: ClassVar = {"baseline": "Baseline", "followup": "Follow-up", "visit": "Additional visit"}
    placing_hint = "Click a lesion in the baseline."
    needs = packages.FOLLOW_UP

    def __init__(self, parent=None):
        self._visit_lines = []
        self._question = self._text = self._response = self._description = self._layout_before = None
        super().__init__(parent)

    def enter(self):
        super().enter()
        if self._layout_before is not None:
            self._show_layout()

    def exit(self):
        super().exit()
        if are_rows_shown():
            self._layout_before = self._layout_before or slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
            layout_node().SetViewArrangement(self._layout_before)
        else:
            self._layout_before = None  # the reader chose another layout, which stays

    def connect_panel(self):
        self._question = ScanQuestion(self)
        self._response = ResponseSection(
            self,
            self.ui.responseTable,
            self.ui.criteriaComboBox,
            self.ui.roleComboBox,
            self.ui.judgementComboBox,
            self.ui.relationComboBox,
            self.ui.responseBrowser,
        )
        self._description = DescriptionSection(self)
        self.ui.searchLineEdit.connect("textChanged(QString)", lambda _words: self._on_search())
        self.ui.confirmButton.connect("clicked()", self._question.confirm)
        self.ui.declineButton.connect("clicked()", self._question.decline)
        self.table = FindingsTable(self, self.ui.lesionTable, choices.LESION_COLUMNS, choices.LESION_COLUMNS[1:])
        for name, command in CHECK_BOXES.items():
            self.show_command(getattr(self.ui, name), command)
        self.ui.methodComboBox.connect("activated(int)", self._on_method_chosen)
        self.ui.visitTable.connect("cellClicked(int,int)", self._on_visit_chosen)
        self.ui.visitTable.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
        self.ui.visitTable.verticalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        self.ui.visitTable.horizontalHeader().connect(
            "sectionClicked(int)", lambda visit: self.call_session("show_visit", visit)
        )
        self.ui.layoutButton.connect("clicked()", self._show_layout)

    def connect_session(self):
        from oncotrack.scene.followup.panel import visit_names
        from oncotrack.scene.views.corner_text import CornerText

        if self._text:
            self._text.close()
        self._text = CornerText(lambda: visit_names(self.session))
        self.session.placed.connect(self._on_placed)
        self.session.submit = self.submit
        self._response.open()
        self._description.open()
        self.ui.methodComboBox.clear()
        for name in self.session.method.names:
            self.ui.methodComboBox.addItem(self.session.method.about(name).title)
        self.ui.layoutButton.enabled = True
        self._show_layout()

    def show_parameters(self):
        session, parameters = self.session, self.parameters
        chosen = parameters.baseline, parameters.followup
        if not self._question.asks_patient() and chosen != (session.baseline, session.followup):
            self.call_session("set_scans", *chosen)
            session.questions.forget_others()
            self.fit_views()
        self._text.choose(hides_names=parameters.are_names_hidden, hides_text=parameters.is_text_hidden)
        session.overlays.is_map_shown = parameters.is_map_shown
        session.linking.is_enabled = parameters.are_views_linked
        self._show_lesions()

    def show_session(self):
        from oncotrack.scene.followup import panel

        session = self.session
        if session.baseline or session.followup:
            with slicer.util.NodeModify(self.parameters):
                if self.parameters.baseline != session.baseline:
                    self.parameters.baseline = session.baseline
                if self.parameters.followup != session.followup:
                    self.parameters.followup = session.followup
        own = panel.own_volumes(session)
        for selector in (self.ui.baselineSelector, self.ui.followupSelector):
            selector.sortFilterProxyModel().hiddenNodeIDs = own
        visits = [volume.GetID() for volume in session.visits]
        self.ui.visitSelector.sortFilterProxyModel().hiddenNodeIDs = own + visits
        self.ui.methodComboBox.setCurrentIndex(session.method.names.index(session.method.name))
        self.ui.methodNoteLabel.text = panel.method_tip(session)
        self.ui.linkLabel.text = panel.link_text(session)
        if session.registration is not None:
            self.fold_once("scansCollapsibleButton")
        self._show_lesions()
        self._show_visits()
        self._response.show()
        self._description.show()
        self._text.update()
        self._question.asks_patient()
        self.ui.alternativeComboBox.clear()
        self.ui.alternativeComboBox.addItems(panel.alternatives(session))
        self.ui.alternativeComboBox.enabled = "take_alternative" in self.possible_methods()
        self.ui.probabilityButton.checked = session.overlays.is_probability_shown
        if session.overlays.is_probability_shown:
            self.parameters.is_map_shown = False  # one map at a time

    def possible_methods(self):
        from oncotrack.scene.followup.panel import possible_methods

        hides_map = {"map_probability"} if self.session.overlays.is_probability_shown else set()
        return possible_methods(self.session) | self._response.possible_methods() | hides_map | {"set_visits"}

    def leave_session(self):
        self.session.leave()

    def fit_views(self):
        with self.session.linking.paused():
            super().fit_views()

    def use_scan(self, volume):
        if self.parameters.baseline is None:
            self.parameters.baseline = volume
        elif self.parameters.followup is None:
            self.parameters.followup = volume  # a later one waits in the lists of scans

    def use_retrieved(self, role, volume):
        if role == "visit":
            self._question.add_visit(volume)
        else:
            setattr(self.parameters, role, volume)

    def outcome_text(self, outcome):
        from oncotrack.scene.followup.panel import match_text

        if isinstance(outcome, str):  # the name of a loaded method, which is described beside it
            return ""
        if outcome is self.session.registration:
            return "The rows are linked now."
        return match_text(self.session)

    # from the panel to the session

    def _on_placed(self, at):
        self.call_session("follow", at, self.parameters.radius_mm if self.parameters else 10.0)

    def _on_method_chosen(self, index):
        self.call_session("choose_method", self.session.method.names[index])

    def _toggle_probability(self):
        if self.session.overlays.is_probability_shown:
            self.session.overlays.hide_probability()
        else:
            self.call_session("map_probability")
        self.ui.probabilityButton.checked = self.session.overlays.is_probability_shown  # until the map is computed

    def _add_visit(self):
        volume = self.ui.visitSelector.currentNode()
        if volume and volume not in self.session.visits:
            self._question.add_visit(volume)

    def _on_visit_chosen(self, row, column):
        if 0 <= row < len(self._visit_lines):
            self.call_session("go_to", self._visit_lines[row].uid)
            self.call_session("show_visit", column)

    def _on_search(self):
        if self.session and self.parameters:
            self._show_lesions()

    def _remove(self):
        chosen = self.table.several()
        if chosen:
            self.call_session("remove_several", chosen)
        else:
            self.call_session("remove_everywhere")

    def _take_alternative(self):
        self.call_session("take_alternative", self.ui.alternativeComboBox.currentIndex)

    def _toggle_target(self):
        self._response.call("toggle_target")

    def _mark_gone(self):
        self._response.call("mark_gone")

    def _add_new_lesion(self):
        self._response.add_new()

    def _save_response(self):
        self._response.save()

    # from the session to the panel

    def _show_lesions(self):
        from oncotrack.scene.followup.panel import lines

        self.table.show(lines(self.session, self.parameters.shown, self.ui.searchLineEdit.text))

    def _show_visits(self):
        from oncotrack.scene.followup.panel import visit_table

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

    def cleanup(self):
        if self._text:
            self._text.close()
            self._text = None
        super().cleanup()

    def _show_layout(self):
        from oncotrack.scene.views.layout import show_rows

        node = layout_node()
        if node is None:
            return
        if not are_rows_shown():
            self._layout_before = show_rows(node)
        self.session.overlays.show_scans()
        for row in (self.session.baseline_row, self.session.followup_row):
            for name in row.names:
                widget = slicer.app.layoutManager().sliceWidget(name)
                policy = widget.sliceController().sizePolicy
                policy.setHorizontalPolicy(qt.QSizePolicy.Ignored)  # else three bars are the window's least width
                widget.sliceController().setSizePolicy(policy)
                self._text.attach(widget.mrmlSliceNode(), renderer_of(widget))


class LesionFollowUpTest(ScriptedLoadableModuleTest):
    """Follows one lesion of a simulated patient in Slicer's own scene."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_a_lesion_is_followed_and_undone()

    def test_a_lesion_is_followed_and_undone(self):
        if packages.lacks_required():
            self.delayDisplay("Skipped: the packages of oncotrack/resources/requirements.txt are not installed.")
            return
        from dataclasses import replace

        import numpy as np

        from oncotrack.phantom import make_patient
        from oncotrack.scene.nodes.volumes import add_volume

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
        slicer.mrmlScene.Clear()

"""Slicer module RECIST Pseudo-Mask: draw two diameters on a lesion to get its mask, or measure diameters on a mask.

Its panel drives a `RecistScene` of `oncotrack.scene.masks.recist`.
"""

import sys
from pathlib import Path
from typing import Annotated

import qt
import slicer
from slicer.parameterNodeWrapper import Choice, parameterNodeWrapper
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
from oncotrack.scene.commands import MASKS  # noqa: E402
from oncotrack.scene.files import packages  # noqa: E402
from OncoTrackPanel.findings_table import FindingsTable  # noqa: E402
from OncoTrackPanel.panel_widget import PanelWidget  # noqa: E402
from OncoTrackPanel.parameter_nodes import wrapped  # noqa: E402
from OncoTrackPanel.sample_data import register_at_startup  # noqa: E402

BUTTONS = {
    "drawButton": "draw_axes",
    "cancelDrawingButton": "cancel_drawing",
    "suggestButton": "suggest",
    "rebuildButton": "rebuild",
    "perpendicularButton": "make_perpendicular",
    "extendButton": "extend_to_3d",
    "addDiametersButton": "add_diameters",
    "remeasureButton": "remeasure",
    "removeMaskButton": "remove_mask",
    "paintButton": "paint",
    "acceptButton": "accept",
    "rejectButton": "reject",
    "removeButton": "remove_from_scan",
    "nextButton": "next",
    "previousButton": "previous",
    "enlargeButton": "enlarge",
    "undoButton": "undo",
    "redoButton": "redo",
    "tableButton": "measure_table",
    "importButton": "import_masks",
    "exportButton": "export_masks",
}
"""Name of each button in the .ui file, and of its command in `oncotrack.scene.commands`."""
HANDLERS = {
    "accept": "accept",
    "reject": "reject",
    "enlarge": "enlarge",
    "measure_table": "_measure_table",
    "import_masks": "_import_masks",
    "export_masks": "_export",
    "paint": "_paint",
}
"""Name of a command, and of the widget's method that runs it; other commands call the session."""


class RECISTPseudoMask(ScriptedLoadableModule):
    """The module's entry in Slicer's module list."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = "RECIST Pseudo-Mask"
        parent.categories = ["Oncology"]
        parent.dependencies = []
        parent.contributors = ["OncoTrack contributors"]
        parent.helpText = (
            "Press Draw diameters and click both ends of a lesion's two diameters in any slice view, in either order: its "
            "mask is drawn at once and follows while an end is dragged. Extend it to 3D, paint in it with the Segment "
            "Editor, accept or reject it; a painted mask is measured again. The button Suggest diameters and mask does this "
            "for a finding of the other modules. Every edit can be undone and is saved with the scene."
            "<p><b>For research use only. Not a medical device.</b></p>"
            '<p><a href="https://github.com/OncoTrack/SlicerOncoTrack/blob/main/docs/tutorial.md">Tutorial</a>, '
            '<a href="https://github.com/OncoTrack/SlicerOncoTrack">the project\'s page</a>.</p>'
        )
        parent.acknowledgementText = (
            "Pseudo-masks follow S. Wang et al. (Medical Image Analysis, 2022), by GrabCut (Rother et al., 2004); "
            "diameters are measured after RECIST 1.1 (Eisenhauer et al., 2009)."
        )
        register_at_startup(parent.title, _HERE / "Resources" / "Icons" / "RECISTPseudoMask.png", scans=1)


@parameterNodeWrapper
class RECISTPseudoMaskParameters:
    """The panel's parameters, stored in the scene."""

    scan: slicer.vtkMRMLScalarVolumeNode
    kind: Annotated[str, Choice(list(choices.KINDS))] = choices.KINDS[1]
    is_square: bool = False


class RECISTPseudoMaskLogic(ScriptedLoadableModuleLogic):
    """Provides the widget's parameters and its session."""

    def getParameterNode(self):
        return wrapped(RECISTPseudoMaskParameters, super().getParameterNode())

    def new_session(self, **options):
        """Return the masks session of Slicer's scene; `options` as for RecistScene. Needs the packages."""
        from oncotrack.scene.masks.recist import RecistScene

        return RecistScene(slicer.mrmlScene, later=lambda function: qt.QTimer.singleShot(0, function), **options)


class RECISTPseudoMaskWidget(PanelWidget):
    """The module's panel; see `PanelWidget`."""

    logic_class = RECISTPseudoMaskLogic
    tools, buttons = (MASKS,), BUTTONS
    handlers = HANDLERS
    needs = packages.MASKS

    def connect_panel(self):
        self.table = FindingsTable(self, self.ui.maskTable, choices.MASK_COLUMNS, ["Mask"])

    def new_session(self):
        return self.logic.new_session(submit=self.submit)

    def connect_session(self):
        self.session.warned.connect(self.show_message)

    def show_parameters(self):
        from oncotrack.findings.finding import Kind

        session, parameters = self.session, self.parameters
        if parameters.scan is not session.scan:
            self.call_session("set_scan", parameters.scan)
        self.show_scan(parameters.scan)
        session.kind, session.is_square = Kind(parameters.kind), parameters.is_square

    def show_session(self):
        from oncotrack.scene.masks import panel as recist_panel

        session = self.session
        if session.scan and self.parameters.scan != session.scan:
            self.parameters.scan = session.scan
        if session.current:
            self.fold_once("scanCollapsibleButton")
        self.table.show(recist_panel.lines(session))
        self.ui.summaryLabel.text = recist_panel.summary(session)
        self.ui.measureLabel.text = recist_panel.measurement_text(session)
        self.ui.hintLabel.text = session.hint

    def possible_methods(self):
        from oncotrack.scene.masks.panel import possible_methods

        return possible_methods(self.session)

    def use_scan(self, volume):
        self.parameters.scan = volume

    def outcome_text(self, outcome):
        from oncotrack.scene.masks.panel import outcome_text

        return outcome_text(self.session, outcome)

    # files and painting

    def _measure_table(self):
        kinds = "Tables of diameters, lines of Slicer (*.csv *.tsv *.txt *.json *.fcsv)"
        paths = qt.QFileDialog.getOpenFileNames(slicer.util.mainWindow(), "Table of diameters", "", kinds)
        if paths:
            self.call_session("measure_table", *map(Path, paths))

    def _import_masks(self):
        kinds = "Segmentations (*.nrrd *.nii *.nii.gz *.mha)"
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), "Segmentation", "", kinds)
        if path:
            self.call_session("import_masks", Path(path))

    def _export(self):
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), "Folder for the masks")
        if folder:
            self.call_session("export", Path(folder))

    def _paint(self):
        """Open the current mask in the Segment Editor; the mask is measured again after each stroke."""
        segmentation, scan, uid = self.session.segmentation, self.session.scan, self.session.current.uid
        slicer.util.selectModule("SegmentEditor")
        editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
        editor.setSegmentationNode(segmentation)
        editor.setSourceVolumeNode(scan)
        editor.setCurrentSegmentID(uid)


class RECISTPseudoMaskTest(ScriptedLoadableModuleTest):
    """Measures a lesion of a simulated patient in Slicer's own scene and undoes it."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_axes_become_a_mask_that_is_extended_to_3d_and_undone()

    def test_axes_become_a_mask_that_is_extended_to_3d_and_undone(self):
        if packages.lacks_required():
            self.delayDisplay("Skipped: the packages of oncotrack/resources/requirements.txt are not installed.")
            return
        from oncotrack.findings.finding import Observation
        from oncotrack.phantom import make_patient
        from oncotrack.scene.nodes.volumes import add_volume

        visit = make_patient(1, visits=1, size=(96, 96, 60)).visits[0]
        lesion = max(visit.truth.instances, key=lambda instance: instance.volume_mm3)
        session = RECISTPseudoMaskLogic().new_session()
        session.set_scan(add_volume(slicer.mrmlScene, visit.image))
        axes = {"long_axis": lesion.long_axis, "short_axis": lesion.short_axis}
        session.nodes.select(session.add(Observation(centre=lesion.centre, **axes)).uid)
        session.rebuild()
        self.assertIsNotNone(session.segmentation.GetSegmentation().GetSegment(session.current.uid))
        session.extend_to_3d().run()
        self.assertGreater(min(session.observation.mask.geometry.size), 1)
        session.undo()
        session.undo()
        self.assertIsNone(session.observation.mask)
        session.close()
        slicer.mrmlScene.Clear()

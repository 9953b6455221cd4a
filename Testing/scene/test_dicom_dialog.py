"""The dialog "DICOM and archive" of Slicer's panels, with real widgets off screen, real MRML and a real archive."""

from __future__ import annotations

import json
import os
import sys
import time
import types
from dataclasses import replace

import pydicom
import pytest
from dicom_visits import write_visits

from oncotrack.background.dispatcher import TimerDispatcher
from oncotrack.bench import orthanc as peer
from oncotrack.dicom_objects.export import export, save
from oncotrack.findings.finding_list import FindingList
from oncotrack.scene.followup.follow_up import FollowUpScene
from oncotrack.scene.nodes.volumes import add_volume

pytest.importorskip(
    "PySide6.QtWidgets", exc_type=ImportError, reason="PySide6 or one of its system libraries is not installed"
)
pytest.importorskip("highdicom")
from pythonqt import QtCore, QtWidgets, qt

ROLES = {"baseline": "Baseline", "followup": "Follow-up", "visit": "Additional visit"}


@pytest.fixture(scope="module")
def visits(tmp_path_factory):
    return write_visits(tmp_path_factory.mktemp("visits"))


@pytest.fixture
def desktop(monkeypatch, scene, tmp_path):
    """Give the panels what Slicer gives them: Qt's application, the scene, and the reader's settings."""
    import slicer
    import slicer.util

    application = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
    settings = QtCore.QSettings(str(tmp_path / "slicer.ini"), QtCore.QSettings.Format.IniFormat)
    app = types.SimpleNamespace(
        style=application.style, userSettings=lambda: settings, defaultScenePath=str(tmp_path / "documents")
    )
    base = types.ModuleType("slicer.ScriptedLoadableModule")
    base.ScriptedLoadableModuleWidget = type("Widget", (), {"__init__": lambda self, parent=None: None})
    monkeypatch.setitem(sys.modules, "qt", qt)
    monkeypatch.setitem(sys.modules, "slicer.ScriptedLoadableModule", base)
    monkeypatch.setattr(slicer, "app", app, raising=False)
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: None)
    monkeypatch.setenv("ONCOTRACK_CONFIG", str(tmp_path / "config"))
    for name in [name for name in sys.modules if name.startswith("OncoTrackPanel.")]:
        monkeypatch.delitem(sys.modules, name)
    yield application
    for name in [name for name in sys.modules if name.startswith("OncoTrackPanel.")]:
        sys.modules.pop(name)  # they hold this test's Qt


@pytest.fixture
def panel(desktop, scene):
    """Return a panel with the session of Lesion Follow-Up, without its own widgets."""
    from OncoTrackPanel.panel_widget import PanelWidget

    class Panel(PanelWidget):
        archive_roles = ROLES

        def use_retrieved(self, role, volume):
            chosen = {"baseline": self.session.baseline, "followup": self.session.followup, role: volume}
            self.session.set_scans(chosen["baseline"], chosen["followup"])

    made = Panel()
    made.session = FollowUpScene(scene)
    timer = qt.QTimer()
    timer.setInterval(TimerDispatcher.TICK_MS)
    made.pump = TimerDispatcher(timer, lambda: made.messages.show_busy(False))
    timer.connect("timeout()", made.pump.tick)
    made.session.changed.connect(lambda: made._dialog and made._dialog.show())
    yield made
    if made._dialog:
        made._dialog.close()
    made.pump.close()
    made.session.close()


class Reader:
    """Presses the dialog's buttons and waits for its work."""

    def __init__(self, desktop, panel):
        panel._open_dialog()
        self.desktop, self.panel, self.ui = desktop, panel, panel._dialog._ui

    @property
    def message(self) -> str:
        return self.ui.messageLabel.text

    def press(self, name: str) -> None:
        assert getattr(self.ui, name).enabled, f"{name} cannot be pressed"
        getattr(self.ui, name).click()
        self.wait()

    def wait(self) -> None:
        until = time.monotonic() + 60
        while True:
            self.desktop.processEvents()
            if not self.panel.pump.worker.is_busy and not self.panel.pump._timer.isActive():
                self.desktop.processEvents()  # what was put off for a moment
                if not self.panel.pump.worker.is_busy:
                    return
            assert time.monotonic() < until, "the work does not end"
            time.sleep(0.002)

    def series(self) -> list:
        """Return the lines of the series, from the top of the list."""
        tree = self.ui.studyTree
        studies = [tree.topLevelItem(row) for row in range(tree.topLevelItemCount)]
        return [study.child(row) for study in studies for row in range(study.childCount())]

    def open_as(self, line, role: str) -> None:
        self.ui.studyTree.setCurrentItem(line)
        for button in self.ui.rolesWidget.findChildren(QtWidgets.QPushButton):
            if button.text == ROLES[role]:
                button.click()
        assert line.text(1) == ROLES[role]


def show(panel, visits) -> None:
    """Open both visits."""
    panel.session.set_scans(*(add_volume(panel.session.scene, volume) for volume in visits.volumes))


def as_of_scene(panel, findings) -> FindingList:
    """Return findings with the time points of the panel's scans."""
    points = [
        replace(mine, label=theirs.label)
        for mine, theirs in zip(panel.session.time_points, findings.time_points, strict=True)
    ]
    return FindingList(points, findings.findings)


def test_findings_are_written_and_read_again(desktop, panel, visits, monkeypatch, tmp_path):
    show(panel, visits)
    reader = Reader(desktop, panel)
    assert not reader.ui.exportButton.enabled, "there are no findings yet"
    panel.session.findings.load_json(as_of_scene(panel, visits.findings).to_json())
    reader.ui.folderButton.directory = str(tmp_path / "chosen")
    reader.press("exportButton")
    written = sorted((tmp_path / "chosen" / "dicom").glob("*.dcm"))
    assert reader.message.startswith(f"Wrote {len(written)} DICOM files into {tmp_path / 'chosen' / 'dicom'}.")
    before = {finding.uid: finding for finding in panel.session.findings}
    panel.session.findings.load_json(FindingList(panel.session.time_points).to_json())
    assert not reader.ui.exportButton.enabled
    monkeypatch.setattr(QtWidgets.QFileDialog, "getOpenFileNames", lambda *_: [str(path) for path in written])
    reader.press("importButton")
    assert reader.message == f"{len(before)} findings read from the files."
    for finding in panel.session.findings:
        seen, old = finding.at(panel.session.baseline_id), before[finding.uid].at(panel.session.baseline_id)
        assert finding.label == before[finding.uid].label and seen.mask.is_same(old.mask)
    panel.session.findings.undo()
    assert len(panel.session.findings) == 0, "reading is one step of undo"
    assert panel._dialog.folder == tmp_path / "chosen", "the folder is kept for the next time"


def test_what_is_wrong_is_said_in_the_dialog(desktop, panel, make_phantom):
    reader = Reader(desktop, panel)
    ui = reader.ui
    assert ui.noArchiveLabel.isVisible() and ui.noArchiveLabel.text.startswith("No archive is set up")
    assert not any(getattr(ui, name).enabled for name in ("searchButton", "loadButton", "sendButton", "exportButton"))
    panel.session.set_scans(add_volume(panel.session.scene, make_phantom()), None)
    panel._dialog._import([], "nothing")
    reader.wait()
    assert "no open scan comes from DICOM" in reader.message and ui.messageIcon.isVisible()


def test_the_dialog_fits_the_screen(desktop, panel):
    """At 1366 x 768, beside Slicer's views."""
    size = Reader(desktop, panel).panel._dialog._dialog.minimumSizeHint()
    assert size.width() <= 480 and size.height() <= 700, size


def set_up(orthanc, tmp_path, monkeypatch, **changes):
    monkeypatch.setenv("ONCOTRACK_PACS_CLINIC_PASSWORD", peer.PASSWORD)
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in orthanc.settings(**changes).items())
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "archives.toml").write_text(f"[clinic]\n{lines}\n")


def test_a_patient_comes_from_the_archive_and_the_results_go_back(
    desktop, panel, visits, orthanc, tmp_path, monkeypatch
):
    orthanc.clear()
    for folder in visits.folders:
        orthanc.upload(folder)
    written = export(visits.findings.time_points, visits.findings.findings, visits.scans)
    save(written.objects, tmp_path / "objects")
    orthanc.upload(tmp_path / "objects")
    set_up(orthanc, tmp_path, monkeypatch)
    reader = Reader(desktop, panel)
    reader.press("searchButton")
    assert reader.message == "Nothing to search for: type a patient ID or a name."
    reader.ui.patientLineEdit.text = "P2"
    reader.press("searchButton")
    assert reader.message == "No study matches."
    reader.ui.patientLineEdit.text = "P1"
    reader.press("searchButton")
    later, earlier = reader.series()
    assert "12 images" in earlier.text(0) and earlier.parent().text(0).startswith("2025-01-01")
    assert not reader.ui.loadButton.enabled
    reader.open_as(earlier, "baseline")
    reader.open_as(later, "followup")
    if folder := os.environ.get("ONCOTRACK_SCREENSHOTS"):
        panel._dialog._dialog.grab().save(f"{folder}/dicom-dialog.png")
    reader.press("loadButton")
    session = panel.session
    assert [point.date for point in session.time_points] == ["20250101", "20250305"]
    assert reader.message == f"{len(visits.findings)} findings read from the archive."
    assert {finding.uid for finding in session.findings} == {finding.uid for finding in visits.findings}
    session.findings.update(next(iter(session.findings)).uid, label="Renamed")
    before = set(orthanc.instances())
    reader.press("sendButton")
    assert "DICOM objects sent to clinic." in reader.message
    new = set(orthanc.instances()) - before
    objects = [pydicom.dcmread(path) for path in (tmp_path / "documents" / "OncoTrack" / "dicom").glob("*.dcm")]
    assert new == {each.SOPInstanceUID for each in objects}
    reports = [each for each in objects if each.Modality == "SR"]
    assert reports and all("PredecessorDocumentsSequence" in each for each in reports)
    assert not list(tmp_path.rglob(".oncotrack-*"))


def test_a_retrieve_is_cancelled_from_the_dialog(desktop, panel, visits, orthanc, tmp_path, monkeypatch):
    orthanc.clear()
    orthanc.upload(visits.folders[0])
    set_up(orthanc, tmp_path, monkeypatch)
    reader = Reader(desktop, panel)
    reader.ui.nameLineEdit.text = "Doe*"
    reader.press("searchButton")
    reader.open_as(reader.series()[0], "baseline")
    reader.ui.loadButton.click()
    assert reader.ui.progressBar.isVisible() and reader.ui.cancelButton.isVisible()
    reader.ui.cancelButton.click()
    reader.wait()
    assert reader.message == "Cancelled; nothing was changed." and panel.session.baseline is None
    assert not reader.ui.progressBar.isVisible()
    assert not list((tmp_path / "documents").rglob("*.dcm"))


def test_without_its_packages_the_dialog_gives_the_reason_and_offers_nothing(desktop, panel, visits, monkeypatch):
    show(panel, visits)
    panel.session.findings.load_json(as_of_scene(panel, visits.findings).to_json())
    monkeypatch.setattr("oncotrack.packages.missing", lambda _needed: ["highdicom>=0.28"])
    reader = Reader(desktop, panel)
    assert "need more Python packages: highdicom>=0.28. Press Install packages." in reader.message
    assert reader.ui.installButton.isVisible()
    assert not reader.ui.exportButton.enabled and not reader.ui.importButton.enabled

"""Lesion Follow-Up's section Description and its list, with real widgets off screen and real MRML."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from oncotrack.findings.finding import Kind, Observation, Side, State
from oncotrack.scene.choices import LESION_COLUMNS
from oncotrack.scene.followup import panel as panel_text

pytest.importorskip(
    "PySide6.QtWidgets", exc_type=ImportError, reason="PySide6 or one of its system libraries is not installed"
)
from pythonqt import QtCore, QtWidgets, qt

UI = Path(__file__).resolve().parents[2] / "LesionFollowUp" / "Resources" / "UI" / "LesionFollowUp.ui"


@pytest.fixture
def widgets(monkeypatch):
    """Return the widgets of Lesion Follow-Up's panel by their names."""
    QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
    base = types.ModuleType("slicer.ScriptedLoadableModule")
    base.ScriptedLoadableModuleWidget = type("Widget", (), {"__init__": lambda self, parent=None: None})
    monkeypatch.setitem(sys.modules, "qt", qt)
    monkeypatch.setitem(sys.modules, "slicer.ScriptedLoadableModule", base)
    file = QtCore.QFile(str(UI))
    assert file.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
    loaded = qt.QUiLoader().load(file)
    for name in [name for name in sys.modules if name.startswith("OncoTrackPanel.")]:
        monkeypatch.delitem(sys.modules, name)
    yield types.SimpleNamespace(**{each.objectName(): each for each in loaded.findChildren(QtWidgets.QWidget)})
    for name in [name for name in sys.modules if name.startswith("OncoTrackPanel.")]:
        sys.modules.pop(name)  # they hold this test's Qt


@pytest.fixture
def marked(session):
    """Return a session with three lesions in both scans, the first of which is the current one."""
    session.name_time_points()
    for number in range(3):
        at = (20.0 * number, 0.0, 0.0)
        finding = session.findings.add(session.baseline_id, Observation(centre=at, state=State.ACCEPTED))
        session.findings.observe(finding.uid, session.followup_id, Observation(centre=at, state=State.PROPOSED))
    session.nodes.select(session.findings.findings[0].uid)
    return session


def test_what_the_reader_says_is_kept_in_one_step_of_undo_each(marked, widgets):
    from OncoTrackPanel.description_section import DescriptionSection

    errors = []
    section = DescriptionSection(types.SimpleNamespace(ui=widgets, session=marked, show_error=errors.append))
    section.open()
    section.show()
    widgets.readerLineEdit.text = "A. Reader"
    widgets.readerLineEdit.editingFinished.emit()
    widgets.kindComboBox.activated.emit(list(Kind).index(Kind.LYMPH_NODE))
    widgets.sideComboBox.activated.emit(list(Side).index(Side.LEFT))
    for field, words in ((widgets.siteLineEdit, "hilar lymph node"), (widgets.commentLineEdit, "seen before")):
        field.text = words
        field.editingFinished.emit()
        field.editingFinished.emit()  # leaving the field without a change
    known = marked.current
    assert (known.kind, known.side, known.site, known.comment, known.reader) == (
        Kind.LYMPH_NODE, Side.LEFT, "hilar lymph node", "seen before", "A. Reader",
    )  # fmt: skip
    assert not errors
    marked.undo()
    section.show()
    assert (marked.current.comment, widgets.commentLineEdit.text) == ("", "")
    assert (marked.current.site, widgets.siteLineEdit.text) == ("hilar lymph node", "hilar lymph node")


def test_the_list_is_searched_by_name_state_and_description(marked):
    marked.describe(comment="beside the aorta")
    assert len(panel_text.lines(marked)) == 3
    assert [line.cells[0] for line in panel_text.lines(marked, search=" Aorta ")] == ["L 1"]
    assert [line.cells[0] for line in panel_text.lines(marked, search="l 2")] == ["L 2"]
    assert not panel_text.lines(marked, "accepted", "l 2")


def test_several_rows_stay_chosen_while_the_session_changes(marked, widgets):
    from OncoTrackPanel.findings_table import FindingsTable

    panel = types.SimpleNamespace(session=marked, call_session=lambda name, uid: getattr(marked, name)(uid))
    shown = FindingsTable(panel, widgets.lesionTable, LESION_COLUMNS, LESION_COLUMNS[1:])
    table = shown.widget
    shown.show(panel_text.lines(marked))
    assert shown.chosen_rows() == [0]
    model = table.selectionModel()
    model.select(table.model().index(2, 0), model.SelectionFlag.Select | model.SelectionFlag.Rows)
    shown.show(panel_text.lines(marked))
    assert shown.chosen_rows() == [0, 2]
    marked.decide_several([panel_text.lines(marked)[row].uid for row in shown.chosen_rows()], State.REJECTED)
    assert [finding.at(marked.followup_id).state.value for finding in marked.findings] == [
        "rejected",
        "proposed",
        "rejected",
    ]
    marked.undo()
    shown.show(panel_text.lines(marked, search="l 3"))
    assert shown.chosen_rows() == [], "the row stands for another lesion now"
    assert all(finding.at(marked.followup_id).is_proposal for finding in marked.findings)

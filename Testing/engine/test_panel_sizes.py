"""The panels of the Slicer modules fit the screen: nothing that a reader needs for the current finding lies below its edge.

Qt loads the .ui files off screen; CTK's and Slicer's own widgets are replaced by Qt's of about the same size.
"""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
QtWidgets = pytest.importorskip(
    "PySide6.QtWidgets", exc_type=ImportError, reason="PySide6 or one of its system libraries is not installed"
)
from PySide6.QtCore import QFile, QIODevice, QPoint, Qt  # noqa: E402
from PySide6.QtUiTools import QUiLoader  # noqa: E402

from oncotrack.scene import commands  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[2]
WIDEST = 480
"""Pixels; Slicer's own modules need 394 to 456."""
HEIGHT = {(1366, 768): 768 - 372, (1600, 1000): 1000 - 372}
"""Height of a panel by the size of the screen: Slicer's window less its bars, the module's title and help, the Data Probe."""
HEADER = 26
"""Height of a section that is folded."""
NEEDED = {
    "LesionFollowUp": ("lesionsCollapsibleButton", ["acceptButton", "rejectButton", "absentButton", "removeButton", "undoButton",
                                                    "redoButton", "alternativeButton", "againButton", "nextButton"]),
    "LNTracker": ("nodesCollapsibleButton", ["acceptButton", "rejectButton", "removeButton", "nextButton", "undoButton",
                                             "redoButton", "nodeTable"]),
    "RECISTPseudoMask": ("findingsCollapsibleButton", ["drawButton", "acceptButton", "rejectButton", "removeButton", "undoButton",
                                                       "redoButton", "maskTable"]),
}  # fmt: skip
"""The section of the current finding in each module, and the widgets that must be in sight with it."""


class Loader(QUiLoader):
    """Loads a .ui file with Qt's widgets in the place of others."""

    def createWidget(self, kind, parent=None, name=""):
        made = {
            "ctkCollapsibleButton": QtWidgets.QGroupBox,
            "qMRMLWidget": QtWidgets.QWidget,
            "qMRMLNodeComboBox": QtWidgets.QComboBox,
            "ctkSliderWidget": QtWidgets.QSlider,
        }.get(kind)
        if made is None:
            return super().createWidget(kind, parent, name)
        widget = made(parent)
        widget.setObjectName(name)
        if made is QtWidgets.QSlider:
            widget.setOrientation(Qt.Orientation.Horizontal)
        return widget


@pytest.fixture(scope="module")
def application():
    return QtWidgets.QApplication.instance() or QtWidgets.QApplication([])


@pytest.fixture(params=NEEDED)
def panel(request, application):
    """Return the module's name and its panel as a reader sees it: buttons have their text, closed questions are hidden."""
    name = request.param
    file = QFile(str(REPOSITORY / name / "Resources" / "UI" / f"{name}.ui"))
    assert file.open(QIODevice.OpenModeFlag.ReadOnly)
    widget = Loader().load(file)
    for button, command in offered(name).items():
        widget.findChild(QtWidgets.QWidget, button).setText(titles()[command])
    for hidden in ("questionWidget", "installButton", "progressBar", "cancelButton"):
        if found := widget.findChild(QtWidgets.QWidget, hidden):
            found.hide()
    for section in widget.findChildren(QtWidgets.QGroupBox):
        section.setTitle(section.objectName())
    yield name, widget
    widget.deleteLater()


def offered(name: str) -> dict[str, str]:
    """Return the commands of a module's buttons and check boxes."""
    tree = ast.parse((REPOSITORY / name / f"{name}.py").read_text(encoding="utf-8"))
    pairs = (
        (key.value, value.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)
    )
    return {key: value for key, value in pairs if str(key).endswith(("Button", "CheckBox"))}


def titles() -> dict[str, str]:
    tools = [value for name, value in vars(commands).items() if name.isupper() and isinstance(value, str)]
    return {name: command.title for tool in tools for name, command in commands.commands_of(tool).items()}


def test_no_panel_is_wider_than_slicers_own(panel):
    _name, widget = panel
    area, work = (widget.findChild(QtWidgets.QWidget, name) for name in ("workArea", "workWidget"))
    area.setMinimumWidth(
        work.minimumSizeHint().width() + area.verticalScrollBar().sizeHint().width()
    )  # as PanelWidget does
    assert WIDEST - 150 < widget.minimumSizeHint().width() <= WIDEST


def test_message_progress_and_decisions_stay_in_sight_when_the_panel_is_scrolled(panel, application):
    _name, widget = panel
    widget.resize(WIDEST, HEIGHT[1366, 768])
    widget.show()
    application.processEvents()
    bar = widget.findChild(QtWidgets.QScrollArea, "workArea").verticalScrollBar()
    assert bar.maximum() > 0
    bar.setValue(bar.maximum())
    application.processEvents()
    for name in ("messageLabel", "acceptButton", "rejectButton", "nextButton", "undoButton", "redoButton"):
        found = widget.findChild(QtWidgets.QWidget, name)
        assert not found.visibleRegion().isEmpty() or not found.isVisible(), name
        assert 0 <= found.mapTo(widget, QPoint(0, found.height())).y() <= HEIGHT[1366, 768], name


@pytest.mark.parametrize("screen", HEIGHT)
def test_all_that_the_current_finding_needs_is_in_sight(panel, screen, application):
    name, widget = panel
    section, needed = NEEDED[name]
    for each in widget.findChildren(QtWidgets.QGroupBox):
        if each.objectName() != section:
            for child in each.findChildren(QtWidgets.QWidget):
                child.hide()
            each.setFixedHeight(HEADER)
    for shown in ("progressBar", "cancelButton"):
        widget.findChild(QtWidgets.QWidget, shown).show()
    widget.findChild(QtWidgets.QLabel, "messageLabel").setText(
        "L 12: found, 3 mm from the expected position; check it."
    )
    widget.resize(WIDEST, max(HEIGHT[screen], widget.minimumSizeHint().height()))
    widget.show()
    application.processEvents()

    def bottom(child: str) -> int:
        found = widget.findChild(QtWidgets.QWidget, child)
        return found.mapTo(widget, QPoint(0, found.height())).y()

    assert {child: bottom(child) for child in needed if bottom(child) > HEIGHT[screen]} == {}
    above = widget.findChild(QtWidgets.QWidget, section).mapTo(widget, QPoint(0, 0)).y()
    for child in ("messageLabel", "progressBar", "cancelButton"):
        assert 0 < bottom(child) <= above, "the message and the progress stand above everything else"

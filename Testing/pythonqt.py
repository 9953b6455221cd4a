"""Slicer's module `qt` over PySide6, so that the panels' own code runs off screen with real widgets.

Slicer's Python sees Qt's properties as attributes (`label.text = "..."`) and connects signals by their signatures
(`button.connect("clicked()", function)`); this module gives both to PySide6's classes. Widgets of CTK and Slicer are replaced by
Qt's.
"""

from __future__ import annotations

import os
import types
from functools import cache, partial

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtUiTools import QUiLoader

_REPLACED = {
    "ctkCollapsibleButton": "QGroupBox",
    "ctkDirectoryButton": "DirectoryButton",
    "ctkSliderWidget": "QSlider",
    "qMRMLNodeComboBox": "QComboBox",
    "qMRMLWidget": "QWidget",
}

_METHODS = ("minimumSizeHint", "objectName", "sizeHint")
"""Properties that stay methods: Qt itself calls them."""


class _Attributes:
    """Gives a class of QObjects its properties as attributes, and `connect`."""

    def __getattribute__(self, name):
        if name.startswith("__"):
            return object.__getattribute__(self, name)
        if name == "name":
            return self.objectName()
        if name == "connect":
            return partial(_connect, self)
        own = type(self).__dict__.get(name)
        about = QtCore.QObject.metaObject(self)
        if own is None and name not in _METHODS and about.indexOfProperty(name) >= 0:
            return QtCore.QObject.property(self, name)
        return super().__getattribute__(name)

    def __setattr__(self, name, value):
        if QtCore.QObject.metaObject(self).indexOfProperty(name) >= 0:
            QtCore.QObject.setProperty(self, name, value)
        else:
            super().__setattr__(name, value)


def _connect(sender, signature, slot):
    """Connect a signal by its signature; a signature without arguments gives the function none."""
    name, _, arguments = signature.partition("(")
    getattr(sender, name).connect((lambda *_: slot()) if arguments == ")" else slot)


class DirectoryButton(QtWidgets.QPushButton):
    """Stands for ctkDirectoryButton: a button with a folder."""

    directoryChanged = QtCore.Signal(str)

    def _read(self):
        return getattr(self, "_path", "")

    def _write(self, path):
        self._path = path
        self.directoryChanged.emit(path)

    directory = QtCore.Property(str, _read, _write)


class _Loader(QUiLoader):
    """Loads a .ui file with the classes of this module."""

    def createWidget(self, kind, parent=None, name=""):
        made = _wrapped(_REPLACED.get(kind, kind))(parent)
        made.setObjectName(name)
        return made


@cache
def _wrapped(name: str):
    """Return a class of Qt by its name, with `_Attributes` where it is a QObject."""
    known = DirectoryButton if name == "DirectoryButton" else None
    for module in (QtWidgets, QtGui, QtCore):
        known = known or getattr(module, name, None)
    if known is None:
        raise AttributeError(f"Qt has no {name}.")
    is_object = isinstance(known, type) and issubclass(known, QtCore.QObject)
    return type(name, (_Attributes, known), {}) if is_object else known


class _Qt(types.ModuleType):
    """The module `qt`."""

    QUiLoader = _Loader

    def __getattr__(self, name):
        return _wrapped(name)


qt = _Qt("qt")

"""The base class of the Slicer modules' panels: session, worker, messages, shortcuts and scene events.

Packages that Slicer lacks are imported when a module is entered, so that Slicer starts without them.
"""

from operator import attrgetter
from typing import ClassVar

import qt
import slicer
import vtk
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from oncotrack.scene.commands import commands_of
from OncoTrackPanel.messages import Messages
from OncoTrackPanel.slicer_views import ViewLabels, are_rows_shown, show_in_views, shown_fields
from OncoTrackPanel.study_dialog import open_study


class PanelWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """A panel that drives one session of `oncotrack.scene`.

    A module defines its logic and its commands as class attributes, and overrides the methods that raise
    NotImplementedError here. Its .ui file contains an installButton, an openStudyButton, a dicomButton, a workWidget in
    a workArea that scrolls, a decisionWidget, a progressBar, a cancelButton, a messageIcon, a messageLabel, an undoButton and a
    redoButton.
    """

    logic_class = None
    """A logic with `getParameterNode` and `new_session`."""
    tools = ()
    """The tools of `oncotrack.scene.commands` whose commands the panel offers."""
    buttons: ClassVar = {}
    """Name of each button in the .ui file, and of its command."""
    handlers: ClassVar = {}
    """Name of a command, and of the widget's method that runs it; other commands call the session."""
    placing_hint = ""
    """What to click after the button that places a finding was pressed."""
    archive_roles: ClassVar = {"scan": "Scan"}
    """What a series of an archive can be opened as, with the titles; see `use_retrieved`."""
    needs = None
    """The packages that the module needs: a `Tool` of `oncotrack.scene.files.packages`."""

    def __init__(self, parent=None):
        self.logic = self.session = self.pump = self.parameters = self.table = None
        self._gui_tag, self._shortcuts, self._outcome, self._labels = None, [], None, ViewLabels()
        self.messages, self._dialog = Messages(lambda: self.pump.worker.cancel_all()), None
        self._in_view = None
        self.lacks_torch, self._folded, self._missing = False, set(), ""
        super().__init__(parent)

    # to be defined by a module

    def connect_panel(self):
        """Connect the widgets that are not buttons of commands, and set `table`."""
        raise NotImplementedError

    def new_session(self):
        """Return the session that the panel drives."""
        return self.logic.new_session()

    def connect_session(self):
        """Connect the signals of this kind of session; `changed` and `refused` are connected already."""
        raise NotImplementedError

    def show_parameters(self):
        """Update the session from `parameters`, and the panel with it."""
        raise NotImplementedError

    def show_session(self):
        """Update the panel from the session; `parameters` is not None."""
        raise NotImplementedError

    def possible_methods(self):
        """Return the names of the session's methods that can be called now."""
        raise NotImplementedError

    def outcome_text(self, outcome):
        """Return a sentence on the outcome of a task."""
        raise NotImplementedError

    def use_scan(self, volume):
        """Choose a volume node that was opened from a study."""
        raise NotImplementedError

    def use_retrieved(self, role, volume):
        """Choose a volume node that was loaded from an archive; `role` is a key of `archive_roles`."""
        self.use_scan(volume)

    @property
    def scan(self):
        """The scan of a session that works on one; None otherwise."""
        return getattr(self.session, "scan", None)

    # called by Slicer

    def setup(self):
        super().setup()
        panel = slicer.util.loadUI(self.resourcePath(f"UI/{self.moduleName}.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        for section in slicer.util.findChildren(panel, className="ctkCollapsibleButton"):
            policy = section.sizePolicy
            policy.setHorizontalPolicy(qt.QSizePolicy.Preferred)  # else its widest text is the window's least width
            section.setSizePolicy(policy)
        self.logic = self.logic_class()
        for button_name, name in self.buttons.items():
            button = getattr(self.ui, button_name)
            command = self.show_command(button, name)
            if name in self.handlers:
                button.connect("clicked()", getattr(self, self.handlers[name]))
            else:
                button.connect("clicked()", lambda action=command.action: self.call_session(action))
        self.ui.installButton.connect("clicked()", self._install)
        self.ui.openStudyButton.connect("clicked()", lambda: open_study(self))
        self.ui.dicomButton.connect("clicked()", self._open_dialog)
        self.ui.cancelButton.connect("clicked()", self.messages.cancel)
        self.messages.add(self.ui)
        self._add_shortcut("Escape", self._stop_placing)
        self.connect_panel()
        bar = self.ui.workArea.verticalScrollBar().sizeHint.width()
        self.ui.workArea.setMinimumWidth(self.ui.workWidget.minimumSizeHint.width() + bar)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._on_scene_closing)
        for event in (scene.EndCloseEvent, scene.EndImportEvent):
            self.addObserver(scene, event, self._on_scene_ready, priority=-1.0)  # after the session's own observers
        if self.parent.isEntered:  # after Reload
            self.enter()

    def enter(self):
        self._start()
        self._use_parameters(self.logic.getParameterNode())
        for shortcut in self._shortcuts:
            shortcut.enabled = True

    def exit(self):
        for shortcut in self._shortcuts:
            shortcut.enabled = False
        if self.session:
            self._labels.hide()
            self.leave_session()
        self._in_view = None
        self._use_parameters(None)

    def cleanup(self):
        if self._dialog:
            self._dialog.close()
            self._dialog = None
        self._use_parameters(None)
        self.removeObservers()
        self._stop()
        for shortcut in self._shortcuts:
            shortcut.setParent(None)
        self._shortcuts = []

    # for modules

    def leave_session(self):
        """Stop drawing for this module; where another one has changed the views, they stay."""
        self.session.leave(restores_views=are_rows_shown())

    def show_scan(self, volume):
        """Show a scan in Slicer's own views once it was chosen, and once the module was entered."""
        if volume is not None and volume is not self._in_view:
            self._in_view = volume
            show_in_views(volume)
            if self.session.current:
                self.call_session("go_to")

    def call_session(self, name, *arguments):
        """Call a method of the session by its name; errors are shown, tasks are queued."""
        from oncotrack.errors import OncoTrackError
        from oncotrack.scene.nodes.tasks import Task

        try:
            outcome = attrgetter(name)(self.session)(*arguments)
        except OncoTrackError as error:
            self.show_error(error)
            return
        if isinstance(outcome, Task):
            self.submit(outcome)

    def submit(self, task, outcome_text=None):
        """Queue a task for the worker and show its progress, then a sentence on its outcome."""
        self.messages.show_busy(True)
        self.messages.show_progress(0.0, "")
        self.show_message("")
        task.submit(
            self.pump.worker,
            self.show_error,
            self.messages.show_progress,
            lambda done: self._show_outcome(outcome_text or self.outcome_text, done),
        )
        self.pump.start()

    def accept(self):
        """Accept the current finding, or those of all chosen rows in one step of undo."""
        self._decide("accept", "ACCEPTED")

    def reject(self):
        """Reject the current finding, or those of all chosen rows in one step of undo."""
        self._decide("reject", "REJECTED")

    def _decide(self, name, state):
        from oncotrack.findings.finding import State

        chosen = self.table.several()
        if chosen:
            self.call_session("decide_several", chosen, State[state])
        else:
            self.call_session(name)

    def begin_placing(self):
        """Let the next click in a slice view place a finding, and say so."""
        from oncotrack.scene.views.mouse_mode import is_placing

        self.call_session("begin_placing")
        if is_placing(slicer.mrmlScene):
            self.show_message(f"{self.placing_hint} Escape ends placing.")

    def enlarge(self):
        """Show the current finding large; where the views show it so already, show the whole scans again."""
        before = shown_fields()
        self.call_session("enlarge")
        if shown_fields() == before:
            self.fit_views()
            self.call_session("go_to")  # fitting moves the views to the middle of the scan

    def fit_views(self):
        """Show the whole scans."""
        slicer.util.resetSliceViews()

    def fold_once(self, section):
        """Fold a section of the panel when its choices are made, so that the current finding is in sight; once in a session."""
        if section not in self._folded:
            self._folded.add(section)
            getattr(self.ui, section).collapsed = True

    def show_command(self, button, name):
        """Give a button the text, the tooltip and the key of a command, and return the command."""
        command = commands_of(*self.tools)[name]
        button.text, button.toolTip = command.title, command.tooltip
        self._add_shortcut(command.key, button.click)
        return command

    def show_error(self, error):
        """Show an error as a message; `Cancelled` is shown as information."""
        from oncotrack.errors import Cancelled

        self.show_message(str(error), is_problem=not isinstance(error, Cancelled))

    def show_message(self, sentence, is_problem=False):
        """Show a message, with an icon for information or for a problem; it stays until the next one or the next task."""
        self._outcome = None
        self.messages.show(sentence, is_problem)

    def show_changes(self):
        """Show what the session says now: list, message, and what can be pressed."""
        if not self.parameters or slicer.mrmlScene.IsClosing():
            return
        self.show_session()
        if self._dialog:
            self._dialog.show()
        if self._outcome:
            self._show_outcome(*self._outcome)
        possible, findings = self.possible_methods(), self.session.findings
        commands = commands_of(*self.tools)
        for button_name, name in self.buttons.items():
            getattr(self.ui, button_name).enabled = commands[name].action in possible
        for button, name, text in (
            (self.ui.undoButton, "undo", findings.undo_text),
            (self.ui.redoButton, "redo", findings.redo_text),
        ):
            command = commands[name]
            button.toolTip = f"{command.title} {text} ({command.key})" if text else command.tooltip

    def _show_outcome(self, text, done):
        """Show a sentence on the outcome of a task, which follows later edits, undo and redo; None leaves what is shown."""
        sentence = text(done)
        if sentence is not None:
            self.show_message(sentence)
            self._outcome = text, done

    # the session

    def _start(self):
        from oncotrack.scene.files import packages

        self.lacks_torch = packages.lacks_torch()
        sentence = packages.missing_message(self.needs)
        is_usable = not packages.lacks_required()
        self.ui.workWidget.enabled = self.ui.decisionWidget.enabled = is_usable
        self.ui.installButton.visible = bool(sentence)
        if sentence or self.ui.messageLabel.text == self._missing:
            self.show_message(sentence)
        self._missing = sentence
        if is_usable and self.session is None:
            self._open_session()
        if self.session:
            self.session.enter()
            self._labels.show(self.session.nodes)

    def _open_session(self):
        from oncotrack.background.dispatcher import TimerDispatcher
        from oncotrack.background.isolation import use_helper
        from oncotrack.background.work_process import use_work_process
        from oncotrack.followup.remote import WORK

        use_helper()
        use_work_process(*WORK)
        timer = qt.QTimer()
        timer.setInterval(TimerDispatcher.TICK_MS)
        self.pump = TimerDispatcher(timer, lambda: self.messages.show_busy(False))
        timer.connect("timeout()", self.pump.tick)
        self.session = self.new_session()
        self.session.changed.connect(self.show_changes)
        self.session.refused.connect(self.show_error)
        self.connect_session()
        if self.session.problem:
            self.show_error(self.session.problem)

    def _stop(self):
        if self.session:
            self._labels.hide()
            self.pump.close()
            self.session.close()
        self.session = self.pump = None

    def _install(self):
        from oncotrack.errors import MissingPackageError
        from oncotrack.scene.files import packages

        self._use_parameters(None)
        self._stop()
        problem = None
        try:
            packages.install(self.needs, packages.slicer_packages, packages.slicer_torch)
        except MissingPackageError as error:
            problem = error
        self.enter()
        if problem:
            self.show_error(problem)
        else:
            self.show_message("The packages are installed.")

    def _use_parameters(self, parameters):
        if self.parameters:
            self.parameters.disconnectGui(self._gui_tag)
            self.removeObserver(self.parameters, vtk.vtkCommand.ModifiedEvent, self._on_parameters_changed)
        self.parameters = parameters
        if parameters:
            if self.session:
                self.show_changes()  # a reopened scene has its own choice of scans
            self._gui_tag = parameters.connectGui(self.ui)
            self.addObserver(parameters, vtk.vtkCommand.ModifiedEvent, self._on_parameters_changed)
            self._on_parameters_changed()

    def _on_parameters_changed(self, _caller=None, _event=None):
        scene = slicer.mrmlScene
        if self.session and self.parameters and not scene.IsClosing() and not scene.IsImporting():
            self.show_parameters()

    # the panel and the scene

    def _open_dialog(self):
        from OncoTrackPanel.dicom_dialog import DicomDialog

        if self._dialog is None:
            self._dialog = DicomDialog(self)
        self._dialog.open()

    def _on_scene_closing(self, _caller, _event):
        if self.pump:
            self.pump.worker.cancel_all()
        self.show_message("")
        for section in self._folded:
            getattr(self.ui, section).collapsed = False
        self._folded.clear()
        self._use_parameters(None)

    def _on_scene_ready(self, _caller, _event):
        if self.parent.isEntered:
            if self.session:
                self.session.enter()
            self._use_parameters(self.logic.getParameterNode())

    def _stop_placing(self):
        from oncotrack.scene.views.mouse_mode import is_placing, stop_placing

        if is_placing(slicer.mrmlScene):
            stop_placing(slicer.mrmlScene)
            self.show_message("")

    def _add_shortcut(self, key, function):
        window = slicer.util.mainWindow()
        if not key or window is None:
            return
        for known in self._shortcuts:
            if known.key == qt.QKeySequence(key):  # two of one key would be ambiguous to Qt, which then calls neither
                known.connect("activated()", function)
                return
        shortcut = qt.QShortcut(window)
        shortcut.setKey(qt.QKeySequence(key))
        shortcut.connect("activated()", function)
        shortcut.enabled = False
        self._shortcuts.append(shortcut)

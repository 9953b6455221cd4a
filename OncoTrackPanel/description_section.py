"""The section Description of Lesion Follow-Up: what the reader says about the current finding, and the reader's name.

Packages that Slicer lacks are imported when a session is opened, so that Slicer starts without them.
"""

import qt


class DescriptionSection:
    """Shows kind, side, organ or station, comment and reader of the current finding; each change is one step of undo.

    The panel's .ui file contains the lists kindComboBox and sideComboBox, and the fields siteLineEdit, commentLineEdit and
    readerLineEdit; its session is a `FollowUpScene`. The role is in the section Response.
    """

    def __init__(self, panel):
        self._panel, self._ui = panel, panel.ui
        self._kinds, self._sides, self._sites, self._completer = (), (), (), None
        self._ui.kindComboBox.connect("activated(int)", lambda index: self._describe(kind=self._kinds[index]))
        self._ui.sideComboBox.connect("activated(int)", lambda index: self._describe(side=self._sides[index]))
        self._ui.siteLineEdit.connect("editingFinished()", self._on_site)
        self._ui.commentLineEdit.connect("editingFinished()", self._on_comment)
        self._ui.readerLineEdit.connect("editingFinished()", self._on_reader)

    def open(self):
        """Fill the lists."""
        from oncotrack.findings.finding import Kind, Side

        self._kinds, self._sides = tuple(Kind), tuple(Side)
        for box, values in ((self._ui.kindComboBox, self._kinds), (self._ui.sideComboBox, self._sides)):
            box.clear()
            box.addItems([each.value or "not stated" for each in values])

    def show(self):
        """Update the section from the session."""
        from oncotrack.findings.sites import suggested_sites

        session, ui, finding = self._panel.session, self._ui, self._panel.session.current
        for name in ("kindComboBox", "sideComboBox", "siteLineEdit", "commentLineEdit"):
            getattr(ui, name).enabled = finding is not None
        ui.readerLineEdit.text = session.reader
        sites = suggested_sites(finding.kind) if finding else ()
        if sites != self._sites:
            self._sites, self._completer = sites, qt.QCompleter(list(sites))
            self._completer.setCaseSensitivity(qt.Qt.CaseInsensitive)
            ui.siteLineEdit.setCompleter(self._completer)
        ui.siteLineEdit.text = finding.site if finding else ""
        ui.commentLineEdit.text = finding.comment if finding else ""
        if finding:
            ui.kindComboBox.setCurrentIndex(self._kinds.index(finding.kind))
            ui.sideComboBox.setCurrentIndex(self._sides.index(finding.side))

    def _on_site(self):
        self._describe(site=self._ui.siteLineEdit.text)

    def _on_comment(self):
        self._describe(comment=self._ui.commentLineEdit.text)

    def _on_reader(self):
        self._panel.session.reader = self._ui.readerLineEdit.text

    def _describe(self, **changed):
        """Change what is new; leaving a field without a change adds no step of undo."""
        from oncotrack.errors import OncoTrackError

        session = self._panel.session
        ((name, value),) = changed.items()
        if session is None or session.current is None or getattr(session.current, name) == value:
            return
        try:
            session.describe(**changed)
        except OncoTrackError as error:
            self.show()
            self._panel.show_error(error)

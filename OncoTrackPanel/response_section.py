"""The section Response of Lesion Follow-Up: roles, judgements, and the table with a column a visit.

Packages that Slicer lacks are imported when a session is opened, so that Slicer starts without them.
"""

import qt
import slicer


class ResponseSection:
    """Shows a `ResponseScene` in a panel whose session is a `FollowUpScene`.

    `table`, `criteria`, `role`, `judgement`, `relation` and `text` are the widgets of the panel's .ui file: a table, four lists
    to choose from and a text browser.
    """

    def __init__(self, panel, table, criteria, role, judgement, relation, text):
        self._panel, self._table, self._text = panel, table, text
        self._criteria, self._role, self._judgement, self._relation = criteria, role, judgement, relation
        self._lines, self._response = [], None
        self._roles, self._judgements, self._names, self._relations = (), (), (), []
        table.connect("cellClicked(int,int)", self._on_cell)
        criteria.connect("activated(int)", lambda index: self.call("choose_criteria", self._names[index]))
        role.connect("activated(int)", lambda index: self.call("set_role", self._roles[index]))
        judgement.connect("activated(int)", lambda index: self.call("judge", self._judgements[index]))
        relation.connect("activated(int)", lambda index: self.call(*self._relations[index][1]))

    def open(self):
        """Make the response session of the panel's session."""
        from oncotrack.findings.assessment import Judgement
        from oncotrack.findings.finding import Role
        from oncotrack.response.result import CRITERIA
        from oncotrack.scene.response.panel import JUDGEMENTS, ROLES
        from oncotrack.scene.response.response import ResponseScene

        self.close()
        self._response = ResponseScene(self._panel.session)
        self._names, self._roles = tuple(CRITERIA), (*ROLES, Role.NONE)
        self._judgements = tuple(each for each in JUDGEMENTS if each is not Judgement.MERGED)  # needs another lesion
        for box, words in (
            (self._criteria, CRITERIA.values()),
            (self._role, [role.value for role in self._roles]),
            (self._judgement, [JUDGEMENTS[each] for each in self._judgements]),
        ):
            box.clear()
            box.addItems(list(words))

    def close(self):
        """Leave the session."""
        if self._response:
            self._response.close()
        self._response = None

    def possible_methods(self):
        """Return the names of the response session's methods that can be called now."""
        from oncotrack.scene.response.panel import possible_methods

        return possible_methods(self._response) if self._response else frozenset()

    def call(self, name, *arguments):
        """Call a method of the response session by its name; errors are shown."""
        from oncotrack.errors import OncoTrackError

        try:
            getattr(self._response, name)(*arguments)
        except OncoTrackError as error:
            self._panel.show_error(error)

    def show(self):
        """Update the section from the session."""
        from oncotrack.scene.response import panel

        response = self._response
        if response is None:
            return
        self._lines, heads = panel.lines(response), panel.heads(response)
        self._table.setRowCount(len(self._lines))
        self._table.setColumnCount(len(heads))
        self._table.setHorizontalHeaderLabels(heads)
        self._table.setVerticalHeaderLabels([line.head for line in self._lines])
        for row, line in enumerate(self._lines):
            for column, (words, tip) in enumerate(zip(line.cells, line.tips, strict=True)):
                item = qt.QTableWidgetItem(words)
                item.setToolTip(tip)
                self._table.setItem(row, column, item)
        warnings = [f"Check: {sentence}" for sentence in panel.warnings(response)]
        self._text.setPlainText(
            "\n".join(filter(None, (panel.headline(response), *warnings, *panel.explanation(response))))
        )
        self._criteria.setCurrentIndex(self._names.index(response.criteria))
        judged = panel.judged(response)
        self._role.enabled = self._judgement.enabled = judged is not None
        self._show_relations(panel.relations(response), judged)
        if judged:
            self._role.setCurrentIndex([role.value for role in self._roles].index(judged.role))
            values = [each.value for each in self._judgements]
            self._judgement.setCurrentIndex(values.index(judged.judgement) if judged.judgement in values else -1)

    def _show_relations(self, relations, judged):
        self._relations = relations
        self._relation.clear()
        self._relation.addItems([words for words, _call in relations])
        self._relation.enabled = len(relations) > 1
        other = judged and (judged.merged_with or judged.split_from)
        chosen = [n for n, (_words, call) in enumerate(relations) if other and call[-1] == other]
        if chosen:  # of each other lesion, first merged and then split
            self._relation.setCurrentIndex(chosen[0 if judged.merged_with else 1])

    def add_new(self):
        """Add a new lesion where the follow-up's axial view is centred."""
        from oncotrack.scene.views.view_rows import middle

        view = self._panel.session.followup_row.slice_at(0)
        if view is not None:
            self.call("add_new", middle(view))

    def save(self):
        """Ask for a folder, and write the response there as text and as a table (CSV)."""
        from pathlib import Path

        from oncotrack.atomic import write_text
        from oncotrack.errors import OncoTrackError
        from oncotrack.scene.response.panel import copied

        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), "Folder of the table")
        if not folder:
            return
        words, table = copied(self._response)
        try:
            write_text(Path(folder) / "response.txt", words)
            write_text(Path(folder) / "response.csv", table)
        except OncoTrackError as error:
            self._panel.show_error(error)
        else:
            self._panel.show_message(f"Written to {folder}: response.txt, response.csv.")

    def _on_cell(self, row, column):
        if not 0 <= row < len(self._lines):
            return
        if self._lines[row].uid:
            self._panel.session.nodes.select(self._lines[row].uid)
        self._panel.call_session("show_visit", column)

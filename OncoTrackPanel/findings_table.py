"""The table of the findings in a panel."""

import qt


class FindingsTable:
    """Shows the lines of a session: a click on a row goes to its finding, and the first cell renames it.

    `panel` is a `PanelWidget`, `widget` its table, `columns` the titles; cells of the columns `wrapped` go over several lines where
    the panel is narrow.
    """

    def __init__(self, panel, widget, columns, wrapped):
        self._panel, self.widget, self._lines = panel, widget, []
        widget.setColumnCount(len(columns))
        widget.setHorizontalHeaderLabels([title.replace(" ", "\n", 1) for title in columns])
        header = widget.horizontalHeader()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        for title in wrapped:
            header.setSectionResizeMode(columns.index(title), qt.QHeaderView.Stretch)
        widget.verticalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        widget.setEditTriggers(  # not any key: most keys are commands
            qt.QAbstractItemView.DoubleClicked | qt.QAbstractItemView.EditKeyPressed
        )
        widget.connect("itemSelectionChanged()", self._on_row_chosen)
        widget.connect(
            "itemClicked(QTableWidgetItem*)", lambda _item: self._on_row_chosen()
        )  # also when it is selected already
        widget.connect("itemChanged(QTableWidgetItem*)", self._on_name_typed)

    def show(self, lines):
        """Show these lines, and select that of the current finding."""
        table = self.widget
        was_blocked = table.blockSignals(True)
        if lines != self._lines:
            if [line.uid for line in lines] != [line.uid for line in self._lines]:
                table.clearSelection()  # the rows stand for other findings now
            self._lines = lines
            table.setRowCount(len(lines))
            for row, line in enumerate(lines):
                for column, text in enumerate(line.cells):
                    item = qt.QTableWidgetItem(text)
                    item.setToolTip(line.tip)
                    if column:
                        item.setFlags(qt.Qt.ItemIsSelectable | qt.Qt.ItemIsEnabled)
                    table.setItem(row, column, item)
        current = self._panel.session.current
        rows = [row for row, line in enumerate(lines) if current and line.uid == current.uid]
        if rows:
            if rows[0] not in self.chosen_rows():  # several rows stay chosen
                table.selectRow(rows[0])
        else:
            table.clearSelection()
        table.blockSignals(was_blocked)

    def chosen_rows(self):
        """Return the numbers of the rows that the reader has chosen."""
        return sorted(index.row() for index in self.widget.selectionModel().selectedRows())

    def several(self):
        """Return the uids of the findings whose rows the reader has chosen, where these are more than one."""
        rows = self.chosen_rows()
        return [self._lines[row].uid for row in rows if row < len(self._lines)] if len(rows) > 1 else []

    def _on_row_chosen(self):
        row = self.widget.currentRow()
        if 0 <= row < len(self._lines):
            self._panel.call_session("go_to", self._lines[row].uid)

    def _on_name_typed(self, item):
        uid, self._lines = self._lines[item.row()].uid, []  # the new name may be refused
        self._panel.call_session("rename", item.text(), uid)
        self._panel.show_changes()

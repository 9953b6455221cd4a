"""The dialog for DICOM objects of the findings and for archives (PACS), which all panels open.

Packages that Slicer lacks are imported when the dialog is opened, so that Slicer starts without them.
"""

from pathlib import Path

import qt
import slicer

_UI = Path(__file__).resolve().parent / "Resources" / "UI" / "DicomDialog.ui"
_FOLDER = "OncoTrack/DicomFolder"
"""The reader's choice of the folder, in Slicer's settings."""
_COMMANDS = {
    "exportButton": "export_dicom",
    "importButton": "import_dicom",
    "searchButton": "search_archive",
    "loadButton": "load_series",
    "sendButton": "send_results",
}
"""Buttons and their commands in `oncotrack.scene.commands`."""


class DicomDialog:
    """Exports and imports DICOM objects, searches an archive, loads series and sends results.

    `panel` is a `PanelWidget`; its `archive_roles` are what a series can be opened as, and its `use_retrieved` takes the volume.
    """

    def __init__(self, panel):
        from oncotrack.scene.files.archive_session import ArchiveSession

        self._panel, self._results, self._waiting, self._lacking = panel, [], 0, []
        self._archive = ArchiveSession(Path())
        self._dialog = qt.QDialog(slicer.util.mainWindow())
        self._dialog.setWindowTitle("DICOM and archive")
        widget = slicer.util.loadUI(str(_UI))
        qt.QVBoxLayout(self._dialog).addWidget(widget)
        self._ui = slicer.util.childWidgetVariables(widget)
        self._connect()
        panel.messages.add(self._ui)

    def open(self):
        """Show the dialog beside the panel, which stays usable."""
        from oncotrack.errors import OncoTrackError
        from oncotrack.packages import DICOM_AND_ARCHIVES, missing

        ui = self._ui
        self._lacking = missing(DICOM_AND_ARCHIVES)
        ui.installButton.visible = bool(self._lacking)
        if self._lacking:
            packages = ", ".join(self._lacking)
            self._panel.show_message(
                f"DICOM objects and archives need more Python packages: {packages}. Press Install packages."
            )
        try:
            names = self._archive.names()
        except OncoTrackError as error:
            names = []
            self._panel.show_error(error)
        chosen = ui.archiveComboBox.currentText
        ui.archiveComboBox.clear()
        ui.archiveComboBox.addItems(names)
        ui.archiveComboBox.setCurrentIndex(max(ui.archiveComboBox.findText(chosen), 0) if names else -1)
        ui.noArchiveLabel.visible = not names
        self.show()
        self._dialog.show()
        self._dialog.raise_()

    def show(self):
        """Update what can be pressed now."""
        session, ui = self._panel.session, self._ui
        is_able = not self._lacking
        has_findings, has_archive = is_able and len(session.findings) > 0, is_able and ui.archiveComboBox.count > 0
        ui.exportButton.enabled = has_findings
        ui.importButton.enabled = is_able
        ui.searchButton.enabled = has_archive
        ui.loadButton.enabled = bool(self._archive.roles)
        ui.sendButton.enabled = has_findings and has_archive
        ui.rolesWidget.enabled = bool(self._chosen_series())

    def close(self):
        """Close the dialog for good."""
        self._panel.messages.remove(self._ui)
        self._dialog.close()
        self._dialog.deleteLater()

    @property
    def folder(self):
        """The folder of retrieved series and written objects."""
        return Path(self._ui.folderButton.directory)

    # private

    def _connect(self):
        from oncotrack.scene.commands import FILES, commands_of
        from oncotrack.scene.files.exchange_text import NO_ARCHIVE

        ui, commands = self._ui, commands_of(FILES)
        for name, command in _COMMANDS.items():
            getattr(ui, name).text, getattr(ui, name).toolTip = commands[command].title, commands[command].tip
        ui.noArchiveLabel.text = NO_ARCHIVE
        settings = slicer.app.userSettings()
        ui.folderButton.directory = settings.value(_FOLDER, str(Path(slicer.app.defaultScenePath) / "OncoTrack"))
        ui.folderButton.connect("directoryChanged(QString)", lambda path: settings.setValue(_FOLDER, path))
        ui.cancelButton.connect("clicked()", self._panel.messages.cancel)
        ui.installButton.connect("clicked()", self._install)
        ui.exportButton.connect("clicked()", self._export)
        ui.importButton.connect("clicked()", self._choose_files)
        ui.searchButton.connect("clicked()", self._search)
        for field in (ui.patientLineEdit, ui.nameLineEdit):
            field.connect("returnPressed()", ui.searchButton.click)
        ui.loadButton.connect("clicked()", self._load)
        ui.sendButton.connect("clicked()", self._send)
        roles = self._panel.archive_roles
        ui.studyTree.setColumnCount(2)
        ui.studyTree.setHeaderLabels(["Studies and series", "Opened as"])
        ui.studyTree.header().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        ui.studyTree.connect("itemSelectionChanged()", self.show)
        for role, title in roles.items():
            button = qt.QPushButton(title)
            button.connect("clicked()", lambda role=role: self._choose(role))
            ui.rolesWidget.layout().addWidget(button)

    def _submit(self, make):
        """Queue the task that `make` returns; what it does last shows the message."""
        from oncotrack.errors import OncoTrackError

        try:
            task = make()
        except OncoTrackError as error:
            self._panel.show_error(error)
        else:
            self._panel.submit(task, lambda _done: None)

    def _install(self):
        from oncotrack.errors import MissingPackageError
        from oncotrack.scene.files import packages

        try:
            packages.install_archives(packages.slicer_packages)
        except MissingPackageError as error:
            self._panel.show_error(error)
        else:
            self._panel.show_message("The packages are installed.")
            self.open()

    # DICOM objects

    def _export_task(self, written):
        from oncotrack.scene.files.dicom_objects import export_task

        session = self._panel.session
        return export_task(session.nodes, self.folder / "dicom", written, self._results, self._panel.scan)

    def _export(self):
        from oncotrack.scene.files.exchange_text import written_text

        self._submit(lambda: self._export_task(lambda paths, left: self._panel.show_message(written_text(paths, left))))

    def _choose_files(self):
        chosen = qt.QFileDialog.getOpenFileNames(slicer.util.mainWindow(), "DICOM reports, segmentations, RTSTRUCT")
        if chosen:
            self._import([Path(path) for path in chosen], Path(chosen[0]).name if len(chosen) == 1 else "the files")

    def _import(self, paths, source):
        from oncotrack.scene.files.dicom_objects import import_task
        from oncotrack.scene.files.exchange_text import read_text

        def read(text, problems, count):
            session = self._panel.session
            session.findings.load_json(text, source)
            if session.current:
                session.go_to()
            self._panel.show_message(read_text(count, source, problems), is_problem=bool(problems))

        self._submit(lambda: import_task(self._panel.session.nodes, paths, read, self._panel.scan))

    # the archive

    def _search(self):
        ui = self._ui
        self._submit(
            lambda: self._archive.search_task(
                ui.archiveComboBox.currentText, ui.patientLineEdit.text, ui.nameLineEdit.text, self._show_studies
            )
        )

    def _show_studies(self):
        from oncotrack.scene.files.exchange_text import NO_STUDY, patient_text, series_text

        tree = self._ui.studyTree
        tree.clear()
        for found in self._archive.studies:
            study = qt.QTreeWidgetItem()
            study.setText(0, f"{found.title}\n{patient_text(found)}")
            study.setFlags(qt.Qt.ItemIsEnabled)
            tree.addTopLevelItem(study)
            study.setFirstColumnSpanned(True)
            for each in found.images:
                series = qt.QTreeWidgetItem()
                series.setText(0, series_text(each))
                series.setData(0, qt.Qt.UserRole, each.uid)
                study.addChild(series)
        tree.expandAll()
        if not self._archive.studies:
            self._panel.show_message(NO_STUDY)
        self._show_roles()

    def _chosen_series(self):
        """Return the UID of the series that is selected in the list, or None."""
        items = self._ui.studyTree.selectedItems()
        return items[0].data(0, qt.Qt.UserRole) if items else None

    def _choose(self, role):
        self._archive.choose(self._chosen_series(), role)
        self._show_roles()

    def _show_roles(self):
        titles = {uid: self._panel.archive_roles[role] for role, uid in self._archive.roles.items()}
        tree = self._ui.studyTree
        for row in range(tree.topLevelItemCount):
            study = tree.topLevelItem(row)
            for child in range(study.childCount()):
                series = study.child(child)
                series.setText(1, titles.get(series.data(0, qt.Qt.UserRole), ""))
        self.show()

    def _load(self):
        self._archive.folder = self.folder / "retrieved"
        self._submit(lambda: self._archive.load_task(self._open))

    def _open(self, retrieved):
        """Open the retrieved series one after the other, then read the results that belong to them."""
        from oncotrack.scene.files.series_tasks import listing_task
        from oncotrack.scene.nodes.volumes import add_volume
        from OncoTrackPanel.study_dialog import ask

        self._results, self._waiting = list(retrieved.results), len(retrieved.scans)

        def use(role, scan):
            self._panel.use_retrieved(role, add_volume(slicer.mrmlScene, scan))
            self._waiting -= 1
            if self._waiting == 0 and self._results:
                qt.QTimer.singleShot(0, lambda: self._import(self._results, "the archive"))
            return f"Opened {scan.name}."

        for role in self._panel.archive_roles:  # the baseline first
            if role in retrieved.scans:
                self._panel.submit(
                    listing_task(
                        retrieved.scans[role],
                        lambda scan, role=role: use(role, scan),
                        lambda *question, role=role: ask(self._panel, lambda scan: use(role, scan), *question),
                    ),
                    str,
                )

    def _send(self):
        name = self._ui.archiveComboBox.currentText

        def written(paths, left_out):
            from oncotrack.scene.files.exchange_text import sent_text

            def sent(result):
                self._panel.show_message(sent_text(name, result, left_out), is_problem=bool(result.waiting))

            self._submit(lambda: self._archive.send_task(name, paths, sent))

        self._submit(lambda: self._export_task(written))

"""The button that opens a DICOM folder: the list of its series with their pictures, where there are several.

Packages that Slicer lacks are imported when the button is pressed, so that Slicer starts without them.
"""

from pathlib import Path

import qt
import slicer

_PICTURE_PX = 72


def open_study(panel, use=None, suv=False, weight_kg=None):
    """Let the reader choose a folder and one of its series, and hand its volume to the panel, or to `use`.

    With `suv` it is a PET, which is read in SUV, with the patient's weight in kg where the file lacks it.
    """
    use = use or (lambda scan: _add(panel, scan))
    folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), "Folder of a DICOM study")
    if not folder:
        return
    from oncotrack.scene.files.series_tasks import listing_task

    panel.submit(
        listing_task(Path(folder), use, lambda *question: ask(panel, use, *question), suv=suv, weight_kg=weight_kg),
        str,
    )


def _add(panel, scan):
    """Add a volume to the scene and return a sentence that names it."""
    from oncotrack.scene.files.series_tasks import opened_text
    from oncotrack.scene.nodes.volumes import add_volume

    panel.use_scan(add_volume(slicer.mrmlScene, scan))
    return opened_text(scan) or f"Opened {scan.name}."


def ask(panel, use, choice, pictures):
    """Return the question which series to open; the list is shown when the task that asks has ended."""
    qt.QTimer.singleShot(0, lambda: _choose(panel, use, choice, pictures))
    return choice.question


def _choose(panel, use, choice, pictures):
    """Show the list and read the series that the reader chooses."""
    from oncotrack.scene.files.series_tasks import reading_task

    row = _chosen_row(choice, pictures)
    if row is None:
        panel.show_message("Nothing was opened.")
    else:
        panel.submit(reading_task(choice, row, use), str)


def _chosen_row(choice, pictures):
    """Return the row that the reader chooses, None after Cancel."""
    dialog = qt.QDialog(slicer.util.mainWindow())
    dialog.setWindowTitle("Open study folder")
    layout = qt.QVBoxLayout(dialog)
    layout.addWidget(qt.QLabel(choice.question))
    series = qt.QListWidget()
    series.setIconSize(qt.QSize(_PICTURE_PX, _PICTURE_PX))
    series.setWordWrap(True)
    for row, picture in zip(choice.rows, pictures, strict=True):
        reason = row.problem or row.resampling
        item = qt.QListWidgetItem("\n".join(line for line in (row.title, row.details, reason) if line))
        if picture:
            pixmap = qt.QPixmap()
            pixmap.loadFromData(qt.QByteArray(picture))
            item.setIcon(qt.QIcon(pixmap))
        if row.problem:
            item.setFlags(qt.Qt.NoItemFlags)
        series.addItem(item)
    layout.addWidget(series)
    buttons = qt.QDialogButtonBox()
    buttons.setStandardButtons(qt.QDialogButtonBox.Open | qt.QDialogButtonBox.Cancel)
    layout.addWidget(buttons)
    button = buttons.button(qt.QDialogButtonBox.Open)

    def show_button():
        index = series.currentRow
        button.enabled = index >= 0 and not choice.rows[index].problem
        button.text = "Resample to a regular grid" if index >= 0 and choice.rows[index].resampling else "Open"

    series.connect("currentRowChanged(int)", lambda _index: show_button())
    series.connect("itemDoubleClicked(QListWidgetItem*)", lambda _item: button.click())
    buttons.connect("accepted()", dialog.accept)
    buttons.connect("rejected()", dialog.reject)
    series.setCurrentRow(next((index for index, row in enumerate(choice.rows) if not row.problem), -1))
    show_button()
    dialog.resize(720, 520)
    return choice.rows[series.currentRow] if dialog.exec_() == qt.QDialog.Accepted else None

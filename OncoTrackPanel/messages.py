"""Where a panel and its dialog show the message, the progress and the button Cancel."""

import qt
import slicer


class Messages:
    """Shows the same in all its areas; an area has a messageIcon, a messageLabel, a progressBar and a cancelButton.

    `cancel` is what the buttons call.
    """

    def __init__(self, cancel):
        self.cancel, self._areas, self._is_busy = cancel, [], False

    def add(self, ui):
        """Show messages and progress in these widgets too."""
        self._areas.append(ui)
        self.show_busy(self._is_busy)

    def remove(self, ui):
        """Forget an area that is closed."""
        self._areas.remove(ui)

    def show(self, sentence, is_problem=False):
        """Show a message, with an icon for information or for a problem."""
        kind = qt.QStyle.SP_MessageBoxWarning if is_problem else qt.QStyle.SP_MessageBoxInformation
        for area in self._areas:
            area.messageIcon.visible = bool(sentence)
            area.messageIcon.setPixmap(slicer.app.style().standardIcon(kind).pixmap(20, 20))
            area.messageLabel.text = sentence

    def show_progress(self, fraction, text):
        """Show the completed fraction (0 to 1) and the present step."""
        for area in self._areas:
            area.progressBar.value = round(100 * fraction)
            area.progressBar.format = f"{text} %p%"

    def show_busy(self, is_busy):
        """Show progress and Cancel only while something runs."""
        self._is_busy = is_busy
        for area in self._areas:
            area.progressBar.visible = area.cancelButton.visible = is_busy

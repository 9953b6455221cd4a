"""The question about the chosen scans above a panel's controls: whose they are, and whether their order is right.

Packages that Slicer lacks are imported when a question is answered, so that Slicer starts without them.
"""

import slicer


class ScanQuestion:
    """Asks before scans are put together; the question stays until it is answered.

    The panel's .ui file contains a questionWidget with a questionLabel, a reasonLineEdit, a confirmButton and a
    declineButton; its parameters are `baseline` and `followup`, its session is a `FollowUpScene`.
    """

    def __init__(self, panel):
        self._panel, self._added, self._scans = panel, None, []
        panel.ui.questionWidget.visible = False

    def asks_patient(self):
        """Show the question that is open, if any; return whether it must be answered before the scans are chosen."""
        session, questions = self._panel.session, self._panel.session.questions
        chosen = [volume for volume in (*self._wanted(), self._added) if volume]
        replaced = [volume for volume in (session.baseline, session.followup) if volume not in chosen]
        self._scans = questions.patients(list(dict.fromkeys([*questions.staying(replaced), *chosen])))
        sentence, order = questions.ask_patient(self._scans), questions.ask_order()
        if sentence:
            self._show(sentence, "They are of one patient", "Choose other scans", needs_words=True)
        elif order:
            self._show(f"{order} Is the order right?", "Keep this order", "Order by date")
        self._panel.ui.questionWidget.visible = bool(sentence or order)
        return bool(sentence)

    def add_visit(self, volume):
        """Add a visit, after the answer to the question that it raises."""
        self._added = volume
        if not self.asks_patient():
            self._apply(self._wanted())

    def confirm(self):
        """Act on the button that confirms the choice of the scans."""
        from oncotrack.errors import OncoTrackError

        questions, wanted = self._panel.session.questions, self._wanted()
        try:
            if questions.ask_patient(self._scans):
                questions.confirm_patient(self._panel.ui.reasonLineEdit.text, self._scans)
                self._apply(wanted)
            else:
                questions.keep_order()
        except OncoTrackError as error:
            self._panel.show_error(error)
        self.asks_patient()

    def decline(self):
        """Act on the button that changes it."""
        session, parameters = self._panel.session, self._panel.parameters
        if session.questions.ask_patient(self._scans):
            self._added = None
            with slicer.util.NodeModify(parameters):
                parameters.baseline, parameters.followup = session.baseline, session.followup
        else:
            self._panel.call_session("order_by_date")
        self.asks_patient()

    def _wanted(self):
        return self._panel.parameters.baseline, self._panel.parameters.followup

    def _apply(self, wanted):
        session, added, self._added = self._panel.session, self._added, None
        self._panel.call_session("set_scans", *wanted)
        if added:
            self._panel.call_session("set_visits", [*session.visits, added])
        session.questions.forget_others()

    def _show(self, sentence, yes, no, needs_words=False):
        ui = self._panel.ui
        if ui.questionLabel.text != sentence:
            ui.reasonLineEdit.text = ""
        ui.questionLabel.text, ui.confirmButton.text, ui.declineButton.text = sentence, yes, no
        ui.reasonLineEdit.visible = needs_words

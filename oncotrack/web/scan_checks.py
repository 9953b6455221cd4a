"""Checks of scans that are put together: whose they are, before they are shown, and their order by date."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from oncotrack.findings.patient import Patient
from oncotrack.images.volume import Volume
from oncotrack.web.questions import Question
from oncotrack.web.roles import BASELINE, FOLLOWUP

if TYPE_CHECKING:
    from oncotrack.web.viewer import Viewer

_LABELS = {BASELINE: "baseline", FOLLOWUP: "follow-up"}
_REASON = "Reason why the scans belong to one patient"


class ScanChecks:
    """Asks the reader when the files contradict the choice of the scans.

    Parameters
    ----------
    viewer : Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer, self._session = viewer, viewer.session

    def before_showing(
        self, volumes: Mapping[str, Volume], show: Callable[[], object], refuse: Callable[[], object]
    ) -> None:
        """Show new scans when they belong to the patient of those that stay, or when the reader says why they do.

        Parameters
        ----------
        volumes : mapping of role to Volume
            The new scans.
        show, refuse : callable
            Called once, one of them.
        """
        self._ask_patient(self._scans_with(volumes), show, refuse)

    def after_showing(self, refuse: Callable[[], object], rearranged: Callable[[], object]) -> bool:
        """Check the scans of a scene: ask whose they are, then about their order. Return whether anything is asked.

        Parameters
        ----------
        refuse : callable
            Called when they are not of one patient.
        rearranged : callable
            Called after the reader's answer, when the scans or their order may be others.
        """
        questions = self._session.questions
        if questions.ask_patient():
            self._ask_patient(questions.patients(), rearranged, refuse)
            return True
        if sentence := questions.ask_order():
            is_pair = len(self._session.visits) == 2

            def keep(_words: str) -> None:
                questions.keep_order()
                rearranged()

            def change() -> None:
                self._session.order_by_date()
                rearranged()

            self._viewer.questions.ask(
                Question(
                    "Order of the scans",
                    f"{sentence} Is the order right?",
                    "Keep this order",
                    "Swap the scans" if is_pair else "Order by date",
                    keep,
                    change,
                )
            )
            return True
        return False

    def _ask_patient(
        self, scans: list[tuple[str, Patient]], go_on: Callable[[], object], refuse: Callable[[], object]
    ) -> None:
        questions = self._session.questions
        sentence = questions.ask_patient(scans)
        if not sentence:
            go_on()
            return

        def confirm(words: str) -> None:
            questions.confirm_patient(words, scans)
            go_on()

        def stop() -> None:
            refuse()
            self._viewer.show_message("Nothing was opened, because the scans are of different patients.", "error")

        self._viewer.questions.ask(
            Question("One patient?", sentence, "They are of one patient", "Do not open", confirm, stop, _REASON)
        )

    def _scans_with(self, volumes: Mapping[str, Volume]) -> list[tuple[str, Patient]]:
        """Return the scans that will be visits together, by their names."""
        session = self._session
        kept = session.questions.staying([getattr(session, role) for role in (BASELINE, FOLLOWUP) if role in volumes])
        new = [(_LABELS.get(role, volume.name), Patient.of(volume.metadata)) for role, volume in volumes.items()]
        known = session.questions.patients(kept)
        names = {name for name, _patient in known}
        return known + [(f"new {name}" if name in names else name, who) for name, who in new]

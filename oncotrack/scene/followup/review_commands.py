"""A reader's decisions on findings and their matches, as commands on the list."""

from __future__ import annotations

from collections.abc import Sequence

from oncotrack.findings.finding import Finding, Observation, State
from oncotrack.scene.session.finding_commands import FindingCommands


class ReviewCommands(FindingCommands):
    """The commands of a follow-up session, which decide on the matches in the follow-up.

    Attributes
    ----------
    baseline_id, followup_id : str
        Time points of the scan with the lesions and of the scan with the matches.
    """

    baseline_id: str
    followup_id: str

    @property
    def current(self) -> Finding | None:
        """The finding the reader works on."""
        return self.nodes.current

    @property
    def decided_time_point(self) -> str:
        """Time point of the follow-up."""
        return self.followup_id

    @property
    def match(self) -> Observation | None:
        """The current finding's observation in the follow-up, or None."""
        return self.current.at(self.followup_id) if self.current else None

    def mark_absent(self, uid: str = "") -> None:
        """Record that a lesion is no longer present in the follow-up."""
        self._decide(uid, State.ABSENT)

    def _decide(self, uid: str, state: State) -> None:
        """Decide on a match; who accepts it accepts the size that was proposed for the lesion at baseline, too."""
        finding = self._finding(uid)
        with self.findings.group(f"mark {finding.label} {state.value}"):
            super()._decide(finding.uid, state)
            before = finding.at(self.baseline_id)
            if state is State.ACCEPTED and before is not None and before.is_size_proposed:
                self.findings.set_state(finding.uid, self.baseline_id, state, self.reader or "reader")

    def remove_everywhere(self, uid: str = "") -> None:
        """Remove a finding from all time points."""
        uid = self._finding(uid).uid
        self._go_to_next_current(lambda: self.findings.remove_everywhere(uid))

    def move_match(self, at: Sequence[float], uid: str = "") -> None:
        """Move the match to a position in the follow-up (RAS mm), as the reader does by dragging its mark."""
        uid = self._finding(uid).uid
        self.findings.move(uid, self.followup_id, at)
        self.go_to(uid)

    def take_alternative(self, index: int, uid: str = "") -> None:
        """Exchange the match with its alternative number `index` (from 0), and centre the views on it."""
        uid = self._finding(uid).uid
        self.findings.take_alternative(uid, self.followup_id, index)
        self.go_to(uid)

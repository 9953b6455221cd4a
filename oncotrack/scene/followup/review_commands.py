"""What a reader decides about findings and their matches: commands on the list."""

from __future__ import annotations

from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding, Observation, State
from oncotrack.findings.finding_list import FindingList
from oncotrack.scene.nodes.finding_nodes import FindingNodes


class ReviewCommands:
    """The part of a follow-up session that edits the list; every method is one step of undo.

    Attributes
    ----------
    nodes : FindingNodes
    followup_id : str
        Time point of the scan whose matches are decided about.
    """

    nodes: FindingNodes
    followup_id: str

    @property
    def findings(self) -> FindingList:
        """The list behind the nodes, with undo and redo."""
        return self.nodes.findings

    @property
    def current(self) -> Finding | None:
        """The finding the reader works on."""
        return self.nodes.current

    @property
    def match(self) -> Observation | None:
        """What is seen of the current finding in the follow-up."""
        return self.current.at(self.followup_id) if self.current else None

    def accept(self, uid: str = "") -> None:
        """The match is right."""
        self.findings.set_state(self._finding(uid).uid, self.followup_id, State.ACCEPTED, "reader")

    def reject(self, uid: str = "") -> None:
        """The match is wrong."""
        self.findings.set_state(self._finding(uid).uid, self.followup_id, State.REJECTED, "reader")

    def mark_absent(self, uid: str = "") -> None:
        """The lesion is not in the follow-up any more."""
        self.findings.set_state(self._finding(uid).uid, self.followup_id, State.ABSENT, "reader")

    def remove_everywhere(self, uid: str = "") -> None:
        """Remove a finding from all time points."""
        self.findings.remove_everywhere(self._finding(uid).uid)

    def rename(self, label: str, uid: str = "") -> None:
        """Give a finding another label."""
        self.findings.rename(self._finding(uid).uid, label)

    def take_alternative(self, index: int, uid: str = "") -> None:
        """Put the match where its alternative number `index` (from 0) is, and go there."""
        uid = self._finding(uid).uid
        self.findings.take_alternative(uid, self.followup_id, index)
        self.go_to(uid)

    def undo(self) -> None:
        """Take the last edit back."""
        self.findings.undo()

    def redo(self) -> None:
        """Do it again."""
        self.findings.redo()

    def go_to(self, uid: str = "") -> None:
        """Make a finding the current one and show its places."""
        raise NotImplementedError

    def _finding(self, uid: str) -> Finding:
        if uid:
            return self.findings[uid]
        if self.current is None:
            raise InputError("No finding is chosen. Choose one in the list, or place a point in the baseline.")
        return self.current

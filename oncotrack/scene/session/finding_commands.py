"""The commands on findings that every session offers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding, Kind, Role, Side, State
from oncotrack.findings.finding_list import FindingList
from oncotrack.scene.nodes.finding_nodes import FindingNodes

_MOVED_MM = 1.0


class FindingCommands:
    """Decisions on the findings at one time point; each command is one step of undo.

    The base of `ScanSession` (from which DetectionScene and, by MaskEditing, RecistScene derive) and of ReviewCommands,
    from which FollowTasks and FollowUpScene derive. A subclass sets `nodes` and defines `current`,
    `decided_time_point`, `go_to` and `_step`.

    Attributes
    ----------
    nodes : FindingNodes
    """

    nodes: FindingNodes

    @property
    def findings(self) -> FindingList:
        """The list behind the nodes, with undo and redo."""
        return self.nodes.findings

    @property
    def current(self) -> Finding | None:
        """The finding the reader works on."""
        raise NotImplementedError

    @property
    def decided_time_point(self) -> str:
        """Time point of the observations that `accept` and `reject` change."""
        raise NotImplementedError

    def accept(self, uid: str = "") -> None:
        """Accept a finding (the current one by default) at `decided_time_point`."""
        self._decide(uid, State.ACCEPTED)

    def reject(self, uid: str = "") -> None:
        """Reject a finding at `decided_time_point`; later runs of a detector do not propose it again."""
        self._decide(uid, State.REJECTED)

    def decide_several(self, uids: Sequence[str], state: State) -> int:
        """Set the state of several findings at `decided_time_point` in one step of undo, and return how many have it now.

        Findings that are not marked at that time point are left as they are.
        """
        marked = [uid for uid in uids if uid in self.findings and self.findings[uid].at(self.decided_time_point)]
        with self.findings.group(f"mark {len(marked)} findings {state.value}"):
            for uid in marked:
                self._decide(uid, state)
        return len(marked)

    def remove_several(self, uids: Sequence[str]) -> int:
        """Remove several findings from all scans in one step of undo, and return their number."""
        known = [uid for uid in uids if uid in self.findings]

        def remove() -> None:
            with self.findings.group(f"delete {len(known)} findings"):
                for uid in known:
                    self.findings.remove_everywhere(uid)

        self._go_to_next_current(remove)
        return len(known)

    def rename(self, label: str, uid: str = "") -> None:
        """Give a finding another label."""
        self.findings.rename(self._finding(uid).uid, label)

    def describe(
        self,
        uid: str = "",
        *,
        kind: Kind | str | None = None,
        role: Role | str | None = None,
        side: Side | str | None = None,
        site: str | None = None,
        comment: str | None = None,
    ) -> Finding:
        """Change the description of a finding (the current one by default), one step of undo; what is None stays.

        Parameters
        ----------
        uid : str
            The finding.
        kind, role, side, site, comment
            As in `FindingList.describe`; the reader's name is `reader`.
        """
        uid, reader = self._finding(uid).uid, self.nodes.reader
        return self.findings.describe(uid, kind=kind, role=role, side=side, site=site, comment=comment, reader=reader)

    @property
    def reader(self) -> str:
        """Name of the reader, which every decision and description in this scene gets; "" while it is not given."""
        return self.nodes.reader

    @reader.setter
    def reader(self, name: str) -> None:
        self.nodes.reader = " ".join(name.split())

    def undo(self) -> None:
        """Undo the last edit, and go to the finding that it changes."""
        self._go_to_change(self.findings.undo)

    def redo(self) -> None:
        """Redo the last edit that was undone, and go to the finding that it changes."""
        self._go_to_change(self.findings.redo)

    def go_to(self, uid: str = "") -> None:
        """Make a finding the current one and show it in the views."""
        raise NotImplementedError

    def next(self) -> None:
        """Go to the next finding of the list; after the last comes the first."""
        self._step(1)

    def previous(self) -> None:
        """Go to the previous finding; before the first comes the last."""
        self._step(-1)

    def _step(self, by: int) -> None:
        raise NotImplementedError

    def _go_to_change(self, change: Callable[[], None]) -> None:
        """Change the list, then go to the finding that is different, of several to the current one, unless the views show it already."""
        before, was = {finding.uid: finding for finding in self.findings}, self._current_uid
        self._go_to_next_current(change)
        changed = [finding for finding in self.findings if before.get(finding.uid) is not finding]
        if len(changed) > 1:
            changed = [finding for finding in changed if finding.uid == was]
        for finding in changed:
            if finding.uid != was or _is_elsewhere(before.get(was), finding):
                self.go_to(finding.uid)

    def _go_to_next_current(self, change: Callable[[], None]) -> None:
        """Change the list; where another finding is the current one then, go to it."""
        was = self._current_uid
        change()
        if self._current_uid not in ("", was):
            self.go_to()

    @property
    def _current_uid(self) -> str:
        return self.current.uid if self.current else ""

    def _decide(self, uid: str, state: State) -> None:
        self.findings.set_state(self._finding(uid).uid, self.decided_time_point, state, self.reader or "reader")

    def _finding(self, uid: str) -> Finding:
        if uid:
            return self.findings[uid]
        if self.current is None:
            raise InputError("No finding is chosen. Choose one in the list, or mark one in a scan.")
        return self.current


def _is_elsewhere(before: Finding | None, now: Finding) -> bool:
    """Return whether a position of a finding differs by more than a voxel; slice boxes are edited slice by slice, where the reader looks."""
    if before is None:
        return False
    return any(
        (old := before.at(time_point)) and not seen.tracklet and math.dist(old.centre, seen.centre) > _MOVED_MM
        for time_point, seen in now.observations.items()
    )

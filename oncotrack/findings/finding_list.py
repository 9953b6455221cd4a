"""The one list of findings: every change is a command that can be undone, all of it goes through JSON.

The values it holds are in `oncotrack.findings.finding` and can be imported from here too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from undo_stack import Signal, UndoCommand, UndoStack

from oncotrack.atomic import write_text
from oncotrack.errors import InputError
from oncotrack.findings.finding import (
    Alternative,
    Axis,
    Box,
    Finding,
    Kind,
    MatchEvidence,
    Observation,
    Point,
    Provenance,
    Role,
    State,
    TimePoint,
    new_uid,
    point,
)

__all__ = [
    "SCHEMA",
    "VERSION",
    "Alternative",
    "Axis",
    "Box",
    "Finding",
    "FindingList",
    "Kind",
    "MatchEvidence",
    "Observation",
    "Point",
    "Provenance",
    "Role",
    "State",
    "TimePoint",
    "new_uid",
    "point",
]

SCHEMA = "oncotrack-findings"
VERSION = 1


@dataclass(frozen=True)
class _Document:
    """What the JSON file holds."""

    time_points: tuple[TimePoint, ...]
    findings: tuple[Finding, ...]
    schema: str = SCHEMA
    version: int = VERSION


class _Edit(UndoCommand):
    """Swaps one immutable document for another; undo puts the old one back."""

    def __init__(self, show: Callable[[_Document], None], text: str, before: _Document, after: _Document) -> None:
        super().__init__()
        self._text, self._show, self._before, self._after = text, show, before, after

    def undo(self) -> None:
        self._show(self._before)

    def redo(self) -> None:
        self._show(self._after)


class FindingList:
    """The findings of one patient, in order, over all time points, with undo and redo of every change.

    Listeners connect to `changed` (no arguments); it is emitted once after each command, undo and redo.

    Examples
    --------
    >>> findings = FindingList([TimePoint("t0", "baseline"), TimePoint("t1", "follow-up")])
    >>> lesion = findings.add("t0", Observation(centre=(0, 0, 0), state=State.ACCEPTED))
    >>> findings.undo()
    >>> len(findings)
    0
    """

    changed = Signal()

    def __init__(self, time_points: Sequence[TimePoint] = (), findings: Sequence[Finding] = ()) -> None:
        self._document = _Document(tuple(time_points), tuple(findings))
        self._stack = UndoStack()
        self._group_depth = 0

    # what is in it

    def __len__(self) -> int:
        return len(self._document.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._document.findings)

    def __contains__(self, uid: str) -> bool:
        return any(finding.uid == uid for finding in self)

    def __getitem__(self, uid: str) -> Finding:
        for finding in self:
            if finding.uid == uid:
                return finding
        raise InputError(f"There is no finding {uid} in the list; it may have been deleted. Undo brings it back.")

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, in order."""
        return self._document.findings

    @property
    def time_points(self) -> tuple[TimePoint, ...]:
        """The patient's scans, earliest first."""
        return self._document.time_points

    def seen_at(self, time_point: str) -> list[tuple[Finding, Observation]]:
        """The findings seen at a time point, in order, with what is seen of them."""
        seen = ((finding, finding.at(time_point)) for finding in self)
        return [(finding, observation) for finding, observation in seen if observation is not None]

    def next_label(self, kind: Kind = Kind.LESION) -> str:
        """The first free label of a kind: "LN 3" for nodes, "L 3" for lesions."""
        prefix = "LN" if kind is Kind.LYMPH_NODE else "L"
        used = {finding.label for finding in self}
        return next(label for n in range(1, len(used) + 2) if (label := f"{prefix} {n}") not in used)

    # commands: each is one step of undo

    def set_time_points(self, time_points: Sequence[TimePoint]) -> None:
        """Say which scans the findings live on."""
        self._replace("set scans", time_points=tuple(time_points))

    def add(
        self,
        time_point: str,
        observation: Observation,
        *,
        kind: Kind = Kind.LESION,
        label: str = "",
        role: Role = Role.TARGET,
        site: str = "",
    ) -> Finding:
        """A new finding seen at one time point; returns it."""
        finding = Finding(
            label=label or self.next_label(kind),
            kind=kind,
            role=role,
            site=site,
            observations={time_point: observation},
        )
        return self.insert(finding)

    def insert(self, finding: Finding) -> Finding:
        """Append a finding that was made elsewhere (a detector, a file)."""
        if finding.uid in self:
            raise InputError(f"The finding {finding.label} ({finding.uid}) is already in the list.")
        self._replace(f"add {finding.label}", findings=(*self.findings, finding))
        return finding

    def remove_everywhere(self, uid: str) -> None:
        """Remove a finding at all time points.

        Parameters
        ----------
        uid : str

        Raises
        ------
        InputError
            There is no such finding in the list.
        """
        removed = self[uid]
        self._replace(f"delete {removed.label}", findings=tuple(f for f in self if f.uid != uid))

    def remove_from_scan(self, uid: str, time_point: str) -> None:
        """Remove a finding at one time point only; without any other observation it leaves the list.

        Parameters
        ----------
        uid : str
        time_point : str

        Raises
        ------
        InputError
            There is no such finding in the list, or it has no observation at this time point.
        """
        finding = self[uid]
        if finding.at(time_point) is None:
            raise InputError(f"{finding.label} is not marked on this scan, so that nothing can be removed from it.")
        if len(finding.observations) == 1:
            self.remove_everywhere(uid)
        else:
            self.observe(uid, time_point, None, f"delete {finding.label} on this scan")

    def update(self, uid: str, text: str = "", **fields: Any) -> Finding:
        """Change fields of a finding (label, kind, site, role, observations)."""
        old = self[uid]
        new = replace(old, **fields)
        if new != old:
            self._replace(text or f"change {old.label}", findings=tuple(new if f.uid == uid else f for f in self))
        return new

    def rename(self, uid: str, label: str) -> Finding:
        """Give a finding another label; InputError when it is empty or taken."""
        label = label.strip()
        if not label:
            raise InputError("A finding needs a label; type at least one character.")
        if any(f.label == label and f.uid != uid for f in self):
            raise InputError(f"Another finding is already called {label}; choose another label.")
        return self.update(uid, f"rename {self[uid].label} to {label}", label=label)

    def observe(self, uid: str, time_point: str, observation: Observation | None, text: str = "") -> Finding:
        """Set, or remove with None, what is seen of a finding at a time point."""
        finding = self[uid]
        return self.update(
            uid, text or f"observe {finding.label}", observations=finding.observed(time_point, observation).observations
        )

    def set_state(self, uid: str, time_point: str, state: State, reader: str = "") -> Finding:
        """Accept, reject or mark as absent what is seen at a time point."""
        old = self._observation(uid, time_point)
        if old.state is state:
            return self[uid]
        provenance = replace(old.provenance, reader=reader or old.provenance.reader, when=Provenance().when)
        new = replace(old, state=state, provenance=provenance)
        return self.observe(uid, time_point, new, f"mark {self[uid].label} {state.value}")

    def move(self, uid: str, time_point: str, centre: Sequence[float], reader: str = "reader") -> Finding:
        """Put a finding elsewhere by hand: its box and axes move along, its state becomes `edited`.

        A tracklet, a mask with its volume and the match's cycle error belong to the old place and are dropped.
        """
        old = self._observation(uid, time_point)
        centre = point(centre, "centre")
        if centre == old.centre:
            return self[uid]
        by = tuple(b - a for a, b in zip(old.centre, centre, strict=True))
        new = replace(
            old,
            centre=centre,
            state=State.EDITED,
            tracklet=None,
            volume_mm3=None,
            mask=None,
            box=old.box and Box(_shifted(old.box.low, by), _shifted(old.box.high, by)),
            evidence=old.evidence and replace(old.evidence, cycle_error_mm=None),
            long_axis=old.long_axis and Axis(_shifted(old.long_axis.start, by), _shifted(old.long_axis.end, by)),
            short_axis=old.short_axis and Axis(_shifted(old.short_axis.start, by), _shifted(old.short_axis.end, by)),
            provenance=replace(old.provenance, reader=reader, when=Provenance().when),
        )
        return self.observe(uid, time_point, new, f"move {self[uid].label}")

    def take_alternative(self, uid: str, time_point: str, index: int, reader: str = "reader") -> Finding:
        """Swap the match with one of its alternatives, cycle errors included; the old match becomes that alternative."""
        old = self._observation(uid, time_point)
        alternatives = old.evidence.alternatives if old.evidence else ()
        if not 0 <= index < len(alternatives):
            raise InputError(
                f"{self[uid].label} has {len(alternatives)} alternatives; number {index + 1} is not among them."
            )
        taken = alternatives[index]
        kept = Alternative(old.centre, old.score or 0.0, old.evidence.cycle_error_mm)
        swapped = tuple(kept if n == index else a for n, a in enumerate(alternatives))
        with self.group(f"take alternative {index + 1} of {self[uid].label}"):
            self.move(uid, time_point, taken.centre, reader)
            moved = self._observation(uid, time_point)
            evidence = replace(old.evidence, alternatives=swapped, cycle_error_mm=taken.cycle_error_mm)
            return self.observe(uid, time_point, replace(moved, score=taken.score, evidence=evidence))

    # undo

    @contextmanager
    def group(self, text: str) -> Iterator[None]:
        """Make everything inside one step of undo; an exception inside puts everything back."""
        before = self._document
        self._group_depth += 1
        try:
            yield
        except BaseException:
            self._document = before
            raise
        finally:
            self._group_depth -= 1
        if self._document is not before:
            after, self._document = self._document, before
            self._commit(text, after)

    def undo(self) -> None:
        """Take the last command back."""
        if self.can_undo:
            self._stack.undo()
            self.changed.emit()  # only now does the stack know what can be undone and redone

    def redo(self) -> None:
        """Do the last undone command again."""
        if self.can_redo:
            self._stack.redo()
            self.changed.emit()  # only now does the stack know what can be undone and redone

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""
        return self._stack.can_undo()

    @property
    def can_redo(self) -> bool:
        """Whether there is something to redo."""
        return self._stack.can_redo()

    @property
    def undo_text(self) -> str:
        """What undo would take back, for a tooltip."""
        return self._stack.undo_text()

    @property
    def redo_text(self) -> str:
        """What redo would do again, for a tooltip."""
        return self._stack.redo_text()

    @property
    def is_saved(self) -> bool:
        """Whether nothing changed since the last `mark_saved`."""
        return self._stack.is_clean()

    def mark_saved(self) -> None:
        """Remember that what is here now is on disk."""
        self._stack.set_clean()

    # in and out

    def to_json(self) -> str:
        """The whole list as JSON text (schema "oncotrack-findings", version 1)."""
        return _adapter().dump_json(self._document, indent=1).decode()

    @classmethod
    def from_json(cls, text: str, source: str = "The findings") -> FindingList:
        """Read what `to_json` wrote; `source` names it in messages.

        Raises
        ------
        InputError
            Not JSON, another schema, a newer version, or a field that does not fit (named).
        """
        document = _parse(text, source)
        return cls(document.time_points, document.findings)

    def load_json(self, text: str, source: str = "The findings") -> None:
        """Take over another list's content, as one undoable command."""
        self._commit("load findings", _parse(text, source))

    def save(self, path: str | Path) -> Path:
        """Write the JSON file, atomically."""
        return write_text(path, self.to_json())

    @classmethod
    def open(cls, path: str | Path) -> FindingList:
        """Read a JSON file."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"{path} could not be read as a findings file. Choose a findings.json that OncoTrack wrote."
            ) from error
        return cls.from_json(text, str(path))

    # inside

    def _observation(self, uid: str, time_point: str) -> Observation:
        finding = self[uid]
        observation = finding.at(time_point)
        if observation is None:
            raise InputError(f"{finding.label} has not been looked for at time point {time_point} yet.")
        return observation

    def _replace(self, text: str, **fields: Any) -> None:
        self._commit(text, replace(self._document, **fields))

    def _commit(self, text: str, after: _Document) -> None:
        if self._group_depth:
            self._document = after
            return
        before = self._document
        self._document = after
        self._stack.push(_Edit(self._show, text, before, after))
        self.changed.emit()

    def _show(self, document: _Document) -> None:
        self._document = document


def _shifted(place: Point, by: Sequence[float]) -> Point:
    return tuple(a + b for a, b in zip(place, by, strict=True))


@cache
def _adapter() -> Any:
    from pydantic import ConfigDict, TypeAdapter, with_config

    return TypeAdapter(with_config(ConfigDict(allow_inf_nan=False))(_Document))


def _parse(text: str, source: str) -> _Document:
    from pydantic import ValidationError

    try:
        head = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{source} is not JSON (line {error.lineno}: {error.msg}). Choose a findings.json that OncoTrack wrote."
        ) from error
    if not isinstance(head, dict) or head.get("schema") != SCHEMA:
        raise InputError(f'{source} is not an OncoTrack findings file: its "schema" is not "{SCHEMA}".')
    version = head.get("version")
    if not isinstance(version, int) or not 1 <= version <= VERSION:
        raise InputError(
            f"{source} has version {version} of the findings schema and this OncoTrack reads up to {VERSION}. Update OncoTrack."
        )
    try:
        document = _adapter().validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{source} does not fit the findings schema at {where}: {first['msg']}.") from error
    uids = [finding.uid for finding in document.findings]
    if len(set(uids)) < len(uids):
        raise InputError(f"{source} holds two findings with the same tracking UID. Remove one of them.")
    return document

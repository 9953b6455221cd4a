"""The list of a patient's findings: every change is a command that can be undone; the whole list is one JSON file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

from oncotrack.atomic import write_text
from oncotrack.errors import InputError
from oncotrack.findings import findings_json
from oncotrack.findings.edit_history import EditHistory
from oncotrack.findings.finding import Finding, Kind, Observation, Role, Side, State, TimePoint
from oncotrack.findings.findings_json import FindingsDocument
from oncotrack.findings.measurement import Measurement
from oncotrack.findings.note import Note
from oncotrack.findings.observation_edits import moved, with_alternative, with_state
from oncotrack.json_text import read_text

LONGEST = {"label": 100, "site": 200, "comment": 5000}
"""Most characters of what a reader types."""


class FindingList(EditHistory[FindingsDocument]):
    """The findings of one patient, in order, over all time points, with undo and redo of every change.

    Listeners connect to `changed` (no arguments); it is emitted once after each command, undo and redo.

    Parameters
    ----------
    time_points : sequence of TimePoint
        The patient's scans, in the reader's order.
    findings : sequence of Finding
        The findings to begin with.
    notes : sequence of Note
        The reader's answers to questions about the scans.
    measurements : sequence of Measurement
        The reader's measurements; `MeasurementList` changes them.
    criteria : str
        Criteria of the response to treatment.

    Examples
    --------
    >>> from oncotrack.findings.finding import Observation, State, TimePoint
    >>> findings = FindingList([TimePoint("t0", "baseline"), TimePoint("t1", "follow-up")])
    >>> lesion = findings.add("t0", Observation(centre=(0, 0, 0), state=State.ACCEPTED))
    >>> findings.undo()
    >>> len(findings)
    0
    """

    def __init__(
        self,
        time_points: Sequence[TimePoint] = (),
        findings: Sequence[Finding] = (),
        notes: Sequence[Note] = (),
        measurements: Sequence[Measurement] = (),
        criteria: str = FindingsDocument.criteria,
    ) -> None:
        content = FindingsDocument(tuple(time_points), tuple(findings), tuple(notes), tuple(measurements))
        super().__init__(replace(content, criteria=criteria))
        self._saved_header = self._header
        self._index: tuple[tuple[Finding, ...], dict[str, Finding]] | None = None
        self._seen: tuple[tuple[Finding, ...], dict[str, list[tuple[Finding, Observation]]]] | None = None
        self._texts: findings_json.Known = {}
        self._dumped: tuple[FindingsDocument, str] | None = None
        self.window_at: Callable[[str], tuple[float, float] | None] = lambda _time_point: None
        """Returns the window (width, level) in which a viewer shows the scan of a time point."""

    # content

    def __len__(self) -> int:
        return len(self._content.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._content.findings)

    def __contains__(self, uid: str) -> bool:
        return uid in self._by_uid

    def __getitem__(self, uid: str) -> Finding:
        if (finding := self._by_uid.get(uid)) is not None:
            return finding
        raise InputError(f"There is no finding {uid} in the list; it may have been deleted. Undo restores it.")

    def find(self, uid: str) -> Finding | None:
        """Return a finding, or None when it is not in the list.

        Parameters
        ----------
        uid : str
            Identifier of the finding.
        """
        return self._by_uid.get(uid)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, in order."""
        return self._content.findings

    @property
    def time_points(self) -> tuple[TimePoint, ...]:
        """The patient's scans, in the reader's order."""
        return self._content.time_points

    @property
    def notes(self) -> tuple[Note, ...]:
        """The reader's answers to questions about the scans, oldest first."""
        return self._content.notes

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """The reader's measurements, oldest first."""
        return self._content.measurements

    @property
    def criteria(self) -> str:
        """Criteria of the response to treatment, "recist11" or "irecist"."""
        return self._content.criteria

    @property
    def used_time_points(self) -> set[str]:
        """Identifiers of the time points with findings or measurements."""
        return {*self._by_time_point, *(measurement.time_point for measurement in self.measurements)}

    @property
    def is_saved(self) -> bool:
        """Whether nothing has changed since the last `mark_saved`."""
        return super().is_saved and (not self.used_time_points or self._header == self._saved_header)

    def mark_saved(self) -> None:
        """Remember that the present value has been saved."""
        super().mark_saved()
        self._saved_header = self._header

    def observations_at(self, time_point: str) -> list[tuple[Finding, Observation]]:
        """Return the findings that have an observation at a time point, in order, each with its observation.

        Parameters
        ----------
        time_point : str
            Identifier of the time point.
        """
        return list(self._by_time_point.get(time_point, ()))

    def is_still(self, finding: Finding, *time_points: str) -> bool:
        """Return whether a finding is in the list with the same observations as before at these time points.

        Work that took time asks this before it replaces an observation, so that a decision of the reader is kept.

        Parameters
        ----------
        finding : Finding
            As it was when the work began.
        *time_points : str
            Identifiers of the time points that the work reads or changes.
        """
        return finding.uid in self and all(self[finding.uid].at(each) == finding.at(each) for each in time_points)

    def next_label(self, kind: Kind = Kind.LESION) -> str:
        """Return the first label of a kind that no finding of this session had: "LN 3" for lymph nodes, else "L 3".

        A label that was freed by renaming or deleting is not given again, because the reader may have dictated it.

        Parameters
        ----------
        kind : Kind
            What the new finding is.
        """
        prefix = "LN" if kind is Kind.LYMPH_NODE else "L"
        used = {*self._content.freed_labels, *(finding.label for finding in self)}
        return next(label for n in range(1, len(used) + 2) if (label := f"{prefix} {n}") not in used)

    # commands: each is one step of undo

    def set_time_points(self, time_points: Sequence[TimePoint]) -> None:
        """Replace the time points.

        Parameters
        ----------
        time_points : sequence of TimePoint
            The patient's scans, in the reader's order.
        """
        self._replace("set scans", time_points=tuple(time_points))

    def arrange_time_points(self, time_points: Sequence[TimePoint]) -> None:
        """Set the order and the labels of the time points. It is no step of undo: it follows the choice of the scans.

        Parameters
        ----------
        time_points : sequence of TimePoint
            Those of the list.
        """
        self._change_without_undo(time_points=tuple(time_points))

    def set_criteria(self, criteria: str) -> None:
        """Choose the criteria of the response to treatment.

        Parameters
        ----------
        criteria : str
            A key of `response.result.CRITERIA`.
        """
        if criteria != self.criteria:
            self._replace("choose the criteria", criteria=criteria)

    def set_notes(self, notes: Sequence[Note]) -> None:
        """Set the reader's answers to questions about the scans. Undo does not change them.

        Parameters
        ----------
        notes : sequence of Note
            All of them, oldest first.
        """
        self._change_without_undo(notes=tuple(notes))

    def set_measurements(self, measurements: Sequence[Measurement], text: str) -> None:
        """Replace the measurements.

        Parameters
        ----------
        measurements : sequence of Measurement
            All of them, oldest first.
        text : str
            Name of the command, for the tooltips of undo and redo.
        """
        self._replace(text, measurements=tuple(measurements))

    def add(
        self,
        time_point: str,
        observation: Observation,
        *,
        kind: Kind = Kind.LESION,
        label: str = "",
        role: Role = Role.NONE,
        site: str = "",
        side: Side = Side.NOT_STATED,
    ) -> Finding:
        """Add a new finding that is observed at one time point, and return it.

        Parameters
        ----------
        time_point : str
            Identifier of the time point.
        observation : Observation
            Its observation there.
        kind, label, role, site, side
            Fields of the `Finding`; without a label it gets `next_label`.
        """
        finding = Finding(
            label=label or self.next_label(kind),
            kind=kind,
            role=role,
            site=site,
            side=side,
            observations={time_point: self._with_window(None, time_point, observation)},
        )
        return self.insert(finding)

    def insert(self, finding: Finding) -> Finding:
        """Append a finding that was made elsewhere, by a detector or from a file, and return it.

        Parameters
        ----------
        finding : Finding
            Its UID must not be in the list yet.

        Raises
        ------
        InputError
            A finding with this UID is in the list already.
        """
        if finding.uid in self:
            raise InputError(f"The finding {finding.label} ({finding.uid}) is already in the list.")
        self._replace(f"add {finding.label}", findings=(*self.findings, finding))
        return finding

    def remove_everywhere(self, uid: str, *, keep_label: bool = True) -> None:
        """Remove a finding at all time points.

        Parameters
        ----------
        uid : str
            Identifier of the finding.
        keep_label : bool
            Whether `next_label` does not give its label again; False for proposals that no reader has seen.

        Raises
        ------
        InputError
            There is no such finding in the list.
        """
        removed = self[uid]
        self._replace(
            f"delete {removed.label}",
            findings=tuple(f for f in self if f.uid != uid),
            freed_labels=(*self._content.freed_labels, *([removed.label] if keep_label else [])),
        )

    def remove_from_scan(self, uid: str, time_point: str) -> None:
        """Remove a finding at one time point only; without any other observation it leaves the list.

        Parameters
        ----------
        uid, time_point : str
            Identifiers of the finding and of the time point.

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
        """Change fields of a finding and return it.

        Parameters
        ----------
        uid : str
            Identifier of the finding.
        text : str
            Name of the command, for the tooltips of undo and redo.
        **fields
            New values of `Finding` fields, for example label, kind, site, role, side, comment, observations.
        """
        old = self[uid]
        new = replace(old, **fields)
        if new != old:
            self._replace(text or f"change {old.label}", findings=tuple(new if f.uid == uid else f for f in self))
        return new

    def rename(self, uid: str, label: str) -> Finding:
        """Give a finding another label and return it.

        Parameters
        ----------
        uid : str
            Identifier of the finding.
        label : str
            The new label; spaces at its ends are dropped.

        Raises
        ------
        InputError
            The label is empty, too long, or belongs to another finding.
        """
        label = checked_length("label", label.strip())
        if not label:
            raise InputError("A finding needs a label; type at least one character.")
        if any(f.label == label and f.uid != uid for f in self):
            raise InputError(f"Another finding is already called {label}; choose another label.")
        old = self[uid]
        if label == old.label:
            return old
        self._replace(
            f"rename {old.label} to {label}",
            findings=tuple(replace(f, label=label) if f.uid == uid else f for f in self),
            freed_labels=(*self._content.freed_labels, old.label),
        )
        return self[uid]

    def describe(
        self,
        uid: str,
        *,
        kind: Kind | str | None = None,
        role: Role | str | None = None,
        side: Side | str | None = None,
        site: str | None = None,
        comment: str | None = None,
        reader: str = "",
    ) -> Finding:
        """Change the description of a finding, as one command, and return it; what is None stays as it is.

        Parameters
        ----------
        uid : str
            Identifier of the finding.
        kind, role, side : Kind, Role, Side or str
            What it is, its role in RECIST 1.1 and its side, also as the words of the enumerations.
        site : str
            Organ or lymph node station; see `sites.SITES`.
        comment : str
            The reader's comment.
        reader : str
            Name of the reader who describes it; "" leaves the name.

        Raises
        ------
        InputError
            There is no such finding, or no such kind, role or side, or a text is too long.
        """
        texts = {"site": site, "comment": comment}
        fields: dict[str, Any] = {
            name: checked_length(name, " ".join(text.split())) for name, text in texts.items() if text is not None
        }
        for name, choices, value in (("kind", Kind, kind), ("role", Role, role), ("side", Side, side)):
            if value is not None:
                fields[name] = _choice(name, choices, value)
        old = self[uid]
        if all(getattr(old, name) == value for name, value in fields.items()):
            return old
        return self.update(uid, f"describe {old.label}", **fields, reader=reader or old.reader)

    def observe(self, uid: str, time_point: str, observation: Observation | None, text: str = "") -> Finding:
        """Set the observation of a finding at a time point, or remove it with None, and return the finding.

        Parameters
        ----------
        uid, time_point : str
            Identifiers of the finding and of the time point.
        observation : Observation or None
            The new observation.
        text : str
            Name of the command, for the tooltips of undo and redo.
        """
        finding = self[uid]
        if observation is not None:
            observation = self._with_window(finding.at(time_point), time_point, observation)
        changed = finding.with_observation(time_point, observation)
        return self.update(uid, text or f"observe {finding.label}", observations=changed.observations)

    def set_state(self, uid: str, time_point: str, state: State, reader: str = "") -> Finding:
        """Set the state of an observation and return the finding.

        Parameters
        ----------
        uid, time_point : str
            Identifiers of the finding and of the time point.
        state : State
            The new state.
        reader : str
            Who decided; "" keeps the previous reader.

        Raises
        ------
        InputError
            There is no such finding, or it has no observation at this time point.
        """
        old = self[uid].observation(time_point)
        if old.state is state and not old.is_size_proposed:
            return self[uid]
        new = with_state(old, state, reader)
        return self.observe(uid, time_point, new, f"mark {self[uid].label} {state.value}")

    def move(self, uid: str, time_point: str, centre: Sequence[float], reader: str = "reader") -> Finding:
        """Move a finding, as a reader does, and return it; see `observation_edits.moved`.

        Parameters
        ----------
        uid, time_point : str
            Identifiers of the finding and of the time point.
        centre : (3,) float
            The new centre, RAS mm.
        reader : str
            Who moved it.

        Raises
        ------
        InputError
            There is no such finding, it has no observation at this time point, or the centre is not finite.
        """
        new = moved(self[uid].observation(time_point), centre, reader)
        return self.observe(uid, time_point, new, f"move {self[uid].label}")

    def take_alternative(self, uid: str, time_point: str, index: int, reader: str = "reader") -> Finding:
        """Exchange a match with one of its alternatives and return the finding; see `observation_edits.with_alternative`.

        Parameters
        ----------
        uid, time_point : str
            Identifiers of the finding and of the time point.
        index : int
            Which alternative, from 0.
        reader : str
            Who chose it.

        Raises
        ------
        InputError
            There is no such finding, observation or alternative.
        """
        new = with_alternative(self[uid].observation(time_point), index, reader)
        return self.observe(uid, time_point, new, f"take alternative {index + 1} of {self[uid].label}")

    # files

    def to_json(self) -> str:
        """Return the whole list as JSON text (see `findings_json`)."""
        if self._dumped is None or self._dumped[0] is not self._content:
            self._dumped = self._content, findings_json.dump(self._content, self._texts)
        return self._dumped[1]

    @classmethod
    def from_json(cls, text: str, source: str = "The findings") -> FindingList:
        """Read what `to_json` wrote.

        Parameters
        ----------
        text : str
            The JSON text.
        source : str
            Where it comes from, for messages.

        Raises
        ------
        InputError
            Not JSON, another schema, a newer version, or a field that does not fit (it is named).
        """
        document = findings_json.parse(text, source)
        return cls(document.time_points, document.findings, document.notes, document.measurements, document.criteria)

    def load_json(self, text: str, source: str = "The findings") -> None:
        """Replace the whole content by another list's, as one command.

        Parameters
        ----------
        text : str
            What that list's `to_json` returned.
        source : str
            Where it comes from, for messages.

        Raises
        ------
        InputError
            See `from_json`.
        """
        loaded = findings_json.parse(text, source)
        notes = tuple(dict.fromkeys((*loaded.notes, *self.notes)))
        self._content = replace(self._content, notes=notes)
        self._commit("load findings", replace(loaded, notes=notes))

    def save(self, path: str | Path) -> Path:
        """Write the JSON file, atomically.

        Parameters
        ----------
        path : path
            The file to write.

        Raises
        ------
        OutputError
            It cannot be written.
        """
        return write_text(path, self.to_json())

    @classmethod
    def open(cls, path: str | Path) -> FindingList:
        """Read a JSON file.

        Parameters
        ----------
        path : path
            The file to read.

        Raises
        ------
        InputError
            It cannot be read; see also `from_json`.
        """
        return cls.from_json(read_findings(path), str(path))

    # internals

    def _with_window(self, old: Observation | None, time_point: str, new: Observation) -> Observation:
        """Return an observation whose diameters a reader has just measured, with the window in which they were measured."""
        is_same = old is not None and (old.long_axis, old.short_axis) == (new.long_axis, new.short_axis)
        if is_same or new.state is not State.EDITED or not new.is_measured:
            return new
        return replace(new, provenance=replace(new.provenance, window=self.window_at(time_point)))

    @property
    def _by_uid(self) -> dict[str, Finding]:
        """The findings by UID, made once for each state of the list."""
        if self._index is None or self._index[0] is not self.findings:
            self._index = self.findings, {finding.uid: finding for finding in self.findings}
        return self._index[1]

    @property
    def _by_time_point(self) -> dict[str, list[tuple[Finding, Observation]]]:
        """The findings with their observations by time point, made once for each state of the list."""
        if self._seen is None or self._seen[0] is not self.findings:
            seen: dict[str, list[tuple[Finding, Observation]]] = {}
            for finding in self:
                for time_point, observation in finding.observations.items():
                    seen.setdefault(time_point, []).append((finding, observation))
            self._seen = self.findings, seen
        return self._seen[1]

    @property
    def _header(self) -> tuple:
        return self.time_points, self.notes

    def _set(self, content: FindingsDocument) -> None:
        super()._set(replace(content, notes=self.notes))

    def _change_without_undo(self, **fields: Any) -> None:
        self._content = replace(self._content, **fields)
        if not self._group_depth:
            self.changed.emit()

    def _replace(self, text: str, **fields: Any) -> None:
        self._commit(text, replace(self._content, **fields))


def read_findings(path: str | Path) -> str:
    """Return the text of a findings file.

    Parameters
    ----------
    path : path
        The file to read.

    Raises
    ------
    InputError
        There is no such file, it is a pipe or a device, or it is no text.
    """
    return read_text(path, "could not be read as a findings file. Choose a findings.json that OncoTrack wrote.")


def checked_length(name: str, text: str) -> str:
    """Return what a reader typed.

    Parameters
    ----------
    name : str
        What it is: "label", "site" or "comment".
    text : str
        The text.

    Raises
    ------
    InputError
        It is longer than `LONGEST` of its kind.
    """
    if len(text) > LONGEST[name]:
        raise InputError(
            f"The {name} has {len(text):,} characters; at most {LONGEST[name]:,} are kept. Shorten it, or write it elsewhere."
        )
    return text


def _choice(name: str, choices: type[Enum], value: Enum | str) -> Enum:
    try:
        return choices(value)
    except ValueError as error:
        known = ", ".join(f'"{each.value}"' for each in choices)
        raise InputError(f'There is no {name} "{value}". Choose one of {known}.') from error

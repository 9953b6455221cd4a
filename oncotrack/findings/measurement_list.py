"""The commands on the measurements of a list of findings; each is one step of its undo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from oncotrack.errors import InputError
from oncotrack.findings.finding import Finding, Observation, Provenance, State
from oncotrack.findings.finding_list import FindingList, checked_length
from oncotrack.findings.measurement import Measurement, Tool


class MeasurementList:
    """The measurements that a list of findings holds.

    Parameters
    ----------
    findings : FindingList
        The list, which keeps them beside the findings.
    """

    def __init__(self, findings: FindingList) -> None:
        self._findings = findings

    def __iter__(self) -> Iterator[Measurement]:
        return iter(self._findings.measurements)

    def __len__(self) -> int:
        return len(self._findings.measurements)

    def __getitem__(self, uid: str) -> Measurement:
        for measurement in self:
            if measurement.uid == uid:
                return measurement
        raise InputError("That measurement is not in the list any more. Undo restores it.")

    def next_label(self) -> str:
        """Return a label that no measurement of the list has: "M 3"."""
        used = {measurement.label for measurement in self}
        return next(label for n in range(1, len(used) + 2) if (label := f"M {n}") not in used)

    def add(self, measurement: Measurement) -> Measurement:
        """Append a measurement and return it.

        Parameters
        ----------
        measurement : Measurement
            The new one.

        Raises
        ------
        InputError
            It measures nothing.
        """
        self._set(f"measure {measurement.label}", (*self, measurement.checked()))
        return measurement

    def replace(self, measurement: Measurement, text: str = "") -> None:
        """Replace the measurement of the same UID.

        Parameters
        ----------
        measurement : Measurement
            As it is now.
        text : str
            Name of the command, for the tooltips of undo and redo.

        Raises
        ------
        InputError
            There is none of this UID, or it measures nothing.
        """
        old = self[measurement.uid]
        if measurement.checked() != old:
            changed = tuple(measurement if each is old else each for each in self)
            self._set(text or f"change {old.label}", changed)

    def rename(self, uid: str, label: str) -> None:
        """Give a measurement another label.

        Parameters
        ----------
        uid : str
            Of the measurement.
        label : str
            The new label; spaces at its ends are dropped.

        Raises
        ------
        InputError
            There is no such measurement, or the label is empty, too long or belongs to another one.
        """
        label, old = checked_length("label", label.strip()), self[uid]
        if not label:
            raise InputError("A measurement needs a label; type at least one character.")
        if any(each.label == label and each.uid != uid for each in self):
            raise InputError(f"Another measurement is already called {label}; choose another label.")
        self.replace(replace(old, label=label), f"rename {old.label} to {label}")

    def remove(self, uid: str) -> None:
        """Remove a measurement.

        Parameters
        ----------
        uid : str
            Of the measurement.

        Raises
        ------
        InputError
            There is no such measurement.
        """
        old = self[uid]
        self._set(f"delete {old.label}", tuple(each for each in self if each is not old))

    def make_finding(self, uid: str) -> Finding:
        """Turn a bidirectional measurement into a lesion with these diameters, and return it.

        Parameters
        ----------
        uid : str
            Of the measurement.

        Raises
        ------
        InputError
            There is no such measurement, or it has not two diameters.
        """
        old = self[uid]
        if old.tool is not Tool.BIDIRECTIONAL:
            raise InputError(
                f"{old.label} is no bidirectional measurement. Only one with two diameters can become a lesion."
            )
        long, short = old.axes
        seen = Observation(
            centre=old.centre,
            long_axis=long,
            short_axis=short,
            state=State.ACCEPTED,
            provenance=Provenance(reader=old.provenance.reader),
        )
        with self._findings.group(f"make {old.label} a lesion"):
            self.remove(uid)
            return self._findings.add(old.time_point, seen)

    def _set(self, text: str, measurements: tuple[Measurement, ...]) -> None:
        self._findings.set_measurements(measurements, text)

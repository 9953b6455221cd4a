"""Questions about the choice of scans: whose they are, and whether their order is right; the answers are kept with the findings."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import slicer

from oncotrack.findings.note import Note, kept_order, order_by_date, order_question, patient_question, same_patient
from oncotrack.findings.patient import Patient
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.time_points import time_point_id
from oncotrack.scene.nodes.volumes import patient
from oncotrack.scene.session.time_point_selection import TimePointSelection

_Scan = slicer.vtkMRMLScalarVolumeNode


class ScanQuestions:
    """What must be asked about the visits of a scene.

    Parameters
    ----------
    nodes : FindingNodes
    choice : TimePointSelection
    """

    def __init__(self, nodes: FindingNodes, choice: TimePointSelection) -> None:
        self._nodes, self._choice = nodes, choice

    # whose scans

    def patients(self, volumes: Sequence[_Scan] | None = None) -> list[tuple[str, Patient]]:
        """Return scans by their names with their patients: the visits, or these volumes."""
        chosen = self._choice
        labels = {each.id: each.label for each in chosen.time_points}
        return [
            (labels.get(time_point_id(volume)) or volume.GetName(), patient(volume))
            for volume in (chosen.visits if volumes is None else volumes)
        ]

    def staying(self, replaced: Collection[_Scan | None]) -> list[_Scan]:
        """Return the visits that stay when these scans are replaced: the others, and those with findings."""
        used = {time_point for finding in self._nodes.findings for time_point in finding.observations}
        return [each for each in self._choice.visits if each not in replaced or time_point_id(each) in used]

    def ask_patient(self, scans: Sequence[tuple[str, Patient]] | None = None) -> str:
        """Return a sentence when the visits, or these scans, may be of different patients and this was not answered; else ""."""
        return patient_question(self.patients() if scans is None else scans, self._nodes.findings.notes)

    def confirm_patient(self, reason: str, scans: Sequence[tuple[str, Patient]] | None = None) -> None:
        """Keep the reader's reason why the visits, or these scans, belong to one patient; InputError without words."""
        self._add(same_patient(self.patients() if scans is None else scans, reason))

    # their order

    def ask_order(self) -> str:
        """Return a sentence when the dates contradict the order of the visits and this was not answered; else ""."""
        return order_question(self._choice.time_points, self._nodes.findings.notes)

    def keep_order(self) -> None:
        """Keep the reader's answer that the order of the visits is right."""
        self._add(kept_order(self._choice.time_points))

    def by_date(self) -> list[_Scan]:
        """Return the visits in the order of their dates; those without a date keep their place."""
        visits = self._choice.visits
        return [visits[number] for number in order_by_date(self._choice.time_points)]

    def forget_others(self) -> None:
        """Remove answers about scans that are no visits any more; call it when all visits are chosen."""
        findings, visits = self._nodes.findings, self._choice.visits
        patients, dates = set(map(patient, visits)), {each.date for each in self._choice.time_points}
        kept = [note for note in findings.notes if patients >= set(note.patients) and dates >= set(note.dates)]
        if visits and len(kept) < len(findings.notes):
            findings.set_notes(kept)

    def _add(self, note: Note) -> None:
        self._nodes.list_node()  # keeps the list in the scene while it is empty
        self._nodes.findings.set_notes([*self._nodes.findings.notes, note])

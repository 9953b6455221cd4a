"""What is laid over the scans for the current finding: the anatomy map and the match's alternatives."""

from __future__ import annotations

from undo_stack import Signal

from oncotrack.errors import InputError
from oncotrack.findings import MatchEvidence
from oncotrack.heatmap import anatomy_map
from oncotrack.scene.alternatives import draw_alternatives, style_alternatives
from oncotrack.scene.anatomy import OPACITY, draw_map
from oncotrack.scene.finding_nodes import FindingNodes
from oncotrack.scene.parts import Key
from oncotrack.scene.rows import Row
from oncotrack.scene.scan_choice import ScanChoice
from oncotrack.scene.volumes import to_volume

MAP, COLOURS, ALTERNATIVES = Key("anatomy map"), Key("anatomy colours"), "alternatives"


class Layers:
    """Shows both scans in their rows and, over the follow-up, where the current finding was expected."""

    changed = Signal()

    def __init__(self, nodes: FindingNodes, choice: ScanChoice, baseline: Row, followup: Row) -> None:
        self._nodes, self._choice = nodes, choice
        self._baseline, self._followup = baseline, followup
        self._is_map_shown = False
        self._mapped: tuple | None = None

    @property
    def is_map_shown(self) -> bool:
        """Whether the anatomy map covers the follow-up."""
        return self._is_map_shown

    @is_map_shown.setter
    def is_map_shown(self, shown: bool) -> None:
        if shown != self._is_map_shown:
            self._is_map_shown = shown
            self.draw()
            self.show_scans()
            self.changed.emit()

    def show_scans(self) -> None:
        """Put each scan, with its layer, into its row; to be called again when views were opened."""
        for row in (self._baseline, self._followup):
            row.set_group()
        anatomy = self._nodes.parts.find(MAP) if self._is_map_shown and self._evidence() else None
        self._baseline.show(self._choice.baseline, None, 0.0)
        self._followup.show(self._choice.followup, anatomy, OPACITY)

    def draw(self) -> None:
        """Bring the layers up to the current finding."""
        self._draw_alternatives()
        was_mapped = self._mapped is not None
        self._draw_map()
        if was_mapped != (self._mapped is not None):
            self.show_scans()

    def _evidence(self) -> MatchEvidence | None:
        current = self._nodes.current
        observation = current.at(self._choice.followup_id) if current else None
        return observation.evidence if observation else None

    def _draw_alternatives(self) -> None:
        evidence, key = self._evidence(), Key(ALTERNATIVES)
        node = self._nodes.parts.find(key)
        if node is None:
            if evidence is None or not evidence.alternatives:
                return
            node = self._nodes.parts.need(key, "vtkMRMLMarkupsFiducialNode", "Alternatives")
            style_alternatives(node, self._followup.slice_ids)
        draw_alternatives(node, self._nodes.current, self._choice.followup_id)

    def _draw_map(self) -> None:
        evidence, followup = self._evidence(), self._choice.followup
        if not self._is_map_shown or evidence is None or followup is None:
            self._mapped = None
            return
        try:
            geometry = to_volume(followup).geometry
        except InputError:  # said in full when something is matched
            self._mapped = None
            return
        wanted = evidence.expected, evidence.radius_mm, geometry
        if wanted == self._mapped and self._nodes.parts.find(MAP):
            return
        parts = self._nodes.parts
        node = parts.need(MAP, "vtkMRMLScalarVolumeNode", "Anatomy map")
        colours = parts.need(COLOURS, "vtkMRMLColorTableNode", "OncoTrack anatomy")
        draw_map(node, colours, anatomy_map(geometry, evidence.expected, evidence.radius_mm))
        self._mapped = wanted

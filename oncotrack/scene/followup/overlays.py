"""Overlays on the follow-up for the current finding: the match's alternatives, and the anatomy or the probability map."""

from __future__ import annotations

import slicer
from undo_stack import Signal

from oncotrack.errors import InputError
from oncotrack.findings.finding import MatchEvidence, State
from oncotrack.images.volume import Volume
from oncotrack.networks.heatmap import anatomy_map
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.node_registry import NodeKey
from oncotrack.scene.nodes.volumes import to_volume
from oncotrack.scene.session.time_point_selection import TimePointSelection
from oncotrack.scene.views.alternatives import draw_alternatives, style_alternatives
from oncotrack.scene.views.anatomy import OPACITY, draw_map
from oncotrack.scene.views.view_rows import ViewRow

MAP, COLOURS, ALTERNATIVES = NodeKey("anatomy map"), NodeKey("anatomy colours"), "alternatives"
PROBABILITY = NodeKey("probability map")


class Overlays:
    """Both scans in their rows, with the current finding's overlays on the follow-up."""

    changed = Signal()
    """Another map is shown, or none."""

    def __init__(self, nodes: FindingNodes, choice: TimePointSelection, baseline: ViewRow, followup: ViewRow) -> None:
        self._nodes, self._choice = nodes, choice
        self._baseline, self._followup = baseline, followup
        self._is_map_shown = False
        self._mapped: tuple | None = None
        self._probability_of: tuple | None = None

    @property
    def is_map_shown(self) -> bool:
        """Whether the anatomy map is shown over the follow-up; a probability map replaces it."""
        return self._is_map_shown

    @is_map_shown.setter
    def is_map_shown(self, shown: bool) -> None:
        if shown != self._is_map_shown:
            self._is_map_shown = shown
            self.hide_probability()
            self.draw()
            self.show_scans()
            self.changed.emit()

    @property
    def is_probability_shown(self) -> bool:
        """Whether the probability map of the current finding is shown over the follow-up."""
        return self._probability_of is not None

    def show_probability(self, uid: str, probability: Volume) -> None:
        """Show a finding's probability map (0 to 1) over the follow-up, until another finding is chosen or this one moves."""
        if self._nodes.current is None or self._nodes.current.uid != uid:
            return
        self._is_map_shown = False
        self._probability_of = self._map_subject()
        node = self._draw_map(PROBABILITY, "Probability map", probability)
        node.SetSaveWithScene(False)
        self.draw()
        self.show_scans()
        self.changed.emit()

    def hide_probability(self) -> None:
        """Hide the probability map."""
        if self._probability_of is not None:
            self._probability_of = None
            self._nodes.registry.remove(PROBABILITY)
            self.show_scans()
            self.changed.emit()

    def show_scans(self) -> None:
        """Show each scan, with its overlay, in its row; must be called again after views were opened."""
        for row in (self._baseline, self._followup):
            row.set_group()
        self._baseline.show(self._choice.baseline, None, 0.0)
        self._followup.show(self._choice.followup, self._overlay_volume(), OPACITY)

    def draw(self) -> None:
        """Update the overlays to the current finding."""
        self._draw_alternatives()
        if self._probability_of not in (None, self._map_subject()):
            self.hide_probability()
        was_mapped = self._mapped is not None
        self._draw_anatomy()
        if was_mapped != (self._mapped is not None):
            self.show_scans()

    def _map_subject(self) -> tuple:
        """Return what a probability map belongs to: the current finding, both scans, and the position in the baseline."""
        current = self._nodes.current
        seen = current.at(self._choice.baseline_id) if current else None
        scans = self._choice.baseline_id, self._choice.followup_id
        return current.uid if current else "", *scans, seen.centre if seen else None

    def _overlay_volume(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        if self._probability_of is not None:
            return self._nodes.registry.find(PROBABILITY)
        return self._nodes.registry.find(MAP) if self._is_map_shown and self._evidence() else None

    def _evidence(self) -> MatchEvidence | None:
        current = self._nodes.current
        observation = current.at(self._choice.followup_id) if current else None
        return observation.evidence if observation and observation.state is not State.ABSENT else None

    def _draw_alternatives(self) -> None:
        evidence, key = self._evidence(), NodeKey(ALTERNATIVES)
        node = self._nodes.registry.find(key)
        if node is None:
            if evidence is None or not evidence.alternatives:
                return
            node = self._nodes.registry.need(key, "vtkMRMLMarkupsFiducialNode", "Alternatives")
            style_alternatives(node, self._followup.slice_ids)
        draw_alternatives(node, self._nodes.current, self._choice.followup_id)

    def _draw_anatomy(self) -> None:
        evidence, followup = self._evidence(), self._choice.followup
        if not self._is_map_shown or evidence is None or followup is None:
            self._mapped = None
            return
        try:
            geometry = to_volume(followup).geometry
        except InputError:  # reported at the next search
            self._mapped = None
            return
        target = evidence.expected, evidence.radius_mm, geometry
        if target == self._mapped and self._nodes.registry.find(MAP):
            return
        self._draw_map(MAP, "Anatomy map", anatomy_map(geometry, evidence.expected, evidence.radius_mm))
        self._mapped = target

    def _draw_map(self, key: NodeKey, name: str, volume: Volume) -> slicer.vtkMRMLScalarVolumeNode:
        registry = self._nodes.registry
        node = registry.need(key, "vtkMRMLScalarVolumeNode", name)
        draw_map(node, registry.need(COLOURS, "vtkMRMLColorTableNode", "OncoTrack anatomy"), volume)
        return node

"""Dragging an end of a diameter: the mask is made again from the new diameters, at any visit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import slicer

from oncotrack.background.jobs import Progress
from oncotrack.errors import InputError
from oncotrack.findings.finding import Axis, Finding, Observation, point
from oncotrack.findings.observation_edits import edited_by_reader
from oncotrack.masks.axes import SHORTEST_MM, RecistAxes
from oncotrack.masks.propagate import propagate_to_3d
from oncotrack.masks.pseudo_mask import pseudo_mask
from oncotrack.masks.quality import with_doubts
from oncotrack.scene.nodes.finding_nodes import FindingNodes
from oncotrack.scene.nodes.mask_edits import axes_of, is_3d, with_mask
from oncotrack.scene.nodes.node_registry import NodeKey
from oncotrack.scene.nodes.shapes import LONG_AXIS, SHORT_AXIS, read_axis
from oncotrack.scene.nodes.tasks import Task
from oncotrack.scene.nodes.time_points import volumes_by_time_point
from oncotrack.scene.nodes.volumes import stamp, to_volume


class AxesEdits:
    """Turns dragged diameters of findings that have a mask into one step of undo each, with the mask that follows from them.

    Diameters that the masks session has handled are left to it.

    Parameters
    ----------
    nodes : FindingNodes
    submit : callable
        Queues the task that makes a mask.
    """

    def __init__(self, nodes: FindingNodes, submit: Callable[[Task], object]) -> None:
        self._nodes, self._submit = nodes, submit
        nodes.last_shape_listener = self._on_released

    def close(self) -> None:
        """Stop handling drags."""
        self._nodes.last_shape_listener = None

    def _on_released(self, key: NodeKey, _node: slicer.vtkMRMLNode) -> bool:
        seen = self._nodes.findings[key.finding].at(key.time_point)
        volume = volumes_by_time_point(self._nodes.scene).get(key.time_point)
        if key.part not in (LONG_AXIS, SHORT_AXIS) or seen is None or seen.mask is None or volume is None:
            return False
        nodes = (
            self._nodes.registry.find(NodeKey(part, key.time_point, key.finding)) for part in (LONG_AXIS, SHORT_AXIS)
        )
        lines = [axis for node in nodes if node is not None and (axis := read_axis(node)) is not None]
        if len(lines) == 2 and set(lines) != {seen.long_axis, seen.short_axis}:
            self._nodes.select(key.finding)
            axes = RecistAxes.of(*lines).checked(to_volume(volume).geometry)
            self._submit(self.remask(self._nodes.findings[key.finding], key.time_point, volume, axes))
        return True

    def resize(self, finding: Finding, time_point: str, part: str, length_mm: float) -> Task:
        """Return the task that gives a diameter another length about its middle; applying it returns the finding.

        Parameters
        ----------
        finding : Finding
        time_point : str
        part : {"long axis", "short axis"}
            Which diameter.
        length_mm : float
            Its new length.

        Raises
        ------
        InputError
            It has no diameters there, or the lengths do not fit.
        """
        old, volume = axes_of(finding, time_point), volumes_by_time_point(self._nodes.scene).get(time_point)
        if volume is None:
            raise InputError("The scan of this visit is not open, so its diameters cannot be changed.")
        if not (math.isfinite(length_mm) and length_mm >= SHORTEST_MM):
            raise InputError(f"A diameter has at least {SHORTEST_MM:.0f} mm. Mark the lesion as too small, or as gone.")
        lines = [_resized(axis, length_mm) if name == part else axis
                 for name, axis in ((LONG_AXIS, old.long), (SHORT_AXIS, old.short))]  # fmt: skip
        axes = RecistAxes.of(*lines).checked(to_volume(volume).geometry)
        return self.remask(finding, time_point, volume, axes)

    def remask(
        self, finding: Finding, time_point: str, volume: slicer.vtkMRMLScalarVolumeNode, axes: RecistAxes
    ) -> Task:
        """Return the task that replaces a finding's diameters, and its mask by one made from them; applying it returns the finding."""
        image, known, seen = to_volume(volume), stamp(volume), finding.observation(time_point)

        def work(progress: Progress) -> Observation:
            if seen.mask is None:
                return replace(seen, long_axis=axes.long, short_axis=axes.short, radius_mm=axes.long.length_mm / 2)
            mask = propagate_to_3d(image, axes, progress=progress) if is_3d(seen) else pseudo_mask(image, axes)
            return with_doubts(with_mask(seen, mask, axes), image)

        def apply(changed: Observation) -> Finding:
            findings = self._nodes.findings
            if stamp(volume) != known or not findings.is_still(finding, time_point):
                raise InputError(f"{finding.label} was changed meanwhile, so the new mask was discarded. Try again.")
            new = edited_by_reader(changed, self._nodes.reader or "reader")
            return findings.observe(finding.uid, time_point, new, f"change the diameters of {finding.label}")

        return Task(f"Making the mask of {finding.label} from its diameters", work, apply, self._nodes.draw)


def _resized(axis: Axis, length_mm: float) -> Axis:
    """Return a diameter of another length with the same middle and direction."""
    start, end = np.asarray(axis.start), np.asarray(axis.end)
    centre, half = (start + end) / 2, (end - start) / 2 * length_mm / axis.length_mm
    return Axis(point(centre - half), point(centre + half))

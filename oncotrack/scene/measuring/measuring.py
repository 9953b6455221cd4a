"""The measurements of one scene, used by the browser and by Slicer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import slicer
from undo_stack import Signal

from oncotrack.errors import InputError, OncoTrackError
from oncotrack.findings.finding import Finding, Point
from oncotrack.findings.measurement import Measurement, Tool
from oncotrack.findings.measurement_list import MeasurementList
from oncotrack.findings.region_statistics import ellipse_statistics
from oncotrack.scene.measuring.draft import Draft
from oncotrack.scene.measuring.measurement_nodes import MeasurementNodes
from oncotrack.scene.nodes.shared_nodes import release_nodes, share_nodes
from oncotrack.scene.nodes.time_points import need_time_point_id, volumes_by_time_point
from oncotrack.scene.nodes.volumes import to_volume
from oncotrack.scene.views.scan_text import shown_volume


class Measuring:
    """Places, changes and lists measurements; every command is one step of undo of the list of findings.

    Parameters
    ----------
    scene : vtkMRMLScene
    name_time_points : callable
        Adds the scans to the list's time points; called in the same step of undo as the first measurement on them.
    """

    changed = Signal()
    """The measurements, or what is being placed, have changed."""
    refused = Signal()
    """(OncoTrackError): what the reader did was not possible."""

    def __init__(self, scene: slicer.vtkMRMLScene, name_time_points: Callable[[], None]) -> None:
        self.scene, self._name_time_points = scene, name_time_points
        self._nodes = share_nodes(scene)
        self._markups = MeasurementNodes(self._nodes, self._on_dragged, self._on_removed)
        self._draft = Draft(self._nodes, self._on_placed)
        self._draft.changed.connect(self.changed.emit)
        self._draft.refused.connect(self.refused.emit)
        self._nodes.changed.connect(self._on_changed)
        self._nodes.drawn.connect(self._markups.draw)
        self._markups.draw()

    def close(self) -> None:
        """Stop observing the scene; the markups stay."""
        self._draft.close()
        self._nodes.changed.disconnect(self._on_changed)
        self._nodes.drawn.disconnect(self._markups.draw)
        self._markups.close()
        release_nodes(self._nodes)

    @property
    def measurements(self) -> MeasurementList:
        """The measurements, with their commands."""
        return MeasurementList(self._nodes.findings)

    @property
    def tool(self) -> Tool | None:
        """What is being placed now."""
        return self._draft.tool

    @property
    def hint(self) -> str:
        """What the reader should click next; "" while nothing is placed."""
        return self._draft.hint

    def begin(self, tool: Tool | str) -> None:
        """Make the next clicks in a slice view place a measurement; a tool that is begun already ends."""
        tool = Tool(tool)
        if self._draft.tool is tool:
            self._draft.cancel()
        else:
            self._draft.begin(tool)

    def cancel(self) -> None:
        """Discard the points clicked so far."""
        self._draft.cancel()

    def rename(self, uid: str, label: str) -> None:
        """Give a measurement another label."""
        self.measurements.rename(uid, label)

    def remove(self, uid: str) -> None:
        """Remove a measurement."""
        self.measurements.remove(uid)

    def make_finding(self, uid: str) -> Finding:
        """Turn a bidirectional measurement into a lesion with its diameters, the current finding now, and return it."""
        finding = self.measurements.make_finding(uid)
        self._nodes.select(finding.uid)
        return finding

    def scan_of(self, measurement: Measurement) -> slicer.vtkMRMLScalarVolumeNode | None:
        """Return the volume node of a measurement's scan; None while it is not open."""
        return volumes_by_time_point(self.scene).get(measurement.time_point)

    # private

    def _on_placed(self, tool: Tool, points: Sequence[Point], view: slicer.vtkMRMLSliceNode) -> None:
        volume = shown_volume(view)
        if volume is None:
            raise InputError("This view shows no scan. Measure in a view that shows one.")
        findings, label = self._nodes.findings, self.measurements.next_label()
        new = Measurement(
            tool=tool, time_point=need_time_point_id(volume, findings), points_ras=tuple(points), label=label
        )
        new = self._measured(new.checked())
        with findings.group(f"measure {label}"):
            self._name_time_points()
            self.measurements.add(new)

    def _measured(self, measurement: Measurement) -> Measurement:
        """Return an ellipse with the statistics of its voxels; others as they are."""
        volume = self.scan_of(measurement)
        if measurement.tool is not Tool.ELLIPSE or volume is None:
            return measurement
        return replace(measurement, statistics=ellipse_statistics(to_volume(volume), measurement.points_ras))

    def _on_dragged(self, measurement: Measurement) -> None:
        try:
            self.measurements.replace(self._measured(measurement.checked()))
        except OncoTrackError as error:
            self.refused.emit(error)

    def _on_removed(self, uid: str) -> None:
        self.measurements.remove(uid)

    def _on_changed(self) -> None:
        self._markups.draw()
        self.changed.emit()

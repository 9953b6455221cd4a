"""Alternative match positions of the current finding, drawn as locked points."""

from __future__ import annotations

import slicer
import vtk

from oncotrack.findings.alternative_letters import alternative_letter
from oncotrack.findings.finding import Finding, State
from oncotrack.scene.nodes.fiducials import OTHER_COLOUR, style_points


def style_alternatives(node: slicer.vtkMRMLMarkupsFiducialNode, view_ids: tuple[str, ...]) -> None:
    """Draw locked crosses in the given views."""
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    style_points(display, view_ids)
    display.SetGlyphType(slicer.vtkMRMLMarkupsDisplayNode.Cross2D)
    display.SetGlyphScale(2.0)
    display.SetSelectedColor(*OTHER_COLOUR)
    display.SetTextScale(2.5)
    node.SetLocked(True)


def draw_alternatives(node: slicer.vtkMRMLMarkupsFiducialNode, finding: Finding | None, time_point: str) -> None:
    """Show the alternatives of one finding as "b", "c", ...; none without a finding and for an absent one.

    The finding's label is left out, because in a small view it would cover the label of the match.
    """
    observation = finding.at(time_point) if finding else None
    evidence = observation.evidence if observation and observation.state is not State.ABSENT else None
    alternatives = evidence.alternatives if evidence else ()
    target = [
        (alternative_letter(index), alternative.centre, f"score {alternative.score:.2f}")
        for index, alternative in enumerate(alternatives, 1)
    ]
    shown = [
        (
            node.GetNthControlPointLabel(n),
            tuple(node.GetNthControlPointPosition(n)),
            node.GetNthControlPointDescription(n),
        )
        for n in range(node.GetNumberOfControlPoints())
    ]
    if shown == target:
        return
    was = node.StartModify()
    node.RemoveAllControlPoints()
    for label, centre, score in target:
        index = node.AddControlPoint(vtk.vtkVector3d(*centre), label)
        node.SetNthControlPointDescription(index, score)
    node.EndModify(was)

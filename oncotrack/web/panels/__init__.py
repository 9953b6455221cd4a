"""The tools of the viewer, one tab each: findings and their matches, response, lymph nodes, masks, measurements, views, files."""

from __future__ import annotations

from pathlib import Path

from oncotrack.web.display import Display
from oncotrack.web.files import Files
from oncotrack.web.panels.detection_tool import DetectionTool
from oncotrack.web.panels.display_tool import DisplayTool
from oncotrack.web.panels.files_tool import FilesTool
from oncotrack.web.panels.findings_tool import FindingsTool
from oncotrack.web.panels.masks_tool import MasksTool
from oncotrack.web.panels.measure_tool import MeasureTool
from oncotrack.web.panels.response_tool import ResponseTool
from oncotrack.web.panels.worklist_tool import WorklistTool
from oncotrack.web.study_browser import StudyBrowser
from oncotrack.web.tools import Tool
from oncotrack.web.viewer import Viewer
from oncotrack.web.worklist import WorklistPage


def tools_of(
    viewer: Viewer, display: Display, files: Files, browser: StudyBrowser, worklist: Path | None = None
) -> tuple[Tool, ...]:
    """Create the viewer's tools, in the order of their tabs; that of the worklist, a folder, is the first."""
    return (
        *((WorklistTool(viewer, WorklistPage(viewer, files, worklist)),) if worklist else ()),
        FindingsTool(viewer, display),
        ResponseTool(viewer, files),
        DetectionTool(viewer, display, files),
        MasksTool(viewer, display, files),
        MeasureTool(viewer),
        DisplayTool(viewer, display),
        FilesTool(viewer, files, browser),
    )

"""The tools of the viewer, one tab each: findings and their matches, response, lymph nodes, masks, measurements, views, files."""

from __future__ import annotations

from oncotrack.web.display import Display
from oncotrack.web.files import Files
from oncotrack.web.panels.detection_tool import DetectionTool
from oncotrack.web.panels.display_tool import DisplayTool
from oncotrack.web.panels.files_tool import FilesTool
from oncotrack.web.panels.findings_tool import FindingsTool
from oncotrack.web.panels.masks_tool import MasksTool
from oncotrack.web.panels.measure_tool import MeasureTool
from oncotrack.web.panels.response_tool import ResponseTool
from oncotrack.web.study_browser import StudyBrowser
from oncotrack.web.tools import Tool
from oncotrack.web.viewer import Viewer


def tools_of(viewer: Viewer, display: Display, files: Files, browser: StudyBrowser) -> tuple[Tool, ...]:
    """Create the viewer's tools, in the order of their tabs."""
    return (
        FindingsTool(viewer, display),
        ResponseTool(viewer, files),
        DetectionTool(viewer, display, files),
        MasksTool(viewer, display, files),
        MeasureTool(viewer),
        DisplayTool(viewer, display),
        FilesTool(viewer, files, browser),
    )

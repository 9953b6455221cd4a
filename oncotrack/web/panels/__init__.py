"""The tools the viewer starts with: the findings and their match, lymph nodes, masks, the views, the files."""

from __future__ import annotations

from oncotrack.web.panels.detection_tool import DetectionTool
from oncotrack.web.panels.display_tool import DisplayTool
from oncotrack.web.panels.files_tool import FilesTool
from oncotrack.web.panels.findings_tool import FindingsTool
from oncotrack.web.panels.masks_tool import MasksTool

TOOLS = (FindingsTool, DetectionTool, MasksTool, DisplayTool, FilesTool)

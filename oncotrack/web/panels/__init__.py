"""The tools the viewer starts with: the findings and their match, the files."""

from __future__ import annotations

from oncotrack.web.panels.display_tool import DisplayTool
from oncotrack.web.panels.files_tool import FilesTool
from oncotrack.web.panels.findings_tool import FindingsTool

TOOLS = (FindingsTool, DisplayTool, FilesTool)

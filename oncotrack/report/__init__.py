"""Pages for a reader or a record, self-contained HTML: a follow-up, or the nodes of a scan."""

from oncotrack.report.follow_up import Truth, write_report
from oncotrack.report.nodes import write_node_report

__all__ = ["Truth", "write_node_report", "write_report"]

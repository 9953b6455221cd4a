"""Self-contained HTML reports: a follow-up, a series of visits, or the lymph nodes of a scan."""

from oncotrack.report.follow_up import Truth, write_report
from oncotrack.report.nodes import write_node_report
from oncotrack.report.visits import write_visits_report

__all__ = ["Truth", "write_node_report", "write_report", "write_visits_report"]

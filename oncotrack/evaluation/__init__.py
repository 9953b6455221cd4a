"""The papers' metrics, each one small function, and what runs them over files.

Percentages are 0 to 100 everywhere; a metric that has nothing to be computed from is NaN in arrays and null in JSON.
"""

from oncotrack.evaluation.detection_files import evaluate_detection
from oncotrack.evaluation.dls import evaluate_dls
from oncotrack.evaluation.mask_files import evaluate_masks
from oncotrack.evaluation.pages import write_report

__all__ = ["evaluate_detection", "evaluate_dls", "evaluate_masks", "write_report"]

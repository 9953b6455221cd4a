"""The papers' metrics, and the functions that compute them from files.

Percentages are 0 to 100 everywhere. A metric without any value to compute it from is NaN in arrays and null in JSON.
"""

from oncotrack.evaluation.detection_files import evaluate_detection
from oncotrack.evaluation.dls import evaluate_dls
from oncotrack.evaluation.mask_files import evaluate_masks
from oncotrack.evaluation.pages import write_report

__all__ = ["evaluate_detection", "evaluate_dls", "evaluate_masks", "write_report"]
